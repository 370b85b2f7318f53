"""The mask laboratory: build a mask and see who may attend to whom, in a page that has no kernel.

The reader combines a padding mask and a look-ahead mask and changes single cells; the weights of fixed scores follow.
Scores are rounded to hundredths first, so that a re-run gives the same bytes and the script the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import torch
from torch import Tensor

from companion.attention import attention_weights
from companion.masks import causal_mask
from companion.viz._page import page_picture, scrolling_table
from companion.viz._weights import check_tokens, hundredths

PAD = "<pad>"
CELL = 38  # pixels, as are all lengths below
LETTER = 7.8  # the width of a letter, 13 pixels high, in a monospaced font
SLANT = 0.7  # sine and cosine of the angle at which the columns' names stand
LONGEST = 14  # letters of a token that are shown beside the cells


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
        shown = [f"{number / 100:.2f}" for number in weights.flatten()]
        numbers = [f"{number / 100:.2f}" for number in self.scores.flatten()]
        body = (
            '<div class="choices"></div>\n'
            f'<div class="map">{self._svg(mask.numpy(), weights, names, ", ".join(which))}</div>\n'
            '<p class="sentence" aria-live="polite"></p><p class="state" aria-live="polite"></p>\n'
            '<p class="how">Each row asks (query), each column is attended to (key). A cell with a number may be '
            "attended to, and the number is its weight; a cell that is struck out may not.</p>\n"
            "<details><summary>The numbers</summary>"
            f"{_table('Weights', 'weights', names, shown)}\n{_table('Scores', 'scores', names, numbers)}</details>"
        )
        picture = {
            "queries": self.query_tokens,
            "keys": self.key_tokens,
            "own": self.own,
            "scores": self.scores.tolist(),
            "padding": self.padding,
            "causal": self.causal,
        }
        return page_picture("mask_lab", self.title, body, picture)

    def _names(self, tokens: list[str], padded: bool) -> list[str]:
        """Name the tokens; the last ones are filling."""
        real = len(tokens) - self.padding if padded else len(tokens)
        return [token if position < real else PAD for position, token in enumerate(tokens)]

    def _svg(self, mask: np.ndarray, weights: np.ndarray, names: tuple[list[str], list[str]], which: str) -> str:
        rows, columns = names
        longest = [max(map(len, map(_short, [*tokens, PAD]))) for tokens in (self.query_tokens, self.key_tokens)]
        left, slanted = round(longest[0] * LETTER + 14), round(longest[1] * LETTER * SLANT)
        top = slanted + 16
        grid = (len(columns) * CELL, len(rows) * CELL)
        width, height = left + grid[0] + max(slanted - CELL // 2, 4), top + grid[1] + 4
        above = "".join(
            f'<text transform="translate({left + column * CELL + CELL // 2 + 2} {top - 6}) rotate(-45)">'
            f"{escape(_short(token))}</text>"
            for column, token in enumerate(columns)
        )
        drawn = []
        for row, token in enumerate(rows):
            cells = "".join(
                f'<g class="cell{"" if mask[row, column] else " no"}" '
                f'transform="translate({left + column * CELL} 0)">'
                f'<rect x="1" y="1" width="{CELL - 2}" height="{CELL - 2}" rx="4" '
                f'fill-opacity="{weights[row, column] / 200:g}"/>'
                f'<path d="M9 {CELL - 9}L{CELL - 9} 9"/>'
                f'<text x="{CELL // 2}" y="{CELL // 2}" text-anchor="middle" dominant-baseline="central">'
                f"{f'{weights[row, column] / 100:.2f}' if mask[row, column] else ''}</text></g>"
                for column in range(len(columns))
            )
            drawn.append(
                f'<g class="asker" transform="translate(0 {top + row * CELL})">'
                f'<rect class="frame" x="1" width="{left + grid[0]}" height="{CELL}" rx="5"/>'
                f'<text class="name" x="{left - 8}" y="{CELL // 2}" text-anchor="end" dominant-baseline="central">'
                f"{escape(_short(token))}</text>{cells}</g>"
            )
        label = (
            f"A mask with the weights it leaves: {which}. Rows: {', '.join(rows)}. Columns: {', '.join(columns)}. "
            "The numbers are in the table below."
        )
        return (
            # On a narrow screen it shrinks to two thirds, where letters can still be read, and scrolls beyond that.
            f'<svg viewBox="0 0 {width} {height}" style="width:{width}px;min-width:{width * 2 // 3}px" role="img" '
            f'aria-label="{escape(label)}">'
            f'<g class="names" aria-hidden="true">{above}</g>\n' + "\n".join(drawn) + "</svg>"
        )


def _table(label: str, name: str, names: tuple[list[str], list[str]], numbers: list[str]) -> str:
    """Write a matrix as a table, the text alternative of the drawing."""
    rows, columns = names
    head = "".join(f'<th scope="col">{escape(token)}</th>' for token in columns)
    body = "\n".join(
        f'<tr><th scope="row">{escape(token)}</th>'
        f"{''.join(f'<td>{number}</td>' for number in numbers[row * len(columns) : (row + 1) * len(columns)])}</tr>"
        for row, token in enumerate(rows)
    )
    return scrolling_table(
        f"Table of the {name}",
        f'<table class="{name}"><caption>{label}: rows ask, columns are attended to</caption>\n'
        f"<thead><tr><td></td>{head}</tr></thead>\n<tbody>{body}</tbody></table>",
    )


def _short(token: str) -> str:
    return token if len(token) <= LONGEST else token[: LONGEST - 1] + "…"
