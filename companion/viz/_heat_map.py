"""A heat map as SVG: a row of cells for each token that asks, a column for each that is attended to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

LETTER = 7.8  # pixels, as are all lengths here: the width of a letter, 13 pixels high, in a monospaced font
SLANT = 0.7  # sine and cosine of the angle at which the columns' names stand
LONGEST = 14  # letters of a token that are shown beside the cells


def draw_heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    size: int,
    draw_cell: Callable[[int, int, int], str],
    label: str,
    room: tuple[Sequence[str], Sequence[str]] | None = None,
) -> str:
    """Return the SVG, in a box in which it scrolls.

    Args:
        rows: the tokens that ask; each row is a group of the class "asker", which the script makes answer.
        columns: the tokens attended to.
        size: of a cell.
        draw_cell: draws a cell, given its row, its column and where the column begins. The style gives a cell's
            `<rect>` its size.
        label: the text alternative.
        room: the tokens for which there is to be room beside the rows and above the columns, where the script may
            write others than those shown.
    """
    beside, above = room or (rows, columns)
    left = round(_longest(beside) * LETTER + 14)
    slanted = round(_longest(above) * LETTER * SLANT)
    top = slanted + 16
    right, bottom = left + len(columns) * size, top + len(rows) * size
    width, height = right + max(slanted - size // 2, 4), bottom + 4
    starts = range(left, right, size)
    names = "".join(
        f'<text transform="translate({start + size // 2 + 2} {top - 6}) rotate(-45)">{escape(shorten(token))}</text>'
        for start, token in zip(starts, columns, strict=True)
    )
    drawn = "\n".join(
        f'<g class="asker" transform="translate(0 {top + row * size})">'
        f'<rect class="frame" x="1" width="{right}" height="{size}" rx="5"/>'
        f'<text class="name" x="{left - 8}" y="{size // 2}">{escape(shorten(token))}</text>'
        f"{''.join(draw_cell(row, column, start) for column, start in enumerate(starts))}</g>"
        for row, token in enumerate(rows)
    )
    return (
        # On a narrow screen it shrinks to two thirds, where letters can still be read, and scrolls beyond that.
        f'<div class="heat"><svg viewBox="0 0 {width} {height}" style="--cell:{size}px;width:{width}px;'
        f'min-width:{width * 2 // 3}px" role="img" aria-label="{escape(label)}">'
        f'<g class="names" aria-hidden="true">{names}</g>\n{drawn}</svg></div>'
    )


def shorten(token: str) -> str:
    """Cut a token that is too long to stand beside the cells."""
    return token if len(token) <= LONGEST else token[: LONGEST - 1] + "…"


def _longest(tokens: Sequence[str]) -> int:
    """Count the letters that are shown of the longest token."""
    return min(LONGEST, max(map(len, tokens)))
