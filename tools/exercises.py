"""The starter of an exercise, made from its solution, so that there is one source for both."""

import ast
import re

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
TITLE = "# @title Solution"
# How a solution is folded: in Jupyter, in Colab, on the page.
FOLDED = {
    "tags": ["solution", "hide-input"],
    "cellView": "form",
    "jupyter": {"source_hidden": True},
    "mystnb": {"code_prompt_show": "Show the solution", "code_prompt_hide": "Hide the solution"},
}
TODO = 'raise NotImplementedError("your turn")'


def starter(solution: str) -> str:
    """Return what the learner starts from: imports and definitions, with the marked part left to do.

    Raises:
        ValueError: the solution has no title line, or no part between the two marks.
    """
    if solution.splitlines()[:1] != [TITLE]:
        raise ValueError(f"a solution's first line is {TITLE!r}")
    if not solution.count(BEGIN) == solution.count(END) > 0:
        raise ValueError(f"the part that the learner writes stands between {BEGIN!r} and {END!r}")
    lines, kept, names, done = solution.splitlines(), [], [], 1
    for node in ast.parse(solution).body:
        if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
            kept += lines[done : node.end_lineno]  # with the comments above it
            names.append(getattr(node, "name", ""))
        done = node.end_lineno or done
    text = "\n".join(_leave_to_do(kept)).strip("\n")
    for name in names:
        if name.endswith("_solution"):
            text = re.sub(rf"\b{name}\b", name.removesuffix("_solution"), text)
    return text


def _leave_to_do(lines: list[str]) -> list[str]:
    out, inside = [], False
    for line in lines:
        if line.strip() == BEGIN:
            out.append(line.replace(BEGIN, TODO))
            inside = True
        elif line.strip() == END:
            inside = False
        elif not inside:
            out.append(line)
    return out


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
