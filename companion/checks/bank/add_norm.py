"""Wrong layer norms, as classes: what is wrong is one method of the right one. Here: what x is divided by.

Shapes: B batch, L length, D features; x is (B, L, D).
"""

# ruff: noqa: D101, D102, D103 - the sentence in a decorator is the docstring of the wrong method under it.

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.checks._spec import Bug, bug, section
from companion.checks._variants import Variant

BY_HAND = section("add_norm", "Layer norm by hand")
WHICH_AXES = section("add_norm", "Layer norm and batch norm")
RESIDUAL = section("add_norm", "The residual connection")
PRE_POST = section("add_norm", "Post-norm and pre-norm")
WRONG = section("add_norm", "What goes wrong")

LAYER_NORM_BUGS: list[Bug] = []


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


@bug(
    LAYER_NORM_BUGS,
    "You divide by the unbiased standard deviation, which divides by D - 1; layer norm divides by D.",
    hint="Normalise [1, 0, 0, 0] by hand. torch's std and var have an argument about this.",
    section=BY_HAND,
    part="divide",
    also=(
        lambda self, x: x / torch.sqrt(x.var(dim=-1, keepdim=True) + 1e-5),
        *(lambda self, x, eps=eps: x / (x.std(dim=-1, keepdim=True) + eps) for eps in (0.0, 1e-8, 1e-6)),
    ),
)
def unbiased_standard_deviation(self: Any, x: Tensor) -> Tensor:
    return x / (x.std(dim=-1, keepdim=True) + 1e-5)


@bug(
    LAYER_NORM_BUGS,
    "Epsilon stands outside the root: you divide by std + eps. It belongs inside, as in sqrt(var + eps).",
    hint="The two differ most where the variance is tiny. Which one keeps the gradient of the root finite?",
    section=BY_HAND,
    part="divide",
)
def epsilon_outside_the_root(self: Any, x: Tensor) -> Tensor:
    return x / (torch.sqrt(x.square().mean(dim=-1, keepdim=True)) + 1e-5)


@bug(
    LAYER_NORM_BUGS,
    "Your epsilon is smaller than 1e-5, or there is none.",
    hint="It is added to the variance. How large is it beside a variance of 1e-6?",
    section=BY_HAND,
    part="divide",
    also=tuple(
        lambda self, x, eps=eps: x / torch.sqrt(x.square().mean(dim=-1, keepdim=True) + eps)
        for eps in (0.0, 1e-10, 1e-8, 1e-7, 1e-6)
    ),
)
def epsilon_too_small(self: Any, x: Tensor) -> Tensor:
    return x / torch.sqrt(x.square().mean(dim=-1, keepdim=True) + 1e-12)


@bug(
    LAYER_NORM_BUGS,
    "Your epsilon is larger than 1e-5: it shows in tokens whose features are almost alike.",
    hint="It only has to keep the root from being zero. Which value does torch use?",
    section=BY_HAND,
    part="divide",
    also=tuple(
        lambda self, x, eps=eps: x / torch.sqrt(x.square().mean(dim=-1, keepdim=True) + eps)
        for eps in (1e-4, 1e-2, 1e-1, 1.0)
    ),
)
def epsilon_too_large(self: Any, x: Tensor) -> Tensor:
    return x / torch.sqrt(x.square().mean(dim=-1, keepdim=True) + 1e-3)


@bug(
    LAYER_NORM_BUGS,
    "You divide by the variance; it should be by its root, the standard deviation.",
    hint="Normalise [2, 0, 0, 0] and [1, 0, 0, 0] by hand: should they differ?",
    section=BY_HAND,
    part="divide",
    also=(lambda self, x: x / x.var(dim=-1, keepdim=True, correction=0),),
)
def root_missing(self: Any, x: Tensor) -> Tensor:
    return x / (x.square().mean(dim=-1, keepdim=True) + 1e-5)


@bug(
    LAYER_NORM_BUGS,
    "You divide by the mean of the absolute values; it should be by the root of the mean square.",
    hint="In which order come square, mean and root?",
    section=BY_HAND,
    part="divide",
    also=(lambda self, x: x / x.abs().mean(dim=-1, keepdim=True),),
)
def absolute_deviation(self: Any, x: Tensor) -> Tensor:
    return x / (x.abs().mean(dim=-1, keepdim=True) + 1e-5)


@bug(
    LAYER_NORM_BUGS,
    "You divide by the length of the vector, the root of the SUM of the squares; it should be the root of their mean.",
    hint="What is the variance of the features of a vector of length 1?",
    section=BY_HAND,
    part="divide",
    also=(
        lambda self, x: x / (x.norm(dim=-1, keepdim=True) + 1e-5),
        lambda self, x: F.normalize(x, dim=-1),
    ),
)
def divided_by_the_length(self: Any, x: Tensor) -> Tensor:
    return x / torch.sqrt(x.square().sum(dim=-1, keepdim=True) + 1e-5)


@bug(
    LAYER_NORM_BUGS,
    "You subtract the mean, but do not divide by the standard deviation.",
    hint="What is the variance of your features after the first step?",
    section=BY_HAND,
    part="divide",
)
def division_missing(self: Any, x: Tensor) -> Tensor:
    return x


@bug(
    LAYER_NORM_BUGS,
    "You do not subtract the mean: that is RMS norm. Layer norm brings the mean of the features to 0 first.",
    hint="What is the mean of your features after the first step?",
    section=BY_HAND,
    part="centre",
)
def rms_norm(self: Any, x: Tensor) -> Tensor:
    return x


@bug(
    LAYER_NORM_BUGS,
    "The deviation is right, but you divide x itself by it: subtract the mean from x first.",
    hint="What is the mean of your features after normalising?",
    section=BY_HAND,
    part="normalise",
)
def mean_not_subtracted(self: Any, x: Tensor) -> Tensor:
    return x / torch.sqrt(x.var(dim=-1, keepdim=True, correction=0) + 1e-5)


@bug(
    LAYER_NORM_BUGS,
    "You divide by the root of the mean square of x; the variance is the mean square of x minus its mean.",
    hint="Of which numbers do you take the squares?",
    section=BY_HAND,
    part="normalise",
)
def variance_not_centred(self: Any, x: Tensor) -> Tensor:
    return self.centre(x) / torch.sqrt(x.square().mean(dim=-1, keepdim=True) + 1e-5)
