"""Wrong multi-head layers: something else than one softmax of scaled scores, or another mask than the one given."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from companion.checks.engine.bank import Bank, section
from companion.checks.multi_head.masks import BEFORE, INFINITY
from companion.checks.multi_head.right import WRONG, RightMultiHead, build_multi_head

MATRICES = section("attention", "As matrices")
SCALING = section("attention", "An experiment: what the scale is for")

SOFTMAX_BUGS = Bank(part="weigh", section=MATRICES)


def _hidden(scores: Tensor, mask: Tensor | None, fill: float = -INFINITY) -> Tensor:
    return scores if mask is None else scores.masked_fill(~mask, fill)


@SOFTMAX_BUGS.bug("What does the softmax make of numbers that are between 0 and 1 already?")
def softmax_twice(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """The softmax is applied twice: the second one makes the weights nearly equal, and gives hidden keys some."""
    return _hidden(scores, mask).softmax(dim=-1).softmax(dim=-1)


@SOFTMAX_BUGS.bug("What should the weights of one query sum to?")
def sigmoid_for_softmax(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """A sigmoid stands where the softmax should: the weights of a query do not sum to 1."""
    return _hidden(scores, mask).sigmoid()


@SOFTMAX_BUGS.bug(
    "May a weight be negative?",
    also=(lambda self, scores, mask: _hidden(scores, mask).log_softmax(dim=-1).nan_to_num(neginf=0.0),),
)
def log_softmax_for_weights(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """Your weights are the logarithms of weights, from log_softmax; it should be softmax."""
    return _hidden(scores, mask).log_softmax(dim=-1)


@SOFTMAX_BUGS.bug(
    "How far below the others is -10 if a score is -8?",
    section=BEFORE,
    also=tuple(
        lambda self, scores, mask, fill=fill: _hidden(scores, mask, fill).softmax(dim=-1) for fill in (-1.0, -5.0)
    ),
)
def hidden_scores_are_small(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """Hidden scores get a small number, such as -10: hidden keys keep a little weight. They should become -inf."""
    return _hidden(scores, mask, -10.0).softmax(dim=-1)


@SOFTMAX_BUGS.bug(
    "Is mask itself passed on, or only the fact that there is one?",
    section=WRONG,
    also=(lambda self, scores, mask: _causal(scores),),
)
def mask_replaced_by_a_causal_one(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """A causal mask takes the place of the one that is given: what comes later is hidden, and nothing else."""
    return scores.softmax(dim=-1) if mask is None else _causal(scores)


def _causal(scores: Tensor) -> Tensor:
    return _hidden(scores, torch.ones(scores.shape[-2:], dtype=torch.bool).tril()).softmax(dim=-1)


@SOFTMAX_BUGS.bug("What do the weights of one query sum to, once they are divided?", section=SCALING, part="")
def scaled_after_the_softmax(d_model: int, num_heads: int) -> nn.Module:
    """The weights are divided by sqrt(d_k), after the softmax; it is the scores that are divided, before it."""

    def unscaled(self: Any, query: Tensor, key: Tensor) -> Tensor:
        return query @ key.transpose(-2, -1)

    def scaled(self: Any, weights: Tensor, value: Tensor) -> Tensor:
        return weights / value.size(-1) ** 0.5 @ value

    return build_multi_head({"scores": unscaled, "mix": scaled})(d_model, num_heads)


@SOFTMAX_BUGS.bug("Where in forward does mask appear when memory is not None?", section=WRONG, part="")
def mask_only_in_self_attention(d_model: int, num_heads: int) -> nn.Module:
    """The mask is ignored where a memory is given: it hides keys there as well, such as the memory's padding."""

    def forward(self: Any, query: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        return RightMultiHead.forward(self, query, memory, mask if memory is None else None)

    return build_multi_head({"forward": forward})(d_model, num_heads)
