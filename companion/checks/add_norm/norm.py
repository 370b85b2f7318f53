"""Wrong layer norms, as classes: what is wrong is one method of the right one. Here: what x is divided by.

Shapes: B batch, L length, D features; x is (B, L, D).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.checks.engine.bank import Bank, section
from companion.checks.engine.variants import Variant

BY_HAND = section("add_norm", "Layer norm by hand")
WHICH_AXES = section("add_norm", "Layer norm and batch norm")
RESIDUAL = section("add_norm", "The residual connection")
PRE_POST = section("add_norm", "Post-norm and pre-norm")
WRONG = section("add_norm", "What goes wrong")

LAYER_NORM_BUGS = Bank(part="divide", section=BY_HAND)

_ALMOST_ALIKE = "Derived: it shows only in tokens whose features are almost alike; for others epsilon hardly counts."


class RightLayerNorm(nn.Module):
    """The right layer norm, in parts that can be replaced one by one."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def centre(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=-1, keepdim=True)

    def divide(self, x: Tensor) -> Tensor:
        """Bring centred features to variance 1."""
        return x / torch.sqrt(x.square().mean(dim=-1, keepdim=True) + 1e-5)

    def normalise(self, x: Tensor) -> Tensor:
        return self.divide(self.centre(x))

    def scale_and_shift(self, x: Tensor) -> Tensor:
        return x * self.weight + self.bias

    def forward(self, x: Tensor) -> Tensor:
        return self.scale_and_shift(self.normalise(x))


def build_layer_norm(parts: Mapping[str, Callable[..., Any]]) -> Variant:
    """Return the right layer norm with some methods replaced, as what builds it."""
    return Variant(RightLayerNorm, parts)


@LAYER_NORM_BUGS.bug(
    "Normalise [1, 0, 0, 0] by hand. torch's std and var have an argument about this.",
    also=(
        lambda self, x: x / torch.sqrt(x.var(dim=-1, keepdim=True) + 1e-5),
        *(lambda self, x, eps=eps: x / (x.std(dim=-1, keepdim=True) + eps) for eps in (0.0, 1e-8, 1e-6)),
    ),
    derived="Derived: hardly. The outputs are sqrt((D - 1) / D) times the right ones up to epsilon (.999 at D = "
    "512); the gain can make up for it. It shows when weights are loaded that something else has trained.",
)
def unbiased_standard_deviation(self: Any, x: Tensor) -> Tensor:
    """You divide by the unbiased standard deviation, which divides by D - 1; layer norm divides by D."""
    return x / (x.std(dim=-1, keepdim=True) + 1e-5)


@LAYER_NORM_BUGS.bug(
    "The two differ most where the variance is tiny. Which one keeps the gradient of the root finite?",
    derived=_ALMOST_ALIKE,
)
def epsilon_outside_the_root(self: Any, x: Tensor) -> Tensor:
    """Epsilon stands outside the root: you divide by std + eps. It belongs inside, as in sqrt(var + eps)."""
    return x / (torch.sqrt(x.square().mean(dim=-1, keepdim=True)) + 1e-5)


@LAYER_NORM_BUGS.bug(
    "It is added to the variance. How large is it beside a variance of 1e-6?",
    also=tuple(
        lambda self, x, eps=eps: x / torch.sqrt(x.square().mean(dim=-1, keepdim=True) + eps)
        for eps in (0.0, 1e-10, 1e-8, 1e-7, 1e-6)
    ),
    derived=_ALMOST_ALIKE,
)
def epsilon_too_small(self: Any, x: Tensor) -> Tensor:
    """Your epsilon is smaller than 1e-5, or there is none."""
    return x / torch.sqrt(x.square().mean(dim=-1, keepdim=True) + 1e-12)


@LAYER_NORM_BUGS.bug(
    "It only has to keep the root from being zero. Which value does torch use?",
    also=tuple(
        lambda self, x, eps=eps: x / torch.sqrt(x.square().mean(dim=-1, keepdim=True) + eps)
        for eps in (1e-4, 1e-2, 1e-1, 1.0)
    ),
    derived=_ALMOST_ALIKE,
)
def epsilon_too_large(self: Any, x: Tensor) -> Tensor:
    """Your epsilon is larger than 1e-5: it shows in tokens whose features are almost alike."""
    return x / torch.sqrt(x.square().mean(dim=-1, keepdim=True) + 1e-3)


@LAYER_NORM_BUGS.bug(
    "Normalise [2, 0, 0, 0] and [1, 0, 0, 0] by hand: should they differ?",
    also=(lambda self, x: x / x.var(dim=-1, keepdim=True, correction=0),),
)
def root_missing(self: Any, x: Tensor) -> Tensor:
    """You divide by the variance; it should be by its root, the standard deviation."""
    return x / (x.square().mean(dim=-1, keepdim=True) + 1e-5)


@LAYER_NORM_BUGS.bug(
    "In which order come square, mean and root?", also=(lambda self, x: x / x.abs().mean(dim=-1, keepdim=True),)
)
def absolute_deviation(self: Any, x: Tensor) -> Tensor:
    """You divide by the mean of the absolute values; it should be by the root of the mean square."""
    return x / (x.abs().mean(dim=-1, keepdim=True) + 1e-5)


@LAYER_NORM_BUGS.bug(
    "What is the variance of the features of a vector of length 1?",
    also=(
        lambda self, x: x / (x.norm(dim=-1, keepdim=True) + 1e-5),
        lambda self, x: F.normalize(x, dim=-1),
    ),
)
def divided_by_the_length(self: Any, x: Tensor) -> Tensor:
    """You divide by the length of the vector, the root of the SUM of the squares; it should be the root of their
    mean.
    """
    return x / torch.sqrt(x.square().sum(dim=-1, keepdim=True) + 1e-5)


@LAYER_NORM_BUGS.bug("What is the variance of your features after the first step?")
def division_missing(self: Any, x: Tensor) -> Tensor:
    """You subtract the mean, but do not divide by the standard deviation."""
    return x


@LAYER_NORM_BUGS.bug("What is the mean of your features after the first step?", part="centre")
def rms_norm(self: Any, x: Tensor) -> Tensor:
    """You do not subtract the mean: that is RMS norm. Layer norm brings the mean of the features to 0 first."""
    return x


@LAYER_NORM_BUGS.bug("What is the mean of your features after normalising?", part="normalise")
def mean_not_subtracted(self: Any, x: Tensor) -> Tensor:
    """The deviation is right, but you divide x itself by it: subtract the mean from x first."""
    return x / torch.sqrt(x.var(dim=-1, keepdim=True, correction=0) + 1e-5)


@LAYER_NORM_BUGS.bug("Of which numbers do you take the squares?", part="normalise")
def variance_not_centred(self: Any, x: Tensor) -> Tensor:
    """You divide by the root of the mean square of x; the variance is the mean square of x minus its mean."""
    return self.centre(x) / torch.sqrt(x.square().mean(dim=-1, keepdim=True) + 1e-5)
