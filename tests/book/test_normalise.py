"""What is stored of a notebook."""

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools.normalise import WIDGET, normalise


def normalised(*cells):
    notebook = new_notebook()
    notebook.cells = list(cells)
    return nbformat.reads(normalise(notebook), as_version=4)


def test_what_differs_between_runs_goes_and_the_rest_stays():
    kept = {"tags": ["solution"], "cellView": "form", "jupyter": {"source_hidden": True}}
    kept["mystnb"] = {"image": {"alt": "a line"}}
    cell = new_code_cell("1\n\n", execution_count=17, metadata={**kept, "execution": {"start": "now"}})
    cell = normalised(cell).cells[0]
    assert (cell.source, cell.execution_count, cell.metadata) == ("1", 1, kept)


def test_pieces_of_a_stream_are_joined():
    pieces = [new_output("stream", name="stdout", text=text) for text in ("a", "b")]
    assert [o.text for o in normalised(new_code_cell("", outputs=pieces, execution_count=1)).cells[0].outputs] == ["ab"]


def test_a_widget_leaves_the_picture_that_it_carries():
    data = {WIDGET: {"model_id": "0123"}, "image/png": "AAAA", "text/plain": "Run this cell to play."}
    cell = new_code_cell("", execution_count=1, outputs=[new_output("display_data", data=data)])
    assert set(normalised(cell).cells[0].outputs[0].data) == {"image/png", "text/plain"}


def test_a_widget_without_a_picture_leaves_nothing():
    cell = new_code_cell("", execution_count=1, outputs=[new_output("display_data", data={WIDGET: {}})])
    assert normalised(cell).cells[0].outputs == []


def test_cells_with_the_same_id_get_different_ones():
    ids = [cell.id for cell in normalised(new_code_cell("", id="a"), new_code_cell("", id="a")).cells]
    assert ids == ["a", "cell-1"]


def test_a_second_time_changes_nothing():
    once = normalise(new_notebook(cells=[new_code_cell("1", execution_count=3, metadata={"x": 1})]))
    assert normalise(nbformat.reads(once, as_version=4)) == once
