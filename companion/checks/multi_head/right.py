"""Multi-head attention from parts: the right ones, and how to put a layer together from right and wrong ones.

A layer takes seven decisions, each a method here. A bug in the bank is one of them taken wrongly, so two bugs at
once can be told apart as long as they concern different parts.

Shapes: B batch, H heads, L length, Q queries, K keys, D d_model, E = D / H features of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from companion.checks.engine.bank import section
from companion.checks.engine.variants import Variant

PROJECTS = section("multi_head", "Every head projects the whole input")
BY_HAND = section("multi_head", "By hand")
LOOPS = section("multi_head", "As loops, as matrices")
WRONG = section("multi_head", "What goes wrong")
TRANSPOSE = section("multi_head", "The forgotten transpose")


def right_split(x: Tensor, num_heads: int) -> Tensor:
    """Reshape (B, L, D) into heads, (B, H, L, E)."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def right_merge(x: Tensor) -> Tensor:
    """Put the heads (B, H, L, E) side by side, (B, L, H * E)."""
    return x.transpose(1, 2).flatten(2)


class _Linear(nn.Linear):
    """A linear layer whose numbers are not drawn, since a check gives it others: hundreds are built for a diagnosis."""

    def reset_parameters(self) -> None:
        """Leave the numbers as they are."""


class RightMultiHead(nn.Module):
    """The right layer, in parts that can be replaced one by one."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q_proj, self.k_proj = _Linear(d_model, d_model), _Linear(d_model, d_model)
        self.v_proj, self.out_proj = _Linear(d_model, d_model), _Linear(d_model, d_model)

    def project(self, query: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (B, Q, D), keys (B, K, D) and values (B, K, D)."""
        return self.q_proj(query), self.k_proj(memory), self.v_proj(memory)

    def split(self, x: Tensor) -> Tensor:
        """Split one of the three into heads."""
        return right_split(x, self.num_heads)

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        """Return the scaled products, (B, H, Q, K)."""
        return query @ key.transpose(-2, -1) / query.size(-1) ** 0.5

    def weigh(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        """Turn scores into weights; a query that may attend to nothing gets zeros."""
        if mask is None:
            return scores.softmax(dim=-1)
        weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
        return weights.masked_fill(~mask.any(dim=-1, keepdim=True), 0.0)

    def mix(self, weights: Tensor, value: Tensor) -> Tensor:
        """Average the values, (B, H, Q, E)."""
        return weights @ value

    def merge(self, x: Tensor) -> Tensor:
        """Put the heads side by side."""
        return right_merge(x)

    def output(self, x: Tensor, query: Tensor) -> Tensor:
        """Project what the heads found; the layer's input is there for those who add it."""
        return self.out_proj(x)

    def forward(self, query: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Attend from `query` (B, Q, D) to `memory` (B, K, D), or to itself."""
        memory = query if memory is None else memory
        queries, keys, values = (self.split(x) for x in self.project(query, memory))
        weights = self.weigh(self.scores(queries, keys), mask)
        return self.output(self.merge(self.mix(weights, values)), query)


def build_multi_head(parts: Mapping[str, Callable[..., Any]]) -> Variant:
    """Return the right layer with some methods replaced, as what builds it."""
    return Variant(RightMultiHead, parts)


def columns(linear: nn.Linear, x: Tensor, chosen: slice) -> Tensor:
    """Return what a part of the features contributes to a projection, without its bias."""
    return torch.nn.functional.linear(x, linear.weight[:, chosen])
