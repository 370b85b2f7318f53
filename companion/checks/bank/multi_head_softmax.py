"""Wrong multi-head layers: something else than one softmax of scaled scores, or another mask than the one given."""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong function under it.

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from companion.checks._spec import Bug, bug, section
from companion.checks.bank.multi_head import WRONG, RightMultiHead, build_multi_head
from companion.checks.bank.multi_head_masks import BEFORE, INFINITY

MATRICES = section("attention", "As matrices")
SCALING = section("attention", "An experiment: what the scale is for")

SOFTMAX_BUGS: list[Bug] = []


def _hidden(scores: Tensor, mask: Tensor | None, fill: float = -INFINITY) -> Tensor:
    return scores if mask is None else scores.masked_fill(~mask, fill)


@bug(
    SOFTMAX_BUGS,
    "The softmax is applied twice: the second one makes the weights nearly equal, and gives hidden keys some.",
    hint="What does the softmax make of numbers that are between 0 and 1 already?",
    section=MATRICES,
    part="weigh",
)
def softmax_twice(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    return _hidden(scores, mask).softmax(dim=-1).softmax(dim=-1)


@bug(
    SOFTMAX_BUGS,
    "A sigmoid stands where the softmax should: the weights of a query do not sum to 1.",
    hint="What should the weights of one query sum to?",
    section=MATRICES,
    part="weigh",
)
def sigmoid_for_softmax(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    return _hidden(scores, mask).sigmoid()


@bug(
    SOFTMAX_BUGS,
    "Your weights are the logarithms of weights, from log_softmax; it should be softmax.",
    hint="May a weight be negative?",
    section=MATRICES,
    part="weigh",
    also=(lambda self, scores, mask: _hidden(scores, mask).log_softmax(dim=-1).nan_to_num(neginf=0.0),),
)
def log_softmax_for_weights(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    return _hidden(scores, mask).log_softmax(dim=-1)


@bug(
    SOFTMAX_BUGS,
    "Hidden scores get a small number, such as -10: hidden keys keep a little weight. They should become -inf.",
    hint="How far below the others is -10 if a score is -8?",
    section=BEFORE,
    part="weigh",
    also=tuple(
        lambda self, scores, mask, fill=fill: _hidden(scores, mask, fill).softmax(dim=-1) for fill in (-1.0, -5.0)
    ),
)
def hidden_scores_are_small(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    return _hidden(scores, mask, -10.0).softmax(dim=-1)


@bug(
    SOFTMAX_BUGS,
    "A causal mask takes the place of the one that is given: what comes later is hidden, and nothing else.",
    hint="Is mask itself passed on, or only the fact that there is one?",
    section=WRONG,
    part="weigh",
    also=(lambda self, scores, mask: _causal(scores),),
)
def mask_replaced_by_a_causal_one(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    return scores.softmax(dim=-1) if mask is None else _causal(scores)


def _causal(scores: Tensor) -> Tensor:
    return _hidden(scores, torch.ones(scores.shape[-2:], dtype=torch.bool).tril()).softmax(dim=-1)


@bug(
    SOFTMAX_BUGS,
    "The weights are divided by sqrt(d_k), after the softmax; it is the scores that are divided, before it.",
    hint="What do the weights of one query sum to, once they are divided?",
    section=SCALING,
)
def scaled_after_the_softmax(d_model: int, num_heads: int) -> nn.Module:
    def unscaled(self: Any, query: Tensor, key: Tensor) -> Tensor:
        return query @ key.transpose(-2, -1)

    def scaled(self: Any, weights: Tensor, value: Tensor) -> Tensor:
        return weights / value.size(-1) ** 0.5 @ value

    return build_multi_head({"scores": unscaled, "mix": scaled})(d_model, num_heads)


@bug(
    SOFTMAX_BUGS,
    "The mask is ignored where a memory is given: it hides keys there as well, such as the memory's padding.",
    hint="Where in forward does mask appear when memory is not None?",
    section=WRONG,
)
def mask_only_in_self_attention(d_model: int, num_heads: int) -> nn.Module:
    def forward(self: Any, query: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        return RightMultiHead.forward(self, query, memory, mask if memory is None else None)

    return build_multi_head({"forward": forward})(d_model, num_heads)
