"""The axes of a norm: which numbers of a batch share a mean and a variance, in a page that has no kernel.

The reader switches the norm, picks a number and sees the numbers that its statistics are taken over. Everything is
computed here, for every choice, and rounded to hundredths, so that a re-run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.add_norm import LayerNorm
from companion.viz._page import page_picture
from companion.viz._table import digits, enclose_rows, scroll, write_row
from companion.viz._weights import hundredths

EPS = 1e-5


class Choice(NamedTuple):
    """One norm, in one mode, applied to the whole batch; every tensor is (B, L, D)."""

    name: str
    output: Tensor
    mean: Tensor | None  # none is subtracted by RMS norm, and by no norm
    spread: Tensor | None  # the variance; the mean of the squares for RMS norm
    group: Tensor | None  # numbers of one group share their statistics; running averages are shared by none
    counted: Tensor  # bool: whether a number takes part in the statistics of its group


class NormAxes:
    """A small batch whose numbers the reader picks, to see which others a norm takes the statistics over.

    Args:
        x: (B, L, D) numbers, the batch before the norm.
        lengths: how many tokens of each item are real; what comes after is padding. All of them if not given.
        running: the running mean and variance (D,) that batch norm uses at inference; 0 and 1 if not given.
        title: stands above the picture.

    Raises:
        ValueError: if `x` is not a batch of finite numbers, or the lengths or averages do not match it.
    """

    def __init__(
        self,
        x: Any,
        lengths: Sequence[int] | None = None,
        *,
        running: tuple[Any, Any] | None = None,
        title: str = "Which numbers share a mean and a variance?",
    ) -> None:
        values = torch.as_tensor(x).detach().cpu().double()
        if values.dim() != 3 or not values.numel():
            raise ValueError(f"x must have shape (batch, length, features), got {tuple(values.shape)}")
        if not values.isfinite().all():
            raise ValueError("x holds NaN or infinity, which have no mean")
        batch, length, features = values.shape
        lengths = [length] * batch if lengths is None else list(lengths)
        if len(lengths) != batch or not all(0 <= real <= length for real in lengths) or not sum(lengths):
            raise ValueError(f"lengths must be {batch} numbers from 0 to {length}, not all 0, got {lengths}")
        given = (torch.zeros(features), torch.ones(features)) if running is None else running
        self.running = tuple(torch.as_tensor(part).detach().cpu().double() for part in given)
        if any(part.shape != (features,) for part in self.running):
            raise ValueError(f"running must be a mean and a variance of {features} features each")
        self.x, self.lengths, self.title = values, lengths, title
        self.real = torch.arange(length) < torch.tensor(lengths)[:, None]  # (B, L)

    def __repr__(self) -> str:
        return f"NormAxes(x={tuple(self.x.shape)}, lengths={self.lengths})"

    def _choices(self) -> list[Choice]:
        """Apply every norm to the batch, with a scale of 1 and a shift of 0."""
        x, everywhere = self.x, torch.ones_like(self.x, dtype=torch.bool)
        batch, length, features = x.shape
        token = torch.arange(batch * length).view(batch, length, 1).expand_as(x)
        feature = torch.arange(features).expand_as(x)

        mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
        square = x.square().mean(-1, keepdim=True)
        layer_norm = LayerNorm(features, EPS).double()(x).detach()
        rms_norm = x / torch.sqrt(square + EPS)
        found = [
            Choice("none", x, None, None, None, everywhere),
            Choice("layer norm", layer_norm, mean, variance, token, everywhere),
            Choice("RMS norm", rms_norm, None, square, token, everywhere),
        ]

        rows = x.flatten(0, 1)  # (B L, D): to batch norm, every token of the batch is one sample
        normalised = (rows - rows.mean(0)) / torch.sqrt(rows.var(0, unbiased=False) + EPS)
        found.append(
            Choice(
                "batch norm, training",
                normalised.view_as(x),
                rows.mean(0),
                rows.var(0, unbiased=False),
                feature,
                everywhere,
            )
        )
        only = x[self.real]  # (real tokens, D)
        mean, variance = only.mean(0), only.var(0, unbiased=False)
        counted = self.real[:, :, None].expand_as(x)
        output = (x - mean) / torch.sqrt(variance + EPS)
        found.append(Choice("batch norm without padding, training", output, mean, variance, feature, counted))
        mean, variance = self.running
        output = F.batch_norm(rows, mean, variance, eps=EPS).view_as(x)
        found.append(Choice("batch norm, inference", output, mean, variance, None, everywhere))
        return found

    def _repr_html_(self) -> str:
        batch, length, features = self.x.shape
        packed = []
        for choice in self._choices():
            packed.append(
                {
                    "name": choice.name,
                    "out": _hundredths(choice.output),
                    "mean": None if choice.mean is None else _hundredths(choice.mean.expand_as(self.x)),
                    "spread": None if choice.spread is None else _hundredths(choice.spread.expand_as(self.x)),
                    "group": None if choice.group is None else choice.group.flatten().tolist(),
                    "counted": [int(one) for one in choice.counted.flatten().tolist()],
                }
            )
        picture = {
            "shape": [batch, length, features],
            "real": [int(one) for one in self.real.flatten().tolist()],
            "x": _hundredths(self.x),
            "choices": packed,
        }
        after = "\n".join(
            self._table(f"After {choice.name}", choice.output) for choice in self._choices() if choice.name != "none"
        )
        body = (
            '<div class="choices"></div>\n'
            f'<div class="batch">{self._table("The batch before the norm", self.x)}</div>\n'
            '<p class="sentence" aria-live="polite"></p>\n'
            '<p class="how">Each row is one token, each column one feature; p is a position. Layer norm and RMS norm '
            "take their statistics along a row. Batch norm takes them down a column, through all items.</p>\n"
            f"<details><summary>The numbers after every norm</summary>{after}</details>"
        )
        return page_picture("norm_axes", self.title, body, picture)

    def _table(self, caption: str, values: Tensor) -> str:
        """Write one batch as a table, item under item."""
        features = self.x.size(-1)
        items = []
        for item, tokens in enumerate(values):
            rows = [f'<tr><th class="item" scope="rowgroup" colspan="{features + 1}">item {item}</th></tr>']
            for position, numbers in enumerate(tokens):
                real = self.real[item, position]
                name = f"p {position}" if real else f"p {position} <pad>"
                rows.append(write_row([name], digits(_hundredths(numbers)), kind="" if real else "pad"))
            items.append(f"<tbody>{''.join(rows)}</tbody>")
        columns = [f"feature {feature}" for feature in range(features)]
        return scroll(caption, enclose_rows(caption, columns, "\n".join(items)))


def _hundredths(values: Tensor) -> list[int]:
    whole: list[int] = hundredths(values.flatten().numpy()).tolist()
    return whole
