"""The mask laboratory: build a mask and see who may attend to whom, in a page that has no kernel.

The reader combines a padding mask and a look-ahead mask and changes single cells; the weights of fixed scores follow.
Scores are rounded to hundredths first, so that a re-run gives the same bytes and the script the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from companion.attention import attention_weights
from companion.masks import causal_mask
from companion.viz._heat_map import LONGEST, draw_heat_map
from companion.viz._page import page_picture
from companion.viz._table import digits, scroll, write_table
from companion.viz._weights import check_tokens, hundredths

PAD = "<pad>"
CELL = 38  # pixels


class MaskLab:
    """A mask to build from padding, look-ahead and single cells, with the attention weights that it leaves.

    Args:
        scores: (Q, K) numbers, the scores before the softmax; rounded to hundredths.
        query_tokens: the tokens that ask, one for each row.
        key_tokens: the tokens attended to, one for each column; the query tokens if not given.
        padding: how many of the last keys are filling at first. Filling is shown as "<pad>".
        causal: whether the look-ahead mask is on at first.
        title: stands above the picture.

    Raises:
        ValueError: if the scores do not match the tokens or are not finite, or there is more padding than keys.
    """

    def __init__(
        self,
        scores: Any,
        query_tokens: Sequence[str],
        key_tokens: Sequence[str] | None = None,
        *,
        padding: int = 1,
        causal: bool = True,
        title: str = "Build a mask",
    ) -> None:
        values = torch.as_tensor(scores).detach().cpu().double()
        if values.dim() != 2 or not values.numel():
            raise ValueError(f"scores must have shape (Q, K), got {tuple(values.shape)}")
        if not values.isfinite().all():
            raise ValueError("scores hold NaN or infinity: give them before the mask, the picture sets the -inf")
        self.own = key_tokens is None  # self-attention: where a key is padding, its query is, too
        key_tokens = query_tokens if key_tokens is None else key_tokens
        check_tokens(tuple(values.shape), query_tokens, key_tokens, "scores")
        if not 0 <= padding <= values.size(1):
            raise ValueError(f"padding must lie between 0 and the number of keys ({values.size(1)}), got {padding}")
        self.scores = hundredths(values.numpy())
        self.query_tokens, self.key_tokens = list(query_tokens), list(key_tokens)
        self.padding, self.causal, self.title = padding, causal, title

    def __repr__(self) -> str:
        return (
            f"MaskLab(query_tokens={len(self.query_tokens)}, key_tokens={len(self.key_tokens)}, "
            f"padding={self.padding}, causal={self.causal})"
        )

    def mask(self) -> Tensor:
        """Return the mask shown at first, bool (Q, K), True = may attend."""
        num_queries, num_keys = self.scores.shape
        real = torch.arange(num_keys) < num_keys - self.padding
        return real & causal_mask(num_queries, num_keys) if self.causal else real.expand(num_queries, num_keys)

    def _repr_html_(self) -> str:
        num_queries, num_keys = self.scores.shape
        mask = self.mask()
        # With these keys, query · key / √K is the score itself.
        query = torch.from_numpy(self.scores / 100) * math.sqrt(num_keys)
        weights = hundredths(attention_weights(query, torch.eye(num_keys, dtype=torch.float64), mask).numpy())
        names = self._names(self.query_tokens, self.own), self._names(self.key_tokens, True)
        which = [f"{self.padding} of {num_keys} keys are padding"] + ["look-ahead mask on"] * self.causal
        body = (
            '<div class="choices"></div>\n'
            f"{self._map(mask.numpy(), weights, names, ', '.join(which))}\n"
            '<p class="sentence" aria-live="polite"></p><p class="state" aria-live="polite"></p>\n'
            '<p class="how">Each row asks (query), each column is attended to (key). A cell with a number may be '
            "attended to, and the number is its weight; a cell that is struck out may not.</p>\n"
            "<details><summary>The numbers</summary>"
            f"{_table('weights', names, weights)}\n{_table('scores', names, self.scores)}</details>"
        )
        picture = {
            "queries": self.query_tokens,
            "keys": self.key_tokens,
            "own": self.own,
            "scores": self.scores.tolist(),
            "padding": self.padding,
            "causal": self.causal,
            "longest": LONGEST,
        }
        return page_picture("mask_lab", self.title, body, picture)

    def _names(self, tokens: list[str], padded: bool) -> list[str]:
        """Name the tokens; the last ones are filling."""
        real = len(tokens) - self.padding if padded else len(tokens)
        return [token if position < real else PAD for position, token in enumerate(tokens)]

    def _map(self, mask: np.ndarray, weights: np.ndarray, names: tuple[list[str], list[str]], which: str) -> str:
        """Draw the cells, struck out where a query may not attend to a key."""
        rows, columns = names
        label = (
            f"A mask with the weights it leaves: {which}. Rows: {', '.join(rows)}. Columns: {', '.join(columns)}. "
            "The numbers are in the table below."
        )

        def draw_cell(row: int, column: int, start: int) -> str:
            may, number = mask[row, column], weights[row, column] / 100
            return (
                f'<g class="cell{"" if may else " no"}" transform="translate({start} 0)">'
                f'<rect x="1" fill-opacity="{number:g}"/><path d="M9 {CELL - 9}L{CELL - 9} 9"/>'
                f'<text x="{CELL // 2}" y="{CELL // 2}">{f"{number:.2f}" if may else ""}</text></g>'
            )

        room = [*self.query_tokens, PAD], [*self.key_tokens, PAD]
        return draw_heat_map(rows, columns, CELL, draw_cell, label, room)


def _table(kind: str, names: tuple[list[str], list[str]], hundredths: np.ndarray) -> str:
    """Write a matrix as a table, the text alternative of the drawing."""
    rows = [[token, *digits(row)] for token, row in zip(names[0], hundredths.tolist(), strict=True)]
    caption = f"{kind.capitalize()}: rows ask, columns are attended to"
    return scroll(f"Table of the {kind}", write_table(caption, names[1], rows, kind=kind))
