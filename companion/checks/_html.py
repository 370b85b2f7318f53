"""The report as HTML: the message, the facts, and the evidence as tables, the wrong cells marked."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from companion.checks._report import Report, Table

# Colours come from the page, so that the tables read well in light and dark. A wrong cell is bold, boxed and
# starred: nothing rests on colour alone.
_CELL = "padding:0.15em 0.5em;text-align:right;font-variant-numeric:tabular-nums"
_WRONG = _CELL + ";font-weight:bold;outline:1px solid currentColor"


def render(report: Report) -> str:
    """Return deterministic HTML for a report; no script, no id, no request."""
    parts = [f"<p><strong>{escape(report.headline)}</strong> {escape(report.message)}</p>"]
    if report.facts:
        parts.append("<ul>" + "".join(f"<li>{escape(fact)}</li>" for fact in report.facts) + "</ul>")
    parts += [f"<p><em>Warning:</em> {escape(warning)}</p>" for warning in report.warnings]
    parts += [_table(table) for table in report.tables]
    if not report.passed:
        parts.append("<p>For a hint, call <code>.hint(1)</code>; for where to read, <code>.hint(2)</code>.</p>")
    return '<div class="check-report">' + "".join(parts) + "</div>"


def _table(table: Table) -> str:
    nothing_wrong = tuple(tuple(False for _ in row) for row in table.right)
    sides = (
        _side(f"{table.caption}: yours (* is wrong)", table.yours, table.wrong),
        _side(f"{table.caption}: right", table.right, nothing_wrong),
    )
    return '<div style="display:flex;flex-wrap:wrap;gap:1.5em">' + "".join(sides) + "</div>"


def _side(caption: str, cells: Sequence[Sequence[str]], wrong: Sequence[Sequence[bool]]) -> str:
    rows = "".join(
        "<tr>" + "".join(_cell(text, bad) for text, bad in zip(row, marks, strict=True)) + "</tr>"
        for row, marks in zip(cells, wrong, strict=True)
    )
    return f'<table style="width:auto"><caption>{escape(caption)}</caption><tbody>{rows}</tbody></table>'


def _cell(text: str, wrong: bool) -> str:
    return f'<td style="{_WRONG if wrong else _CELL}">{escape(text)}{"*" if wrong else ""}</td>'
