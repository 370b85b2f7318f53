"""Wrong ways of putting a residual connection and a layer norm around a sublayer.

Shapes: B batch, L length, D features; x is (B, L, D), and a sublayer keeps that shape.
"""

# ruff: noqa: D101, D102, D103 - the sentence in a decorator is the docstring of the wrong method under it.

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.add_norm import LayerNorm
from companion.checks._spec import Bug, bug
from companion.checks._variants import Variant
from companion.checks.bank.add_norm import BY_HAND, RESIDUAL, WHICH_AXES

ADD_NORM_BUGS: list[Bug] = []

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


@bug(
    ADD_NORM_BUGS,
    "There is no residual connection: you normalise the sublayer's output, and x is not added.",
    hint="What is left of x if the sublayer returns zeros?",
    section=RESIDUAL,
    part="add",
)
def residual_missing(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return sublayer(x)


@bug(
    ADD_NORM_BUGS,
    "The sublayer is not used: you normalise x alone.",
    hint="Where in your forward is the sublayer called?",
    section=RESIDUAL,
    part="add",
    also=(lambda self, x, sublayer: x + x,),
)
def sublayer_missing(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return x


@bug(
    ADD_NORM_BUGS,
    "You average x and the sublayer's output; they should be added. The norm hides it, except where the features of "
    "the sum are almost alike; there an epsilon two or four times too large would look the same.",
    hint="Is there a 0.5, a mean, or a root of 2 that is not in the formula?",
    section=RESIDUAL,
    part="add",
    also=(lambda self, x, sublayer: (x + sublayer(x)) / 2**0.5,),
)
def averaged(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return (x + sublayer(x)) / 2


@bug(
    ADD_NORM_BUGS,
    "You multiply x by the sublayer's output; they should be added.",
    hint="What should come out if the sublayer returns zeros?",
    section=RESIDUAL,
    part="add",
)
def multiplied(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return x * sublayer(x)


@bug(
    ADD_NORM_BUGS,
    "You subtract one from the other; x and the sublayer's output should be added.",
    hint="Which sign stands between the two?",
    section=RESIDUAL,
    part="add",
    also=(lambda self, x, sublayer: sublayer(x) - x,),
)
def subtracted(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return x - sublayer(x)


@bug(
    ADD_NORM_BUGS,
    "x is added twice.",
    hint="Does what you pass on as the sublayer's output hold x already?",
    section=RESIDUAL,
    part="add",
)
def x_added_twice(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return x + x + sublayer(x)


@bug(
    ADD_NORM_BUGS,
    "The sublayer's output is added twice.",
    hint="How often does the sublayer's output stand in your sum?",
    section=RESIDUAL,
    part="add",
)
def sublayer_added_twice(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return x + 2 * sublayer(x)


@bug(
    ADD_NORM_BUGS,
    "You add the sublayer's output to itself, and not to x, as when x is overwritten before the addition.",
    hint="Which x is it that you add? Give the sublayer's output another name.",
    section=RESIDUAL,
    part="add",
)
def x_overwritten(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return 2 * sublayer(x)


@bug(
    ADD_NORM_BUGS,
    "The sublayer is applied to its own output: call it once, on x.",
    hint="How often is the sublayer called, and on what?",
    section=RESIDUAL,
    part="add",
    also=(lambda self, x, sublayer: sublayer(x) + sublayer(sublayer(x)),),
)
def sublayer_applied_twice(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return x + sublayer(sublayer(x))


# --- the norm itself


@bug(
    ADD_NORM_BUGS,
    "Weight and bias of the norm are not used.",
    hint="A fresh norm has weight 1 and bias 0, which hides it. Do you call self.norm?",
    section=BY_HAND,
    part="normalise",
)
def gain_and_shift_missing(self: Any, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:])


@bug(
    ADD_NORM_BUGS,
    "Your norm divides by the unbiased standard deviation, which divides by D - 1; layer norm divides by D.",
    hint="torch's std and var have an argument about this.",
    section=BY_HAND,
    part="normalise",
    also=(
        lambda self, x: (
            (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-5) * self.norm.weight + self.norm.bias
        ),
    ),
)
def unbiased_standard_deviation(self: Any, x: Tensor) -> Tensor:
    deviation = torch.sqrt(x.var(dim=-1, keepdim=True) + 1e-5)
    return (x - x.mean(dim=-1, keepdim=True)) / deviation * self.norm.weight + self.norm.bias


@bug(
    ADD_NORM_BUGS,
    "Your norm is over the tokens of a sequence; it should be over the features of each token.",
    hint="Which axis of x, (batch, length, features), do mean and variance run over?",
    section=WHICH_AXES,
    part="normalise",
)
def over_the_sequence(self: Any, x: Tensor) -> Tensor:
    deviation = torch.sqrt(x.var(dim=1, keepdim=True, correction=0) + 1e-5)
    return (x - x.mean(dim=1, keepdim=True)) / deviation * self.norm.weight + self.norm.bias


@bug(
    ADD_NORM_BUGS,
    "The epsilon of your norm is smaller than 1e-5, or there is none.",
    hint="Which eps does torch.nn.LayerNorm have if you say none?",
    section=BY_HAND,
    part="normalise",
    also=(
        lambda self, x: F.layer_norm(x, x.shape[-1:], self.norm.weight, self.norm.bias, 1e-12),
        lambda self, x: F.layer_norm(x, x.shape[-1:], self.norm.weight, self.norm.bias, 1e-8),
    ),
)
def epsilon_too_small(self: Any, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], self.norm.weight, self.norm.bias, 1e-6)


@bug(
    ADD_NORM_BUGS,
    "Your norm is batch norm: in eval mode it does not normalise, but uses running averages, which are 0 and 1 at "
    "first. It should be layer norm.",
    hint="Which norm looks at one token at a time, in training and in evaluation?",
    section=WHICH_AXES,
    part="normalise",
)
def batch_norm_in_eval_mode(self: Any, x: Tensor) -> Tensor:
    return x / (1 + 1e-5) ** 0.5 * self.norm.weight + self.norm.bias
