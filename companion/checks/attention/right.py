"""Attention from parts: the right ones, and how to put a function together from right and wrong ones.

A function that computes attention takes four decisions. A bug in the bank is one of them taken wrongly, so two
bugs at once can be told apart as long as they concern different parts:

- ``scores(query, key)``
- ``mask(scores, mask, softmax)``, which also says when the softmax is taken
- ``softmax(scores)``
- ``output(weights, query, key, value)``

Shapes: B batch, H heads, Q queries, K keys, D features of queries and keys, V features of values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

Softmax = Callable[[Tensor], Tensor]


def right_scores(query: Tensor, key: Tensor) -> Tensor:
    """Return the products of queries and keys over the root of the features, (B, H, Q, K)."""
    return query @ key.transpose(-2, -1) / query.size(-1) ** 0.5


def right_mask(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    """Hide what the mask forbids before the softmax; a query that may attend to nothing gets zeros."""
    weights = softmax(scores.masked_fill(~mask, float("-inf")))
    return weights.masked_fill(~mask.any(dim=-1, keepdim=True), 0.0)


def right_softmax(scores: Tensor) -> Tensor:
    """Take the softmax over the keys."""
    return scores.softmax(dim=-1)


def right_output(weights: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Average the values, (B, H, Q, V)."""
    return weights @ value


RIGHT: dict[str, Callable[..., Any]] = {
    "scores": right_scores,
    "mask": right_mask,
    "softmax": right_softmax,
    "output": right_output,
}


def build_weights(parts: Mapping[str, Callable[..., Any]]) -> Callable[..., Tensor]:
    """Return ``fn(query, key, mask)`` made of the given parts, the rest being right."""
    chosen = {**RIGHT, **parts}

    def weights(query: Tensor, key: Tensor, mask: Tensor) -> Tensor:
        return chosen["mask"](chosen["scores"](query, key), mask, chosen["softmax"])

    return weights


def build_attention(parts: Mapping[str, Callable[..., Any]]) -> Callable[..., Tensor]:
    """Return ``fn(query, key, value, mask)`` made of the given parts, the rest being right."""
    weights = build_weights(parts)
    output = parts.get("output", right_output)

    def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        return output(weights(query, key, mask), query, key, value)

    return attention
