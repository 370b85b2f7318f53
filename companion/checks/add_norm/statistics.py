"""Wrong layer norms: statistics over the wrong axes, and what is done with weight and bias.

Shapes: B batch, L length, D features; x is (B, L, D).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from companion.checks.add_norm.norm import BY_HAND, RESIDUAL, WHICH_AXES
from companion.checks.engine.bank import Bank

STATISTICS_BUGS = Bank(part="normalise", section=BY_HAND)


def _over(*dims: int) -> Callable[[Any, Tensor], Tensor]:
    """Return a way to normalise with the statistics over other dimensions."""

    def normalise(self: Any, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=dims, keepdim=True)
        return centred / torch.sqrt(centred.square().mean(dim=dims, keepdim=True) + 1e-5)

    return normalise


@STATISTICS_BUGS.bug("Which axis of x, (batch, length, features), do mean and variance run over?", section=WHICH_AXES)
def over_the_sequence(self: Any, x: Tensor) -> Tensor:
    """Your mean and variance are over the tokens of a sequence; layer norm takes them over the features of one
    token.
    """
    return _over(1)(self, x)


@STATISTICS_BUGS.bug("Which axis of x, (batch, length, features), do mean and variance run over?", section=WHICH_AXES)
def over_the_batch(self: Any, x: Tensor) -> Tensor:
    """Your mean and variance are over the items of the batch; layer norm takes them over the features of one token."""
    return _over(0)(self, x)


@STATISTICS_BUGS.bug("How many means do you compute? There should be one for each token.", section=WHICH_AXES)
def batch_norm(self: Any, x: Tensor) -> Tensor:
    """Your mean and variance are over the batch and the sequence: that is batch norm. Layer norm takes them over the
    features of one token.
    """
    return _over(0, 1)(self, x)


@STATISTICS_BUGS.bug("How many means do you compute? There should be one for each token.", section=WHICH_AXES)
def one_mean_for_a_sequence(self: Any, x: Tensor) -> Tensor:
    """Your mean and variance are over all tokens of a sequence together; each token should get its own."""
    return _over(1, 2)(self, x)


@STATISTICS_BUGS.bug("mean() and var() take a dim. How many means should there be?", section=WHICH_AXES)
def one_mean_for_all(self: Any, x: Tensor) -> Tensor:
    """You compute one mean and one variance of the whole of x; each token should get its own."""
    return _over(0, 1, 2)(self, x)


@STATISTICS_BUGS.bug(
    "A fresh layer has weight 1 and bias 0, which hides it. What do the two do once they are trained?",
    part="scale_and_shift",
)
def gain_and_shift_missing(self: Any, x: Tensor) -> Tensor:
    """Weight and bias are not used: the normalised features should be multiplied by the one, then shifted by the
    other.
    """
    return x


@STATISTICS_BUGS.bug("A fresh bias is 0, which hides it. Where is it used?", part="scale_and_shift")
def shift_missing(self: Any, x: Tensor) -> Tensor:
    """The bias is not added."""
    return x * self.weight


@STATISTICS_BUGS.bug("A fresh weight is 1, which hides it. Where is it used?", part="scale_and_shift")
def gain_missing(self: Any, x: Tensor) -> Tensor:
    """The features are not multiplied by the weight."""
    return x + self.bias


@STATISTICS_BUGS.bug(
    "Which of the two starts at 1, and which at 0?",
    part="scale_and_shift",
    derived="Derived: on a fresh layer, where weight is 1 and bias 0, every output is 1 whatever comes in.",
)
def gain_and_shift_swapped(self: Any, x: Tensor) -> Tensor:
    """Weight and bias are swapped: you multiply by the bias and add the weight."""
    return x * self.bias + self.weight


@STATISTICS_BUGS.bug("Is it x * weight + bias, or (x + bias) * weight?", part="scale_and_shift")
def shifted_before_scaled(self: Any, x: Tensor) -> Tensor:
    """You shift before you scale: multiply by the weight first, then add the bias."""
    return (x + self.bias) * self.weight


@STATISTICS_BUGS.bug("By what does your layer multiply if the weight is 1?", part="scale_and_shift")
def one_added_to_the_gain(self: Any, x: Tensor) -> Tensor:
    """You multiply by 1 + weight; it should be by the weight alone. Some models store it so that 0 means no change;
    here 1 does.
    """
    return x * (1 + self.weight) + self.bias


@STATISTICS_BUGS.bug("Which mean and variance should the output be able to have?", part="forward")
def scaled_before_normalised(self: Any, x: Tensor) -> Tensor:
    """You scale and shift before you normalise, which undoes most of it: normalise first."""
    return self.normalise(self.scale_and_shift(x))


@STATISTICS_BUGS.bug(
    "What should the mean of the features be, before weight and bias?", section=RESIDUAL, part="forward"
)
def residual_inside_the_norm(self: Any, x: Tensor) -> Tensor:
    """You add x to the result: that is a residual connection, and it stands around a sublayer, not inside the norm."""
    return x + self.scale_and_shift(self.normalise(x))


@STATISTICS_BUGS.bug(
    "Which comes first without brackets, the minus or the division?",
    also=(lambda self, x: x - x.mean(-1, keepdim=True) / torch.sqrt(x.var(-1, keepdim=True) + 1e-5),),
)
def brackets_missing(self: Any, x: Tensor) -> Tensor:
    """You divide the mean alone, x - mean / std: brackets are missing around x - mean."""
    return x - x.mean(-1, keepdim=True) / torch.sqrt(x.var(-1, keepdim=True, correction=0) + 1e-5)


@STATISTICS_BUGS.bug("What is the standard deviation of 10 x? What should it be after the norm?", part="divide")
def multiplied_by_the_deviation(self: Any, x: Tensor) -> Tensor:
    """You multiply by the standard deviation; it should be divided by."""
    return x * torch.sqrt(x.square().mean(dim=-1, keepdim=True) + 1e-5)


@STATISTICS_BUGS.bug("Is what you computed used in what you return?")
def nothing_normalised(self: Any, x: Tensor) -> Tensor:
    """x is not normalised: neither is the mean subtracted nor is there a division."""
    return x


@STATISTICS_BUGS.bug("Which sign stands before the bias?", part="scale_and_shift")
def shift_subtracted(self: Any, x: Tensor) -> Tensor:
    """The bias is subtracted; it should be added."""
    return x * self.weight - self.bias
