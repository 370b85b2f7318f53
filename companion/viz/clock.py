"""The position clock: sinusoidal positions as hands that turn, a picture to play with in a page that has no kernel.

Each pair (sine, cosine) of the encoding is the tip of a hand on a clock face: straight up at position 0, turning to
the right, the first pair fast and the last one slowly.
"""

from __future__ import annotations

from html import escape
from typing import Any

import torch

from companion.positional import sinusoidal_encoding
from companion.viz._page import page_picture
from companion.viz._table import scroll, write_table

FACE, RADIUS, HAND = 84, 38, 34  # pixels: the square a clock stands in, its circle, its hand


class PositionClock:
    """Clock faces, one for each pair of features of `sinusoidal_encoding`, that a slider turns to any position.

    A second, thinner hand shows a position some steps further on. The angle between the two hands of a clock is the
    same wherever they stand.

    Args:
        d_model: number of features, even.
        max_position: the largest position that the slider reaches.
        max_offset: the largest distance of the second position.
        position: where it starts.
        offset: the distance at which it starts.
        title: stands above the picture.

    Raises:
        ValueError: if `d_model` is odd, or it would start out of reach.
    """

    def __init__(
        self,
        d_model: int = 16,
        max_position: int = 60,
        max_offset: int = 20,
        position: int = 3,
        offset: int = 2,
        title: str = "Positions as turning hands",
    ) -> None:
        for name, start, most in (("position", position, max_position), ("offset", offset, max_offset)):
            if not 0 <= start <= most:
                raise ValueError(f"{name} must lie between 0 and max_{name} ({most}), got {start}")
        encoding = sinusoidal_encoding(max_position + max_offset + 1, d_model)
        self.d_model, self.max_position, self.max_offset = d_model, max_position, max_offset
        self.position, self.offset, self.title = position, offset, title
        self.thousandths: list[list[int]] = (encoding.double() * 1000).round().long().tolist()
        # Exact angles: the float32 table knows them to six digits only.
        frequencies = 10_000.0 ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
        turns = torch.arange(max_offset + 1, dtype=torch.float64)[:, None] * frequencies  # (offsets, d_model / 2)
        degrees = (turns.rad2deg() % 360 * 10).round().long() % 3600
        self.tenths_of_degrees: list[list[int]] = degrees.tolist()
        self.products: list[int] = (turns.cos().sum(dim=1) * 100).round().long().tolist()  # hundredths

    def __repr__(self) -> str:
        return f"PositionClock(d_model={self.d_model}, max_position={self.max_position}, max_offset={self.max_offset})"

    def _repr_html_(self) -> str:
        data: dict[str, Any] = {
            "encoding": self.thousandths,
            "turns": self.tenths_of_degrees,
            "products": self.products,
            "position": self.position,
            "offset": self.offset,
            "positions": self.max_position,
            "offsets": self.max_offset,
        }
        here, there = self.thousandths[self.position], self.thousandths[self.position + self.offset]
        pairs = range(0, self.d_model, 2)
        clocks = "\n".join(self._clock(first, here, there) for first in pairs)
        label = (
            f"{self.d_model // 2} clock faces, one for each pair of features. The thick hand stands at position "
            f"{self.position}, the thin hand at position {self.position + self.offset}. The numbers are in the table "
            "below."
        )
        body = (
            '<div class="choices"></div>\n'
            f'<p class="sentence" aria-live="polite">{escape(self._sentence())}</p>\n'
            f'<div class="faces" role="img" aria-label="{escape(label)}">{clocks}</div>\n'
            '<p class="how">Each clock is a pair of features, named below it; the tip of its thick hand lies '
            "at (sine, cosine). All hands stand upright at position 0 and turn to the right. "
            "The thin hand is the later position.</p>\n"
            f"<details><summary>The numbers of position {self.position}</summary>{self._table(here)}</details>"
        )
        return page_picture("clock", self.title, body, data)

    def _sentence(self) -> str:
        product = self.products[self.offset] / 100
        return (
            f"Position {self.position}, and position {self.position + self.offset}: {self.offset} further on. "
            f"Dot product of the two encodings: {product:.2f}, as for any two positions {self.offset} apart."
        )

    def _clock(self, first: int, here: list[int], there: list[int]) -> str:
        """Draw one clock; a unit of its hands is a thousandth of their length, and upwards is positive."""
        middle = FACE // 2
        hands = "".join(
            f'<line class="{name}" x2="{numbers[first]}" y2="{numbers[first + 1]}"/>'
            for name, numbers in (("later", there), ("now", here))
        )
        return (
            f'<div class="face"><svg viewBox="0 0 {FACE} {FACE}" width="{FACE}" height="{FACE}" aria-hidden="true">'
            f'<circle cx="{middle}" cy="{middle}" r="{RADIUS}"/>'
            f'<g transform="translate({middle} {middle}) scale({HAND / 1000} {-HAND / 1000})">{hands}</g></svg>'
            f"<span>{first}, {first + 1}</span>"
            f"<span>sin <b>{here[first] / 1000:.3f}</b></span>"
            f"<span>cos <b>{here[first + 1] / 1000:.3f}</b></span></div>"
        )

    def _table(self, here: list[int]) -> str:
        text = [f"{number / 1000:.3f}" for number in here]
        degrees = [f"{tenths / 10:.1f}" for tenths in self.tenths_of_degrees[self.offset]]
        rows = [
            [f"{first}, {first + 1}", text[first], text[first + 1], degrees[first // 2]]
            for first in range(0, self.d_model, 2)
        ]
        columns = ["sine", "cosine", "degrees to the later hand"]
        return scroll("Table of the encoding", write_table("", columns, rows, corner=["features"]))
