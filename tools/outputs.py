"""Run the notebooks afresh and store their outputs: `make outputs`, or `make outputs ONLY=06_masks`.

With `--sync` nothing runs: only what is generated, such as first cells and starters, is written again.
"""

import os
import re
import sys
import time

from nbformat import NotebookNode

from tools.exercises import FOLDED, pairs, starter
from tools.first_cell import TAG, first_cell, read_address
from tools.normalise import BOOK, normalise, notebooks, read


def sync(notebook: NotebookNode) -> None:
    """Write what has its source elsewhere: the first cell, the starters, the way solutions are folded."""
    for cell in notebook.cells:
        if TAG in cell.metadata.get("tags", []):
            cell.source = first_cell(read_address())
    for begin, solution in pairs(notebook.cells):
        begin.source = starter(solution.source)
        solution.metadata.update(FOLDED)


def stated_seconds(notebook: NotebookNode) -> int:
    """Return how long the chapter says it runs, from its first cell.

    Raises:
        ValueError: if it does not say so.
    """
    found = re.search(r" Running: under (\d+) seconds on two cores", notebook.cells[0].source)
    if found is None:
        raise ValueError("a chapter's first cell says how long it takes: 'Running: under 60 seconds on two cores'")
    return int(found[1])


def main(names: list[str]) -> int:
    """Refresh the named notebooks, or all of them; return the exit status."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as under pytest: sums come out the same on every machine
    run = "--sync" not in names
    wanted = {name.removesuffix(".ipynb") for name in names if name != "--sync"}
    unknown = wanted - {path.stem for path in notebooks()}
    if unknown:
        print(f"No such notebook in book/: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    slow = False
    for path in notebooks():
        if wanted and path.stem not in wanted:
            continue
        notebook, started = read(path), time.perf_counter()
        sync(notebook)
        if run:
            from nbclient import NotebookClient  # slow to import, and `make address` does without

            client = NotebookClient(
                notebook,
                timeout=300,
                kernel_name="python3",
                record_timing=False,
                resources={"metadata": {"path": str(BOOK)}},
            )
            client.execute()
        text = normalise(notebook)
        changed = text != path.read_text(encoding="utf8")
        if changed:
            path.write_text(text, encoding="utf8", newline="\n")
        took = time.perf_counter() - started
        print(f"{path.name}: {'written' if changed else 'as it was'} ({took:.0f} s)")
        if took > stated_seconds(notebook):
            print(f"{path.name} says that it runs in {stated_seconds(notebook)} seconds: correct it", file=sys.stderr)
            slow = True
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
