"""The attention explorer: a picture of attention to play with, in a page that has no kernel.

Every digit shown is rounded to hundredths here, so that a re-run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from companion.viz._page import page_picture, scrolling_table
from companion.viz._weights import as_heads, check_tokens, hundredths

CELL = 28  # pixels, as are all lengths below
LETTER = 7.8  # the width of a letter, 13 pixels high, in a monospaced font
SLANT = 0.7  # sine and cosine of the angle at which the columns' names stand
LONGEST = 14  # letters of a token that are shown in the map


class AttentionExplorer:
    """A heat map of attention in which the reader picks a layer, a head and a token, and sees where it looks.

    Args:
        weights: attention weights as for `plot_attention`; or a dict of such by layer name, as `record_attention`
            gives it.
        query_tokens: the tokens that ask, one for each row.
        key_tokens: the tokens attended to, one for each column; the query tokens if not given.
        title: stands above the picture.

    Raises:
        ValueError: if a layer's weights do not match the tokens, or are not between 0 and 1.
    """

    def __init__(
        self,
        weights: Mapping[str, Any] | Any,
        query_tokens: Sequence[str],
        key_tokens: Sequence[str] | None = None,
        title: str = "Where each token looks",
    ) -> None:
        self.title = title
        key_tokens = query_tokens if key_tokens is None else key_tokens
        named = weights if isinstance(weights, Mapping) else {"attention": weights}
        if not named:
            raise ValueError("there are no layers to show: the dict of attention weights is empty")
        self.layers: dict[str, np.ndarray] = {}  # hundredths, (H, Q, K)
        for name, layer in named.items():
            what = f"weights of layer {name!r}" if isinstance(weights, Mapping) else "weights"
            heads = as_heads(layer, what)
            try:
                check_tokens(heads.shape, query_tokens, key_tokens, what)
            except ValueError as error:
                if len(named) == 1:
                    raise
                hint = "pass only the layers that attend from these query tokens to these key tokens"
                raise ValueError(f"{error}: {hint}") from None
            self.layers[name] = hundredths(heads)
        self.query_tokens, self.key_tokens = list(query_tokens), list(key_tokens)

    def __repr__(self) -> str:
        heads = sum(len(heads) for heads in self.layers.values())
        return (
            f"AttentionExplorer(layers={len(self.layers)}, heads={heads}, "
            f"query_tokens={len(self.query_tokens)}, key_tokens={len(self.key_tokens)})"
        )

    def _repr_html_(self) -> str:
        name, heads = next(iter(self.layers.items()))
        where = f"{name}, head 1 of {len(heads)}" if len(heads) > 1 else name
        picture = {
            "queries": self.query_tokens,
            "keys": self.key_tokens,
            "layers": [[name, heads.reshape(len(heads), -1).tolist()] for name, heads in self.layers.items()],
        }
        body = (
            '<div class="choices"></div>\n'
            f'<div class="views">\n<div class="map">{self._svg(heads[0], where)}</div>\n'
            '<div class="looks"><p class="sentence" aria-live="polite"></p><div class="bars"></div></div>\n</div>\n'
            '<p class="how">Each row asks (query), each column is attended to (key). '
            "The stronger the colour, the more attention.</p>\n"
            f"<details><summary>The numbers of {escape(where)}</summary>{self._table(heads[0], where)}</details>"
        )
        return page_picture("explorer", self.title, body, picture)

    def _svg(self, weights: np.ndarray, where: str) -> str:
        """Draw one head; each row is a group, which the script makes into something to pick."""
        rows, columns = [_short(token) for token in self.query_tokens], [_short(token) for token in self.key_tokens]
        left = round(max(map(len, rows), default=0) * LETTER + 14)
        slanted = round(max(map(len, columns), default=0) * LETTER * SLANT)
        top = slanted + 16
        grid = (len(columns) * CELL, len(rows) * CELL)
        width, height = left + grid[0] + max(slanted - CELL // 2, 4), top + grid[1] + 4
        names = "".join(
            f'<text transform="translate({left + column * CELL + CELL // 2 + 2} {top - 6}) rotate(-45)">'
            f"{escape(token)}</text>"
            for column, token in enumerate(columns)
        )
        drawn = []
        for row, token in enumerate(rows):
            cells = "".join(
                f'<rect x="{left + column * CELL + 1}" y="1" width="{CELL - 2}" height="{CELL - 2}" rx="3" '
                f'fill-opacity="{number / 100:g}"/>'
                for column, number in enumerate(weights[row])
            )
            drawn.append(
                f'<g class="asker" transform="translate(0 {top + row * CELL})">'
                f'<rect class="frame" x="1" width="{left + grid[0]}" height="{CELL}" rx="5"/>'
                f'<text x="{left - 8}" y="{CELL // 2}" text-anchor="end" dominant-baseline="central">'
                f'{escape(token)}</text><g class="cells">{cells}</g></g>'
            )
        label = (
            f"Heat map of attention weights, {where}. Rows: {', '.join(self.query_tokens)}. "
            f"Columns: {', '.join(self.key_tokens)}. The numbers are in the table below."
        )
        return (
            # On a narrow screen it shrinks to two thirds, where letters can still be read, and scrolls beyond that.
            f'<svg viewBox="0 0 {width} {height}" style="width:{width}px;min-width:{width * 2 // 3}px" role="img" '
            f'aria-label="{escape(label)}">'
            f'<g class="names" aria-hidden="true">{names}</g>\n' + "\n".join(drawn) + "</svg>"
        )

    def _table(self, weights: np.ndarray, where: str) -> str:
        """Write one head's numbers as a table, the text alternative of the drawing."""
        head = "".join(f'<th scope="col">{escape(token)}</th>' for token in self.key_tokens)
        body = "\n".join(
            f'<tr><th scope="row">{escape(token)}</th>{"".join(f"<td>{number / 100:.2f}</td>" for number in row)}</tr>'
            for token, row in zip(self.query_tokens, weights.tolist(), strict=True)
        )
        return scrolling_table(
            "Table of attention weights",
            f"<table><caption>{escape(where)}: rows ask, columns are attended to</caption>\n"
            f"<thead><tr><td></td>{head}</tr></thead>\n<tbody>{body}</tbody></table>",
        )


def _short(token: str) -> str:
    return token if len(token) <= LONGEST else token[: LONGEST - 1] + "…"
