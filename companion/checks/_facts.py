"""Facts about a matrix of attention weights under a mask, for every check that can get one out of a function."""

from __future__ import annotations

from torch import Tensor

from companion.checks._looks import spread
from companion.checks._report import number

NOTHING = (
    "A query that may attend to nothing gets NaN: the softmax of a row of -inf is 0/0. "
    "In this course such a query gets zeros; a single NaN spreads to every position in the next layer."
)
CAPTION = "Weights under a causal mask, rows are queries"
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
