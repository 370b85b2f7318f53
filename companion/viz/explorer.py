"""The attention explorer: a picture of attention to play with, in a page that has no kernel.

Every digit shown is rounded to hundredths here, so that a re-run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from companion.viz._bars import draw_bar, room_for_names
from companion.viz._heat_map import draw_heat_map
from companion.viz._page import page_picture
from companion.viz._table import digits, scroll, write_table
from companion.viz._weights import as_heads, check_tokens, hundredths

CELL = 28  # pixels
LONGEST = 16  # letters of a token that have room beside its bar


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
        bars = "".join(map(draw_bar, self.key_tokens, heads[0, 0].tolist()))
        body = (
            '<div class="choices"></div>\n'
            f'<div class="views">\n{self._map(heads[0], where)}\n'
            '<div class="looks"><p class="sentence" aria-live="polite"></p>'
            f'<div style="{room_for_names(self.key_tokens, LONGEST)}">{bars}</div></div>\n</div>\n'
            '<p class="how">Each row asks (query), each column is attended to (key). '
            "The stronger the colour, the more attention.</p>\n"
            f"<details><summary>The numbers of {escape(where)}</summary>{self._table(heads[0], where)}</details>"
        )
        return page_picture("explorer", self.title, body, picture)

    def _map(self, weights: np.ndarray, where: str) -> str:
        """Draw one head."""
        label = (
            f"Heat map of attention weights, {where}. Rows: {', '.join(self.query_tokens)}. "
            f"Columns: {', '.join(self.key_tokens)}. The numbers are in the table below."
        )

        def draw_cell(row: int, column: int, start: int) -> str:
            return f'<rect x="{start + 1}" fill-opacity="{weights[row, column] / 100:g}"/>'

        return draw_heat_map(self.query_tokens, self.key_tokens, CELL, draw_cell, label)

    def _table(self, weights: np.ndarray, where: str) -> str:
        """Write one head's numbers as a table, the text alternative of the drawing."""
        rows = [[token, *digits(row)] for token, row in zip(self.query_tokens, weights.tolist(), strict=True)]
        caption = f"{where}: rows ask, columns are attended to"
        return scroll("Table of attention weights", write_table(caption, self.key_tokens, rows))
