"""Notebooks written in one way, so that running one again changes no byte."""

import copy
import json
from pathlib import Path

import nbformat

from tools.first_cell import ROOT

BOOK = ROOT / "book"
KEPT = ("tags", "mystnb", "cellView")
WIDGET = "application/vnd.jupyter.widget-view+json"


def notebooks() -> list[Path]:
    """Return the book's notebooks, in order."""
    return sorted(BOOK.glob("*.ipynb"))


def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook as it stands."""
    return nbformat.read(path, as_version=4)


def normalise(notebook: nbformat.NotebookNode) -> str:
    """Return the bytes to store: what a reader needs, in a fixed order.

    Timings, machine names and widget states go. A widget's output keeps the picture it carries beside its view: the
    page has no kernel to bring the widget to life.
    """
    nb = copy.deepcopy(notebook)
    nb.nbformat, nb.nbformat_minor = 4, 5
    nb.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    count = 0
    ids: set[str] = set()
    for place, cell in enumerate(nb.cells):
        cell.source = cell.source.rstrip("\n")
        cell.metadata = _kept(cell.metadata)
        if cell.get("id", "") in ids | {""}:
            cell.id = f"cell-{place}"
        ids.add(cell.id)
        if cell.cell_type != "code":
            continue
        if cell.execution_count is not None:
            count += 1
            cell.execution_count = count
        cell.outputs = _merged(cell.outputs, cell.execution_count)
    text = json.dumps(json.loads(nbformat.writes(nb, version=4)), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    nbformat.validate(json.loads(text))
    return text


def _kept(metadata: dict) -> nbformat.NotebookNode:
    kept = {key: metadata[key] for key in KEPT if key in metadata}
    if "source_hidden" in metadata.get("jupyter", {}):
        kept["jupyter"] = {"source_hidden": metadata["jupyter"]["source_hidden"]}
    return nbformat.from_dict(kept)


def _merged(outputs: list, count: int | None) -> list:
    """Join the pieces that a stream came in, and drop what only a kernel can show."""
    out: list = []
    for output in outputs:
        if "execution_count" in output:
            output.execution_count = count
        if "data" in output and output.data.pop(WIDGET, None) is not None and not output.data:
            continue
        if output.output_type == "stream" and out and out[-1].get("name") == output.name:
            out[-1].text += output.text
        else:
            out.append(output)
    return out
