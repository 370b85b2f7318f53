"""Tables: the numbers of a picture, for whoever cannot see it or wants to read them off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def write_table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    corner: Sequence[str] = ("",),
    kind: str = "",
) -> str:
    """Return a table of named rows and columns.

    Args:
        caption: stands above it; none if empty.
        columns: the names of the columns of numbers.
        rows: the names of each row, as many as `corner` has, and then its numbers.
        corner: what stands above the rows' names, "" for nothing.
        kind: the class of the table, if it needs one.
    """
    names = len(corner)
    body = "\n".join(write_row(row[:names], row[names:]) for row in rows)
    return enclose_rows(caption, columns, f"<tbody>{body}</tbody>", corner=corner, kind=kind)


def write_row(names: Sequence[str], numbers: Sequence[str], kind: str = "") -> str:
    """Return one row of a table."""
    heads = "".join(f'<th scope="row">{escape(name)}</th>' for name in names)
    cells = "".join(f"<td>{number}</td>" for number in numbers)
    return f"<tr{_class(kind)}>{heads}{cells}</tr>"


def enclose_rows(
    caption: str, columns: Sequence[str], bodies: str, *, corner: Sequence[str] = ("",), kind: str = ""
) -> str:
    """Return the table around rows that stand in one or more bodies; the arguments are those of `write_table`."""
    above = "".join(f'<th scope="col">{escape(name)}</th>' if name else "<td></td>" for name in corner)
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    title = f"<caption>{escape(caption)}</caption>\n" if caption else ""
    return f"<table{_class(kind)}>{title}<thead><tr>{above}{heads}</tr></thead>\n{bodies}</table>"


def scroll(label: str, tables: str) -> str:
    """Return tables in a box of their own, in which they scroll, and which can be reached by keyboard."""
    return f'<div class="scroll" role="region" aria-label="{escape(label)}" tabindex="0">{tables}</div>'


def digits(hundredths: Iterable[int]) -> list[str]:
    """Write whole hundredths as numbers."""
    return [f"{number / 100:.2f}" for number in hundredths]


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
