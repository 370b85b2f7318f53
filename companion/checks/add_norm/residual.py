"""Wrong ways of putting a residual connection and a layer norm around a sublayer.

Shapes: B batch, L length, D features; x is (B, L, D), and a sublayer keeps that shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.add_norm import LayerNorm
from companion.checks.add_norm.norm import BY_HAND, RESIDUAL, WHICH_AXES
from companion.checks.engine.bank import Bank
from companion.checks.engine.variants import Variant

ADD_NORM_BUGS = Bank(part="add", section=RESIDUAL)

Sublayer = Callable[[Tensor], Tensor]


class RightAddNorm(nn.Module):
    """The right add & norm, in parts that can be replaced one by one."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.norm = LayerNorm(d_model)

    def add(self, x: Tensor, sublayer: Sublayer) -> Tensor:
        return x + sublayer(x)

    def normalise(self, x: Tensor) -> Tensor:
        return self.norm(x)

    def forward(self, x: Tensor, sublayer: Sublayer) -> Tensor:
        return self.normalise(self.add(x, sublayer))


def build_add_norm(parts: Mapping[str, Callable[..., Any]]) -> Variant:
    """Return the right class with some methods replaced, as what builds it."""
    return Variant(RightAddNorm, parts)


# --- what is added


@ADD_NORM_BUGS.bug("What is left of x if the sublayer returns zeros?")
def residual_missing(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """There is no residual connection: you normalise the sublayer's output, and x is not added."""
    return sublayer(x)


@ADD_NORM_BUGS.bug("Where in your forward is the sublayer called?", also=(lambda self, x, sublayer: x + x,))
def sublayer_missing(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The sublayer is not used: you normalise x alone."""
    return x


@ADD_NORM_BUGS.bug(
    "Is there a 0.5, a mean, or a root of 2 that is not in the formula?",
    also=(lambda self, x, sublayer: (x + sublayer(x)) / 2**0.5,),
    derived="Derived: the norm that follows cancels the factor, up to epsilon, so that hardly anything shows.",
)
def averaged(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """You average x and the sublayer's output; they should be added. The norm hides it, except where the features of
    the sum are almost alike; there an epsilon two or four times too large would look the same.
    """
    return (x + sublayer(x)) / 2


@ADD_NORM_BUGS.bug("What should come out if the sublayer returns zeros?")
def multiplied(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """You multiply x by the sublayer's output; they should be added."""
    return x * sublayer(x)


@ADD_NORM_BUGS.bug("Which sign stands between the two?", also=(lambda self, x, sublayer: sublayer(x) - x,))
def subtracted(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """You subtract one from the other; x and the sublayer's output should be added."""
    return x - sublayer(x)


@ADD_NORM_BUGS.bug("Does what you pass on as the sublayer's output hold x already?")
def x_added_twice(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """x is added twice."""
    return x + x + sublayer(x)


@ADD_NORM_BUGS.bug("How often does the sublayer's output stand in your sum?")
def sublayer_added_twice(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The sublayer's output is added twice."""
    return x + 2 * sublayer(x)


@ADD_NORM_BUGS.bug("Which x is it that you add? Give the sublayer's output another name.")
def x_overwritten(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """You add the sublayer's output to itself, and not to x, as when x is overwritten before the addition."""
    return 2 * sublayer(x)


@ADD_NORM_BUGS.bug(
    "How often is the sublayer called, and on what?",
    also=(lambda self, x, sublayer: sublayer(x) + sublayer(sublayer(x)),),
)
def sublayer_applied_twice(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The sublayer is applied to its own output: call it once, on x."""
    return x + sublayer(sublayer(x))


# --- the norm itself


@ADD_NORM_BUGS.bug(
    "A fresh norm has weight 1 and bias 0, which hides it. Do you call self.norm?", section=BY_HAND, part="normalise"
)
def gain_and_shift_missing(self: Any, x: Tensor) -> Tensor:
    """Weight and bias of the norm are not used."""
    return F.layer_norm(x, x.shape[-1:])


@ADD_NORM_BUGS.bug(
    "torch's std and var have an argument about this.",
    section=BY_HAND,
    part="normalise",
    also=(
        lambda self, x: (
            (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-5) * self.norm.weight + self.norm.bias
        ),
    ),
)
def unbiased_standard_deviation(self: Any, x: Tensor) -> Tensor:
    """Your norm divides by the unbiased standard deviation, which divides by D - 1; layer norm divides by D."""
    deviation = torch.sqrt(x.var(dim=-1, keepdim=True) + 1e-5)
    return (x - x.mean(dim=-1, keepdim=True)) / deviation * self.norm.weight + self.norm.bias


@ADD_NORM_BUGS.bug(
    "Which axis of x, (batch, length, features), do mean and variance run over?", section=WHICH_AXES, part="normalise"
)
def over_the_sequence(self: Any, x: Tensor) -> Tensor:
    """Your norm is over the tokens of a sequence; it should be over the features of each token."""
    deviation = torch.sqrt(x.var(dim=1, keepdim=True, correction=0) + 1e-5)
    return (x - x.mean(dim=1, keepdim=True)) / deviation * self.norm.weight + self.norm.bias


@ADD_NORM_BUGS.bug(
    "Which eps does torch.nn.LayerNorm have if you say none?",
    section=BY_HAND,
    part="normalise",
    also=(
        lambda self, x: F.layer_norm(x, x.shape[-1:], self.norm.weight, self.norm.bias, 1e-12),
        lambda self, x: F.layer_norm(x, x.shape[-1:], self.norm.weight, self.norm.bias, 1e-8),
    ),
)
def epsilon_too_small(self: Any, x: Tensor) -> Tensor:
    """The epsilon of your norm is smaller than 1e-5, or there is none."""
    return F.layer_norm(x, x.shape[-1:], self.norm.weight, self.norm.bias, 1e-6)


@ADD_NORM_BUGS.bug(
    "Which norm looks at one token at a time, in training and in evaluation?", section=WHICH_AXES, part="normalise"
)
def batch_norm_in_eval_mode(self: Any, x: Tensor) -> Tensor:
    """Your norm is batch norm: in eval mode it does not normalise, but uses running averages, which are 0 and 1 at
    first. It should be layer norm.
    """
    return x / (1 + 1e-5) ** 0.5 * self.norm.weight + self.norm.bias
