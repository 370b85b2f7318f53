"""Bars beside the names of tokens: a track, filled as far as a number says, and the number.

How far that is, the style says, which gets the number; so the script changes numbers only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

LETTER = 8  # pixels, the width of a letter in the bars' monospaced font


def draw_bar(token: str, hundredths: int, picked: bool = False) -> str:
    """Return the bar of one token."""
    return (
        f'<div class="bar{" picked" if picked else ""}"><span>{escape(token)}</span>'
        f'<div class="track"><div class="fill" style="--number:{hundredths}"></div></div>'
        f"<span>{hundredths / 100:.2f}</span></div>"
    )


def draw_panel(name: str, bars: Iterable[str]) -> str:
    """Return a group of bars with its name above it."""
    return f'<div class="panel" role="group" aria-label="{escape(name)}"><p>{escape(name)}</p>{"".join(bars)}</div>'


def room_for_names(tokens: Iterable[str], most: float = math.inf) -> str:
    """Return the style that gives the names of bars the room of the longest, or of `most` letters."""
    return f"--names:{min(most, max(map(len, tokens))) * LETTER}px"
