"""The exercises of a notebook: their starters, made from their solutions, and how a solution is folded."""

from companion.assignments.starter import BEGIN, END, TITLE, TODO, starter

__all__ = ["BEGIN", "END", "FOLDED", "TITLE", "TODO", "pairs", "starter"]

# How a solution is folded: in Jupyter, in Colab, on the page.
FOLDED = {
    "tags": ["solution", "hide-input"],
    "cellView": "form",
    "jupyter": {"source_hidden": True},
    "mystnb": {"code_prompt_show": "Show the solution", "code_prompt_hide": "Hide the solution"},
}


def pairs(cells: list) -> list[tuple]:
    """Return the (starter, solution) cells of a notebook, in order.

    Raises:
        ValueError: a starter without a solution, or a solution without a starter.
    """
    found, waiting = [], None
    for cell in cells:
        tags = cell.metadata.get("tags", [])
        if "starter" in tags:
            if waiting is not None:
                raise ValueError(f"no solution follows this starter:\n{waiting.source}")
            waiting = cell
        elif "solution" in tags:
            if waiting is None:
                raise ValueError(f"no starter stands before this solution:\n{cell.source}")
            found.append((waiting, cell))
            waiting = None
    if waiting is not None:
        raise ValueError(f"no solution follows this starter:\n{waiting.source}")
    return found
