"""Wrong sinusoidal encodings: right angles, but another table made of them."""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong function under it.

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks._spec import Bug, bug
from companion.checks.bank.positional import BY_HAND, SINUSOIDS, WRONG, build_positional, right_layout

LAYOUT_BUGS: list[Bug] = []


@bug(
    LAYOUT_BUGS,
    "All your sines come first and all cosines after them. That is a convention too, and some published models use "
    "it; in the paper and in this course the sine and the cosine of a pair stand side by side, at features 2i and "
    "2i + 1.",
    hint="Row 0 should be 0, 1, 0, 1, ... What is yours?",
    section=WRONG,
    part="layout",
)
def sines_then_cosines(sine: Tensor, cosine: Tensor) -> Tensor:
    return torch.cat([sine.sin(), cosine.cos()], dim=-1)


@bug(
    LAYOUT_BUGS,
    "Sine and cosine are swapped: even features are sines, odd features are cosines.",
    hint="Row 0 should be 0, 1, 0, 1, ... What is yours?",
    section=BY_HAND,
    part="layout",
)
def sine_and_cosine_swapped(sine: Tensor, cosine: Tensor) -> Tensor:
    return torch.stack([sine.cos(), cosine.sin()], dim=-1).flatten(-2)


@bug(
    LAYOUT_BUGS,
    "All your cosines come first and all sines after them; the sine and the cosine of a pair stand side by side, at "
    "features 2i and 2i + 1.",
    hint="Row 0 should be 0, 1, 0, 1, ... What is yours?",
    section=WRONG,
    part="layout",
)
def cosines_then_sines(sine: Tensor, cosine: Tensor) -> Tensor:
    return torch.cat([cosine.cos(), sine.sin()], dim=-1)


@bug(
    LAYOUT_BUGS,
    "All your features are sines; the odd ones should be cosines.",
    hint="What should row 0 be? A vector of zeros says nothing.",
    section=BY_HAND,
    part="layout",
)
def sines_only(sine: Tensor, cosine: Tensor) -> Tensor:
    return torch.stack([sine.sin(), cosine.sin()], dim=-1).flatten(-2)


@bug(
    LAYOUT_BUGS,
    "All your features are cosines; the even ones should be sines.",
    hint="Row 0 should be 0, 1, 0, 1, ... What is yours?",
    section=BY_HAND,
    part="layout",
)
def cosines_only(sine: Tensor, cosine: Tensor) -> Tensor:
    return torch.stack([sine.cos(), cosine.cos()], dim=-1).flatten(-2)


@bug(
    LAYOUT_BUGS,
    "Your odd features stay 0: the sines are there, the cosines are not.",
    hint="Which line of your code writes to the features 1, 3, 5, ...?",
    section=BY_HAND,
    part="layout",
)
def cosines_missing(sine: Tensor, cosine: Tensor) -> Tensor:
    return torch.stack([sine.sin(), torch.zeros_like(cosine)], dim=-1).flatten(-2)


@bug(
    LAYOUT_BUGS,
    "Your even features stay 0: the cosines are there, the sines are not.",
    hint="Which line of your code writes to the features 0, 2, 4, ...?",
    section=BY_HAND,
    part="layout",
)
def sines_missing(sine: Tensor, cosine: Tensor) -> Tensor:
    return torch.stack([torch.zeros_like(sine), cosine.cos()], dim=-1).flatten(-2)


@bug(
    LAYOUT_BUGS,
    "Your table has half of its features: one for each pair, where each pair has two, a sine and a cosine.",
    hint="With d_model features there are d_model / 2 angles. What does each of them contribute?",
    section=SINUSOIDS,
    part="layout",
    also=(lambda sine, cosine: cosine.cos(),),
)
def half_of_the_features(sine: Tensor, cosine: Tensor) -> Tensor:
    return sine.sin()


@bug(
    LAYOUT_BUGS,
    "The last features of your table are never written: they stay 0.",
    hint="Where does your loop over the features, or your slice, end?",
    section=BY_HAND,
    part="layout",
    also=(lambda sine, cosine: _last_zero(sine, cosine, 1),),
)
def last_features_missing(sine: Tensor, cosine: Tensor) -> Tensor:
    return _last_zero(sine, cosine, 2)


def _last_zero(sine: Tensor, cosine: Tensor, features: int) -> Tensor:
    table = right_layout(sine, cosine)
    table[:, -features:] = 0.0
    return table


@bug(
    LAYOUT_BUGS,
    "The first row of your table is 0; at position 0 the sines are 0 and the cosines are 1.",
    hint="What is the cosine of 0? Position 0 is a position like any other.",
    section=BY_HAND,
    part="layout",
)
def first_row_zero(sine: Tensor, cosine: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(right_layout(sine, cosine)[:1]), right_layout(sine, cosine)[1:]])


@bug(
    LAYOUT_BUGS,
    "Your table holds the angles themselves, without sine and cosine: its values grow with the position.",
    hint="How large may a value of the encoding become?",
    section=SINUSOIDS,
    part="layout",
)
def angles_without_sine(sine: Tensor, cosine: Tensor) -> Tensor:
    return torch.stack([sine, cosine], dim=-1).flatten(-2)


@bug(
    LAYOUT_BUGS,
    "Your table is transposed: it has a row for each feature. There should be a row for each position.",
    hint="The result is (length, d_model). Which of your two indices is the position?",
    section=BY_HAND,
    part="layout",
)
def table_transposed(sine: Tensor, cosine: Tensor) -> Tensor:
    return right_layout(sine, cosine).T


@bug(
    LAYOUT_BUGS,
    "Your table has an axis of size 1 too many. The result is (length, d_model); with an axis before or between, "
    "slicing it may go along the batch, so that every token of a sequence gets the same offset.",
    hint="Do you call unsqueeze? Adding (length, d_model) to (batch, length, d_model) broadcasts by itself.",
    section=WRONG,
    part="layout",
    also=(lambda sine, cosine: right_layout(sine, cosine)[:, None],),
)
def axis_too_many(sine: Tensor, cosine: Tensor) -> Tensor:
    return right_layout(sine, cosine)[None]


@bug(
    LAYOUT_BUGS,
    "Your table is scaled by sqrt(d_model), or by its inverse. It is the embeddings that are multiplied by "
    "sqrt(d_model); the sines and cosines stay between -1 and 1.",
    hint="What is the largest value that a sine takes, and what is yours?",
    section=WRONG,
    part="layout",
    also=(lambda sine, cosine: right_layout(sine, cosine) / (2 * sine.size(-1)) ** 0.5,),
)
def table_scaled(sine: Tensor, cosine: Tensor) -> Tensor:
    return right_layout(sine, cosine) * (2 * sine.size(-1)) ** 0.5


@bug(
    LAYOUT_BUGS,
    "Your table holds integers: the sines and cosines have lost what is behind the decimal point.",
    hint="Which dtype has the tensor that you write into?",
    section=BY_HAND,
    part="layout",
)
def integers(sine: Tensor, cosine: Tensor) -> Tensor:
    return right_layout(sine, cosine).long()


@bug(
    LAYOUT_BUGS,
    "Your table is in half precision (float16), with three digits; float32 is expected.",
    hint="Compute the table once in float32 or better, and convert it to the dtype of x where it is added.",
    section=SINUSOIDS,
)
def half_precision(length: int, d_model: int) -> Tensor:
    return build_positional({})(length, d_model).half()


@bug(
    LAYOUT_BUGS,
    "Your exponent is 2i / length; it should be 2i / d_model.",
    hint="Should the frequencies change when the sequence gets longer?",
    section=SINUSOIDS,
)
def exponent_divided_by_length(length: int, d_model: int) -> Tensor:
    exponent = torch.arange(0, d_model, 2, dtype=torch.float64) / length
    return build_positional({"exponent": lambda d_model: (exponent, exponent)})(length, d_model)
