"""Wrong layer norms: statistics over the wrong axes, and what is done with weight and bias.

Shapes: B batch, L length, D features; x is (B, L, D).
"""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong method under it.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from companion.checks._spec import Bug, bug
from companion.checks.bank.add_norm import BY_HAND, RESIDUAL, WHICH_AXES

STATISTICS_BUGS: list[Bug] = []


def _over(*dims: int) -> Callable[[Any, Tensor], Tensor]:
    """Return a way to normalise with the statistics over other dimensions."""

    def normalise(self: Any, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=dims, keepdim=True)
        return centred / torch.sqrt(centred.square().mean(dim=dims, keepdim=True) + 1e-5)

    return normalise


@bug(
    STATISTICS_BUGS,
    "Your mean and variance are over the tokens of a sequence; layer norm takes them over the features of one token.",
    hint="Which axis of x, (batch, length, features), do mean and variance run over?",
    section=WHICH_AXES,
    part="normalise",
)
def over_the_sequence(self: Any, x: Tensor) -> Tensor:
    return _over(1)(self, x)


@bug(
    STATISTICS_BUGS,
    "Your mean and variance are over the items of the batch; layer norm takes them over the features of one token.",
    hint="Which axis of x, (batch, length, features), do mean and variance run over?",
    section=WHICH_AXES,
    part="normalise",
)
def over_the_batch(self: Any, x: Tensor) -> Tensor:
    return _over(0)(self, x)


@bug(
    STATISTICS_BUGS,
    "Your mean and variance are over the batch and the sequence: that is batch norm. Layer norm takes them over the "
    "features of one token.",
    hint="How many means do you compute? There should be one for each token.",
    section=WHICH_AXES,
    part="normalise",
)
def batch_norm(self: Any, x: Tensor) -> Tensor:
    return _over(0, 1)(self, x)


@bug(
    STATISTICS_BUGS,
    "Your mean and variance are over all tokens of a sequence together; each token should get its own.",
    hint="How many means do you compute? There should be one for each token.",
    section=WHICH_AXES,
    part="normalise",
)
def one_mean_for_a_sequence(self: Any, x: Tensor) -> Tensor:
    return _over(1, 2)(self, x)


@bug(
    STATISTICS_BUGS,
    "You compute one mean and one variance of the whole of x; each token should get its own.",
    hint="mean() and var() take a dim. How many means should there be?",
    section=WHICH_AXES,
    part="normalise",
)
def one_mean_for_all(self: Any, x: Tensor) -> Tensor:
    return _over(0, 1, 2)(self, x)


@bug(
    STATISTICS_BUGS,
    "Weight and bias are not used: the normalised features should be multiplied by the one, then shifted by the other.",
    hint="A fresh layer has weight 1 and bias 0, which hides it. What do the two do once they are trained?",
    section=BY_HAND,
    part="scale_and_shift",
)
def gain_and_shift_missing(self: Any, x: Tensor) -> Tensor:
    return x


@bug(
    STATISTICS_BUGS,
    "The bias is not added.",
    hint="A fresh bias is 0, which hides it. Where is it used?",
    section=BY_HAND,
    part="scale_and_shift",
)
def shift_missing(self: Any, x: Tensor) -> Tensor:
    return x * self.weight


@bug(
    STATISTICS_BUGS,
    "The features are not multiplied by the weight.",
    hint="A fresh weight is 1, which hides it. Where is it used?",
    section=BY_HAND,
    part="scale_and_shift",
)
def gain_missing(self: Any, x: Tensor) -> Tensor:
    return x + self.bias


@bug(
    STATISTICS_BUGS,
    "Weight and bias are swapped: you multiply by the bias and add the weight.",
    hint="Which of the two starts at 1, and which at 0?",
    section=BY_HAND,
    part="scale_and_shift",
)
def gain_and_shift_swapped(self: Any, x: Tensor) -> Tensor:
    return x * self.bias + self.weight


@bug(
    STATISTICS_BUGS,
    "You shift before you scale: multiply by the weight first, then add the bias.",
    hint="Is it x * weight + bias, or (x + bias) * weight?",
    section=BY_HAND,
    part="scale_and_shift",
)
def shifted_before_scaled(self: Any, x: Tensor) -> Tensor:
    return (x + self.bias) * self.weight


@bug(
    STATISTICS_BUGS,
    "You multiply by 1 + weight; it should be by the weight alone. Some models store it so that 0 means no "
    "change; here 1 does.",
    hint="By what does your layer multiply if the weight is 1?",
    section=BY_HAND,
    part="scale_and_shift",
)
def one_added_to_the_gain(self: Any, x: Tensor) -> Tensor:
    return x * (1 + self.weight) + self.bias


@bug(
    STATISTICS_BUGS,
    "You scale and shift before you normalise, which undoes most of it: normalise first.",
    hint="Which mean and variance should the output be able to have?",
    section=BY_HAND,
    part="forward",
)
def scaled_before_normalised(self: Any, x: Tensor) -> Tensor:
    return self.normalise(self.scale_and_shift(x))


@bug(
    STATISTICS_BUGS,
    "You add x to the result: that is a residual connection, and it stands around a sublayer, not inside the norm.",
    hint="What should the mean of the features be, before weight and bias?",
    section=RESIDUAL,
    part="forward",
)
def residual_inside_the_norm(self: Any, x: Tensor) -> Tensor:
    return x + self.scale_and_shift(self.normalise(x))


@bug(
    STATISTICS_BUGS,
    "You divide the mean alone, x - mean / std: brackets are missing around x - mean.",
    hint="Which comes first without brackets, the minus or the division?",
    section=BY_HAND,
    part="normalise",
    also=(lambda self, x: x - x.mean(-1, keepdim=True) / torch.sqrt(x.var(-1, keepdim=True) + 1e-5),),
)
def brackets_missing(self: Any, x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True) / torch.sqrt(x.var(-1, keepdim=True, correction=0) + 1e-5)


@bug(
    STATISTICS_BUGS,
    "You multiply by the standard deviation; it should be divided by.",
    hint="What is the standard deviation of 10 x? What should it be after the norm?",
    section=BY_HAND,
    part="divide",
)
def multiplied_by_the_deviation(self: Any, x: Tensor) -> Tensor:
    return x * torch.sqrt(x.square().mean(dim=-1, keepdim=True) + 1e-5)


@bug(
    STATISTICS_BUGS,
    "x is not normalised: neither is the mean subtracted nor is there a division.",
    hint="Is what you computed used in what you return?",
    section=BY_HAND,
    part="normalise",
)
def nothing_normalised(self: Any, x: Tensor) -> Tensor:
    return x


@bug(
    STATISTICS_BUGS,
    "The bias is subtracted; it should be added.",
    hint="Which sign stands before the bias?",
    section=BY_HAND,
    part="scale_and_shift",
)
def shift_subtracted(self: Any, x: Tensor) -> Tensor:
    return x * self.weight - self.bias
