"""Wrong feed-forward networks: what is done with the two linear layers.

Shapes: B batch, L length, D d_model, F d_ff; x is (B, L, D).
"""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong method under it.

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from companion.checks._spec import Bug, bug
from companion.checks.bank.encoder import NETWORK

LINEAR_BUGS: list[Bug] = []


@bug(
    LINEAR_BUGS,
    "The bias of the first linear layer is not added.",
    hint="A bias that is forgotten can hide on a fresh layer. Do you call self.linear1?",
    section=NETWORK,
    part="widen",
)
def first_bias_missing(self: Any, x: Tensor) -> Tensor:
    return F.linear(x, self.linear1.weight)


@bug(
    LINEAR_BUGS,
    "The bias of the second linear layer is not added.",
    hint="A bias that is forgotten can hide on a fresh layer. Do you call self.linear2?",
    section=NETWORK,
    part="narrow",
)
def second_bias_missing(self: Any, x: Tensor) -> Tensor:
    return F.linear(x, self.linear2.weight)


@bug(
    LINEAR_BUGS,
    "The first bias is added after the activation; it should be part of what goes into it.",
    hint="In max(0, x W + b), where does b stand?",
    section=NETWORK,
    part="forward",
)
def bias_after_the_activation(self: Any, x: Tensor) -> Tensor:
    return self.narrow(self.activate(F.linear(x, self.linear1.weight)) + self.linear1.bias)


@bug(
    LINEAR_BUGS,
    "The two linear layers are swapped: linear1 widens from D to F features and comes first.",
    hint="How many features does each of the two take? It only fits where D and F are equal.",
    section=NETWORK,
    part="forward",
)
def linears_swapped(self: Any, x: Tensor) -> Tensor:
    return self.widen(self.activate(self.narrow(x)))


@bug(
    LINEAR_BUGS,
    "You multiply by the weights as they are; a linear layer multiplies by their transposes, x W^T + b.",
    hint="Which axis of linear1.weight, (F, D), should meet the features of x? It only fits where D and F are equal.",
    section=NETWORK,
    part="forward",
)
def weights_not_transposed(self: Any, x: Tensor) -> Tensor:
    hidden = self.activate(x @ self.linear1.weight + self.linear1.bias)
    return hidden @ self.linear2.weight + self.linear2.bias


@bug(
    LINEAR_BUGS,
    "You add x to the result: the residual connection stands around the sublayer, in add & norm, not inside it.",
    hint="What should come out if all weights and biases are 0?",
    section=NETWORK,
    part="forward",
)
def residual_inside(self: Any, x: Tensor) -> Tensor:
    return x + self.narrow(self.activate(self.widen(x)))


@bug(
    LINEAR_BUGS,
    "Your network mixes the tokens: it should treat every position by itself.",
    hint="Which axis of x do your linear layers work on?",
    section=NETWORK,
    part="activate",
    also=(lambda self, x: F.relu(x.mean(dim=1, keepdim=True)).expand_as(x),),
)
def tokens_averaged(self: Any, x: Tensor) -> Tensor:
    return F.relu(x).mean(dim=1, keepdim=True).expand_as(x)
