"""Wrong feed-forward networks: what is done with the two linear layers.

Shapes: B batch, L length, D d_model, F d_ff; x is (B, L, D).
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from companion.checks.encoder.feed_forward import NETWORK
from companion.checks.engine.bank import Bank

LINEAR_BUGS = Bank(part="forward", section=NETWORK)


@LINEAR_BUGS.bug("A bias that is forgotten can hide on a fresh layer. Do you call self.linear1?", part="widen")
def first_bias_missing(self: Any, x: Tensor) -> Tensor:
    """The bias of the first linear layer is not added."""
    return F.linear(x, self.linear1.weight)


@LINEAR_BUGS.bug("A bias that is forgotten can hide on a fresh layer. Do you call self.linear2?", part="narrow")
def second_bias_missing(self: Any, x: Tensor) -> Tensor:
    """The bias of the second linear layer is not added."""
    return F.linear(x, self.linear2.weight)


@LINEAR_BUGS.bug("In max(0, x W + b), where does b stand?")
def bias_after_the_activation(self: Any, x: Tensor) -> Tensor:
    """The first bias is added after the activation; it should be part of what goes into it."""
    return self.narrow(self.activate(F.linear(x, self.linear1.weight)) + self.linear1.bias)


@LINEAR_BUGS.bug("How many features does each of the two take? It only fits where D and F are equal.")
def linears_swapped(self: Any, x: Tensor) -> Tensor:
    """The two linear layers are swapped: linear1 widens from D to F features and comes first."""
    return self.widen(self.activate(self.narrow(x)))


@LINEAR_BUGS.bug(
    "Which axis of linear1.weight, (F, D), should meet the features of x? It only fits where D and F are equal."
)
def weights_not_transposed(self: Any, x: Tensor) -> Tensor:
    """You multiply by the weights as they are; a linear layer multiplies by their transposes, x W^T + b."""
    hidden = self.activate(x @ self.linear1.weight + self.linear1.bias)
    return hidden @ self.linear2.weight + self.linear2.bias


@LINEAR_BUGS.bug("What should come out if all weights and biases are 0?")
def residual_inside(self: Any, x: Tensor) -> Tensor:
    """You add x to the result: the residual connection stands around the sublayer, in add & norm, not inside it."""
    return x + self.narrow(self.activate(self.widen(x)))


@LINEAR_BUGS.bug(
    "Which axis of x do your linear layers work on?",
    part="activate",
    also=(lambda self, x: F.relu(x.mean(dim=1, keepdim=True)).expand_as(x),),
)
def tokens_averaged(self: Any, x: Tensor) -> Tensor:
    """Your network mixes the tokens: it should treat every position by itself."""
    return F.relu(x).mean(dim=1, keepdim=True).expand_as(x)
