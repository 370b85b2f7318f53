"""What a check hands back: a `Report`, and the `CheckFailed` that carries one."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import torch
from torch import Tensor

_CELL = "padding:0.15em 0.5em;text-align:right;font-variant-numeric:tabular-nums"
_WRONG = f"{_CELL};font-weight:bold;outline:1px solid currentColor"


@dataclass(frozen=True)
class Table:
    """A small matrix of the learner's beside the right one.

    Cells are text, already rounded; `wrong` marks the cells that differ.
    """

    caption: str
    yours: tuple[tuple[str, ...], ...]
    right: tuple[tuple[str, ...], ...]
    wrong: tuple[tuple[bool, ...], ...]

    @classmethod
    def compare(cls, caption: str, yours: Tensor, right: Tensor, tolerance: float = 1e-3) -> Table:
        """Draw two matrices of one shape side by side."""
        yours, right = yours.detach().double(), right.detach().double()
        # A NaN is close to nothing, so it counts as wrong.
        wrong = ~torch.isclose(yours, right, rtol=tolerance, atol=tolerance)
        return cls(caption, _cells(yours), _cells(right), tuple(tuple(map(bool, row)) for row in wrong.tolist()))

    def to_html(self) -> str:
        """Draw them as HTML tables: no script, no id, no request, and the page's own colours.

        A wrong cell is bold, boxed and starred: nothing rests on colour alone.
        """
        nothing = tuple(tuple(False for _ in row) for row in self.right)
        sides = (("yours (* is wrong)", self.yours, self.wrong), ("right", self.right, nothing))
        drawn = "".join(_side(f"{self.caption}: {what}", cells, wrong) for what, cells, wrong in sides)
        return f'<div style="display:flex;flex-wrap:wrap;gap:1.5em">{drawn}</div>'


@dataclass(frozen=True, repr=False)
class Report:
    """The result of one check.

    Attributes:
        check: name of the check.
        passed: whether the learner's code is right.
        message: what was found, in a sentence or two.
        bugs: names of the known bugs that were recognised; empty if it passed or if nothing known matches.
        facts: what was seen, most telling first.
        warnings: what is not wrong here but may be elsewhere.
        hints: the two hints that `hint` gives.
        tables: evidence for the HTML view.
    """

    check: str
    passed: bool
    message: str = ""
    bugs: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    hints: tuple[str, str] = ("", "")
    tables: tuple[Table, ...] = ()

    @property
    def headline(self) -> str:
        """Name the check and its verdict, the first line of the report."""
        if self.passed:
            return f"{self.check}: passed."
        return f"{self.check}: not yet."

    def hint(self, level: int = 1) -> str:
        """Say more: 1 is a hint, 2 the section of the book that explains it. Never the solution."""
        if level not in (1, 2):
            raise ValueError(f"hint takes 1 (a hint) or 2 (where to read), got {level!r}")
        if self.passed:
            return "It passed: there is nothing to hint at."
        return self.hints[level - 1]

    def score(self, max_points: float = 1.0) -> float:
        """Return all the points, or none: a check is one question."""
        return max_points if self.passed else 0 * max_points

    def to_json(self) -> str:
        """Return the report as JSON text, the same for the same code."""
        return json.dumps(asdict(self), sort_keys=True)

    def __repr__(self) -> str:
        lines = [self.headline, self.message]
        lines += [f"- {fact}" for fact in self.facts]
        lines += [f"Warning: {warning}" for warning in self.warnings]
        if not self.passed:
            lines.append("For a hint, call .hint(1) on this report; for where to read, .hint(2).")
        return "\n".join(line for line in lines if line)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        # nbgrader takes a cell that ends without an error for a full score, unless it ends with a number.
        grading = os.environ.get("NBGRADER_EXECUTION") == "autograde"
        printer.text("0" if grading and not self.passed else repr(self))

    def _repr_html_(self) -> str:
        parts = [f"<p><strong>{escape(self.headline)}</strong> {escape(self.message)}</p>"]
        if self.facts:
            parts.append("<ul>" + "".join(f"<li>{escape(fact)}</li>" for fact in self.facts) + "</ul>")
        parts += [f"<p><em>Warning:</em> {escape(warning)}</p>" for warning in self.warnings]
        parts += [table.to_html() for table in self.tables]
        if not self.passed:
            parts.append("<p>For a hint, call <code>.hint(1)</code>; for where to read, <code>.hint(2)</code>.</p>")
        return f'<div class="check-report">{"".join(parts)}</div>'


class CheckFailed(AssertionError):
    """Raised by a check that did not pass; `.report` says why, and is all that is shown."""

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.report = report

    def __str__(self) -> str:
        return repr(self.report)

    def _render_traceback_(self) -> list[str]:
        # IPython shows these lines instead of a traceback through our files.
        return [f"CheckFailed: {self}"]


def number(x: float) -> str:
    """Write a number in few digits, the same on every machine."""
    if not math.isfinite(x):
        return str(x)
    if abs(x) < 1e-6:
        return "0"
    if not 0.01 <= abs(x) < 1000 and x != int(x):
        return f"{x:.1e}"
    rounded = round(x, 2)
    return str(int(rounded)) if rounded == int(rounded) else f"{rounded:.2f}"


def _cells(matrix: Tensor) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(number(x) for x in row) for row in matrix.tolist())


def _side(caption: str, cells: Sequence[Sequence[str]], wrong: Sequence[Sequence[bool]]) -> str:
    rows = "".join(
        f"<tr>{''.join(_cell(text, bad) for text, bad in zip(row, marks, strict=True))}</tr>"
        for row, marks in zip(cells, wrong, strict=True)
    )
    return f'<table style="width:auto"><caption>{escape(caption)}</caption><tbody>{rows}</tbody></table>'


def _cell(text: str, wrong: bool) -> str:
    return f'<td style="{_WRONG if wrong else _CELL}">{escape(text)}{"*" if wrong else ""}</td>'
