"""Facts about a matrix of attention weights under a mask, for every check that can get one out of a function.

Where no known bug explains the weights, a scale, a fill or an overflow can be read off them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks.engine.properties import spread
from companion.checks.engine.report import number

NOTHING = (
    "A query that may attend to nothing gets NaN: the softmax of a row of -inf is 0/0. "
    "In this course such a query gets zeros; a single NaN spreads to every position in the next layer."
)
CAPTION = "Weights under a causal mask, rows are queries"
OVERFLOW = (
    "With large scores, and only there, you get NaN: exp of a large number is infinite. torch.softmax subtracts the "
    "largest score of each row first."
)
_CLOSE = 1e-4
_SMALLEST = 1e-4


def facts_of_weights(weights: Tensor, mask: Tensor) -> list[str]:
    """Say what is odd about weights (..., Q, K) under a causal mask (Q, K): their sums, signs, and leaks."""
    facts = []
    sums = weights.sum(dim=-1)
    sums = sums[sums.isfinite()]
    if sums.numel() and (sums - 1).abs().max() > 0.005:
        facts.append(f"Rows of your weights sum to {spread(sums)}; each should sum to 1.")
    if weights.min() < -_SMALLEST:
        facts.append(f"Some of your weights are negative, down to {number(float(weights.min()))}.")
    hidden = (weights.abs() > _SMALLEST) & ~mask
    if hidden.any():
        *item, row, column = (int(i) for i in hidden.nonzero()[0])
        leaked = float(weights[(*item, row, column)])
        facts.append(
            f"Under a causal mask query {row} gives weight {number(leaked)} to key {column}, which it may not attend "
            "to."
        )
    return facts


def scale_of(weights: Tensor, query: Tensor, key: Tensor) -> list[str]:
    """Say with what the dot products were multiplied, if weights that nothing hides are a softmax of them."""
    if weights.isnan().all():
        return [
            "With a mask that hides nothing all your weights are NaN. If you multiply a mask by -inf: 0 * -inf is NaN; "
            "masked_fill puts -inf where it belongs."
        ]
    if not weights.log().isfinite().all():
        return []
    products, logs = (x - x.mean(dim=-1, keepdim=True) for x in (query @ key.mT, weights.log()))
    scale = float((products * logs).sum() / (products * products).sum())
    right = query.size(-1) ** -0.5
    if (logs - scale * products).abs().max() > _CLOSE or abs(scale - right) < _CLOSE:
        return []
    return [
        f"With d_k = {query.size(-1)} your weights are a softmax of the dot products times {number(scale)}; it should "
        f"be times {number(right)}, 1 / sqrt(d_k)."
    ]


def fill_of(weights: Tensor, query: Tensor, key: Tensor, mask: Tensor) -> list[str]:
    """Say what score hidden keys (mask (Q, K) is False) have, if the others' are right and theirs all the same."""
    if not (weights > 0).all():
        return []
    # Up to a number for each row, the logarithm of a softmax is its scores.
    gap = (weights.log() - query @ key.mT / query.size(-1) ** 0.5).masked_fill(~mask, torch.nan)
    row = gap.nanmean(dim=-1, keepdim=True)
    fill = (weights.log() - row)[(~mask).expand_as(weights)]
    if (gap - row).nan_to_num().abs().max() > _CLOSE or fill.std() > _CLOSE:
        return []
    return [f"Hidden keys get the weight of a score of {number(float(fill.mean()))}; it should be -inf."]


def of_large_scores(weights: Tensor) -> list[str]:
    """Say what becomes of large scores in weights that are right on small ones."""
    if weights.isnan().any():
        return [OVERFLOW]
    if weights.sum(dim=-1).min() < 0.5:
        return [
            "With large scores, and only there, some rows of your weights sum to less than 1: exp of a very negative "
            "number is 0. Subtract from each row its largest score that is not hidden, as torch.softmax does."
        ]
    return []
