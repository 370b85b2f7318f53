"""The picture of a bug: a small matrix of what it gives beside the right one, as tables that are read aloud well.

A wrong cell is bold, boxed and starred, and cells are shaded by their size: nothing rests on colour alone.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

import torch
from torch import Tensor

from companion.checks import Bug, Check, Table, number

from .answers import Answer, tensor_or_error
from .evidence import Shown

Cells = Sequence[Sequence[str]]
Marks = Sequence[Sequence[bool]]

ROWS, COLUMNS = 6, 6
# Inputs whose numbers say where they come from, for the checks that only move numbers about.
NUMBERED: dict[str, tuple[dict[str, Any], str]] = {
    "split_heads": (
        {"x": torch.arange(4)[None, :, None] * 10.0 + torch.arange(6), "num_heads": 2},
        "tokens 0 to 3, features 0 to 5: 23 is token 2, feature 3. Head 0",
    ),
    "merge_heads": (
        {"x": (torch.arange(2)[:, None, None] * 100 + torch.arange(3)[:, None] * 10 + torch.arange(3))[None] * 1.0},
        "heads 0 and 1, tokens 0 to 2, features 0 to 2: 112 is head 1, token 1, feature 2",
    ),
}


def picture(check: Check, entry: Bug, shown: Shown) -> str:
    """Return the HTML of a bug's picture; empty where there is nothing to draw."""
    if shown.structural:
        return ""
    if check.name in NUMBERED:
        return _numbered(check, entry)
    for table in shown.tables:
        if any(any(row) for row in table.wrong):
            return _draw(table.caption, _crop(table))
    wrong = [answer for answer in shown.answers if answer.kind not in ("right", "raised")]
    if not wrong:
        return ""
    if wrong[0].right.dtype == torch.int64:
        return _lists(wrong[:3])
    if wrong[0].right.dim() == 0:
        return _numbers(wrong[:7])
    for answer in wrong:
        if answer.kind in ("off", "nan") and (drawn := _slice(answer)):
            return drawn
    for answer in wrong:
        if answer.kind in ("shape", "dtype") and answer.value.dim() >= 2:
            return _beside(f"The first part of the output on “{answer.probe.name}”", answer.value, answer.right)
    return ""


def _numbered(check: Check, entry: Bug) -> str:
    inputs, caption = NUMBERED[check.name]
    yours, right = tensor_or_error(check.implementations(entry)[0], inputs), check.answer(inputs)
    if isinstance(yours, Exception):
        return ""
    if yours.shape != right.shape:
        return _beside(caption, yours, right)
    return "" if torch.equal(yours, right) else _draw(caption, Table.compare(caption, _first(yours), _first(right)))


def _planes(x: Tensor) -> Tensor:
    """Return the matrices that a tensor holds, one after the other."""
    x = torch.atleast_2d(x.double())
    return x.reshape(-1, *x.shape[-2:])


def _first(x: Tensor) -> Tensor:
    """Return the first matrix of a tensor, cut to a size that fits a page."""
    return _planes(x)[0, :ROWS, :COLUMNS]


def _slice(answer: Answer) -> str:
    """Draw the first matrix of the output in which something is wrong, around the first wrong place."""
    yours, right = _planes(answer.value), _planes(answer.right)
    wrong = ~torch.isclose(yours, right, rtol=1e-3, atol=1e-3)
    if not wrong.any():  # a small difference: draw it as it is
        wrong = yours != right
    first = int(wrong.flatten(1).any(dim=1).nonzero()[0])
    caption = f"The output on “{answer.probe.name}”, the first wrong part"
    table = Table.compare(caption, yours[first], right[first])
    return _draw(caption, _crop(table)) if any(any(row) for row in table.wrong) else ""


def _crop(table: Table) -> Table:
    """Keep a part that holds the first wrong place."""
    row, column = next((i, j) for i, line in enumerate(table.wrong) for j, bad in enumerate(line) if bad)
    top, left = max(0, row - ROWS + 1), max(0, column - COLUMNS + 1)

    def cut(cells: Sequence[Sequence[Any]]) -> Any:
        return tuple(line[left : left + COLUMNS] for line in cells[top : top + ROWS])

    cropped = cut(table.right)
    part = ", a part" if (len(cropped), len(cropped[0])) != (len(table.right), len(table.right[0])) else ""
    return Table(f"{table.caption}{part}", cut(table.yours), cropped, cut(table.wrong))


def _draw(caption: str, table: Table) -> str:
    sides = (("the bug (* is wrong)", table.yours, table.wrong), ("right", table.right, None))
    largest = max((abs(float(text)) for row in table.right for text in row if _finite(text)), default=1.0) or 1.0
    drawn = "".join(_side(f"{caption}: {what}", cells, marks, largest) for what, cells, marks in sides)
    return f'<div class="guide-pair">{drawn}</div>'


def _beside(caption: str, yours: Tensor, right: Tensor) -> str:
    """Draw two outputs of different shapes."""
    sides = []
    for what, x in (("the bug", yours), ("right", right)):
        plane = _first(x)
        cells = [[number(value) for value in row] for row in plane.tolist()]
        largest = float(plane.abs().nan_to_num(0.0, 0.0, 0.0).max()) or 1.0
        sides.append(_side(f"{caption}, of shape {tuple(x.shape)}: {what}", cells, None, largest))
    return f'<div class="guide-pair">{"".join(sides)}</div>'


def _side(caption: str, cells: Cells, marks: Marks | None, largest: float) -> str:
    marks = marks or [[False] * len(row) for row in cells]
    rows = "".join(
        "<tr>" + "".join(_cell(text, bad, largest) for text, bad in zip(row, wrong, strict=True)) + "</tr>"
        for row, wrong in zip(cells, marks, strict=True)
    )
    return f'<table class="guide-side"><caption>{escape(caption)}</caption><tbody>{rows}</tbody></table>'


def _cell(text: str, wrong: bool, largest: float) -> str:
    if "e-" in text and largest > 0.1:
        text = "0.00"  # not quite 0, and too small to tell
    shade = min(4, round(4 * abs(float(text)) / largest)) if _finite(text) else 0
    classes = " ".join([f"s{shade}"] * (shade > 0) + ["wrong"] * wrong)
    named = f' class="{classes}"' if classes else ""
    return f"<td{named}>{escape(text)}{'*' if wrong else ''}</td>"


def _finite(text: str) -> bool:
    return text not in ("nan", "inf", "-inf")


def _numbers(wrong: list[Answer]) -> str:
    """Draw one number for each question."""
    rows = []
    for answer in wrong:
        yours, right = float(answer.value.double()), float(answer.right.double())
        shown, expected = _digits(yours), _digits(right)
        if shown == expected:  # more digits, so that the difference is seen
            shown, expected = f"{yours:.6g}", f"{right:.6g}"
        rows.append((answer.probe.name, shown, expected))
    return _list_table("The number on each question", rows)


def _lists(wrong: list[Answer]) -> str:
    """Draw what was decoded."""
    rows = []
    for answer in wrong:
        yours = [int(token) for token in answer.value.flatten()]
        shown = ", ".join(map(str, yours[:10])) + (", ..." if len(yours) > 10 else "")
        rows.append((answer.probe.name, shown, ", ".join(str(int(token)) for token in answer.right)))
    return _list_table("The ids on each question", rows)


def _list_table(caption: str, rows: list[tuple[str, str, str]]) -> str:
    head = "<tr><th>question</th><th>the bug</th><th>right</th></tr>"
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="wrong">{yours}*</td><td>{right}</td></tr>'
        for name, yours, right in rows
    )
    table = f'<table class="guide-side"><caption>{caption}</caption><thead>{head}</thead><tbody>{body}</tbody></table>'
    return f'<div class="guide-pair">{table}</div>'


def _digits(x: float) -> str:
    """Write a number that may be very small."""
    return f"{x:.2e}" if x and abs(x) < 0.01 else number(x)
