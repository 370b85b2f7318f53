"""All heads of one layer side by side: pick the token that asks, and see where each head looks.

Every digit shown is rounded to hundredths here, so that a re-run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from companion.viz._bars import draw_bar, draw_panel, room_for_names
from companion.viz._page import page_picture
from companion.viz._table import digits, scroll, write_table
from companion.viz._weights import as_heads, check_tokens, hundredths

LONGEST = 14  # letters of a token that have room beside its bar


class HeadsSideBySide:
    """Bars of attention for every head of one layer, and for the mean of the heads, of a token that the reader picks.

    Args:
        weights: attention weights of one sequence, (H, Q, K) or (1, H, Q, K), as `record_attention` collects them.
        query_tokens: the tokens that ask, one for each row.
        key_tokens: the tokens attended to, one for each column; the query tokens if not given.
        title: stands above the picture.

    Raises:
        ValueError: if the weights do not match the tokens, or are not between 0 and 1.
    """

    def __init__(
        self,
        weights: Any,
        query_tokens: Sequence[str],
        key_tokens: Sequence[str] | None = None,
        title: str = "What each head looks at",
    ) -> None:
        key_tokens = query_tokens if key_tokens is None else key_tokens
        heads = as_heads(weights)
        check_tokens(heads.shape, query_tokens, key_tokens)
        self.title = title
        self.query_tokens, self.key_tokens = list(query_tokens), list(key_tokens)
        self.names = [f"head {head + 1}" for head in range(len(heads))]
        self.numbers = hundredths(heads)  # (H, Q, K); with the mean of more than one head, (H + 1, Q, K)
        if len(heads) > 1:
            self.names.append("mean of the heads")
            self.numbers = np.concatenate([self.numbers, hundredths(heads.mean(axis=0, keepdims=True))])

    def __repr__(self) -> str:
        heads = sum(name.startswith("head ") for name in self.names)
        return (
            f"HeadsSideBySide(heads={heads}, query_tokens={len(self.query_tokens)}, key_tokens={len(self.key_tokens)})"
        )

    def _repr_html_(self) -> str:
        picture = {
            "queries": self.query_tokens,
            "keys": self.key_tokens,
            "names": self.names,
            "numbers": self.numbers.reshape(len(self.names), -1).tolist(),
        }
        panels = "\n".join(
            draw_panel(name, map(draw_bar, self.key_tokens, rows[0].tolist()))
            for name, rows in zip(self.names, self.numbers, strict=True)
        )
        body = (
            '<div class="choices"></div>\n'
            f'<p class="sentence" aria-live="polite">The first token, \'{escape(self.query_tokens[0])}\', asks.</p>\n'
            f'<div class="panels" style="{room_for_names(self.key_tokens, LONGEST)}">\n{panels}\n</div>\n'
            '<p class="how">Each bar is the weight that the token which asks gives to another. Those of one head '
            "sum to 1, up to rounding.</p>\n"
            f"<details><summary>The numbers of all tokens</summary>{self._table()}</details>"
        )
        return page_picture("heads", self.title, body, picture)

    def _table(self) -> str:
        """Write all numbers as a table: a group of rows for each token that asks, a row for each head."""
        caption = "Each row is a token that asks, and a head; columns are attended to"
        rows = [
            [token, name, *digits(self.numbers[index, query].tolist())]
            for query, token in enumerate(self.query_tokens)
            for index, name in enumerate(self.names)
        ]
        table = write_table(caption, self.key_tokens, rows, corner=("asks", "head"))
        return scroll("Table of attention weights", table)
