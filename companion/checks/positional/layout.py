"""Wrong sinusoidal encodings: right angles, but another table made of them."""

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks import in_training
from companion.checks.engine.bank import Bank
from companion.checks.positional.positions import BY_HAND, SINUSOIDS, WRONG, build_positional, right_layout

LAYOUT_BUGS = Bank(part="layout", section=BY_HAND)


@LAYOUT_BUGS.bug("Row 0 should be 0, 1, 0, 1, ... What is yours?", section=WRONG, derived=in_training.RENUMBERED)
def sines_then_cosines(sine: Tensor, cosine: Tensor) -> Tensor:
    """All your sines come first and all cosines after them. That is a convention too, and some published models use
    it; in the paper and in this course the sine and the cosine of a pair stand side by side, at features 2i and
    2i + 1.
    """
    return torch.cat([sine.sin(), cosine.cos()], dim=-1)


@LAYOUT_BUGS.bug("Row 0 should be 0, 1, 0, 1, ... What is yours?", derived=in_training.RENUMBERED)
def sine_and_cosine_swapped(sine: Tensor, cosine: Tensor) -> Tensor:
    """Sine and cosine are swapped: even features are sines, odd features are cosines."""
    return torch.stack([sine.cos(), cosine.sin()], dim=-1).flatten(-2)


@LAYOUT_BUGS.bug("Row 0 should be 0, 1, 0, 1, ... What is yours?", section=WRONG, derived=in_training.RENUMBERED)
def cosines_then_sines(sine: Tensor, cosine: Tensor) -> Tensor:
    """All your cosines come first and all sines after them; the sine and the cosine of a pair stand side by side, at
    features 2i and 2i + 1.
    """
    return torch.cat([cosine.cos(), sine.sin()], dim=-1)


@LAYOUT_BUGS.bug("What should row 0 be? A vector of zeros says nothing.")
def sines_only(sine: Tensor, cosine: Tensor) -> Tensor:
    """All your features are sines; the odd ones should be cosines."""
    return torch.stack([sine.sin(), cosine.sin()], dim=-1).flatten(-2)


@LAYOUT_BUGS.bug("Row 0 should be 0, 1, 0, 1, ... What is yours?")
def cosines_only(sine: Tensor, cosine: Tensor) -> Tensor:
    """All your features are cosines; the even ones should be sines."""
    return torch.stack([sine.cos(), cosine.cos()], dim=-1).flatten(-2)


@LAYOUT_BUGS.bug("Of table[0::2] and table[:, 0::2], which takes every other feature?")
def rows_for_columns(sine: Tensor, cosine: Tensor) -> Tensor:
    """Your even positions are sines and your odd positions cosines, all along the row: table[0::2] takes rows. It is
    the even features that are sines, table[:, 0::2].
    """
    angles = torch.stack([sine, cosine], dim=-1).flatten(-2)
    even = torch.arange(len(angles)) % 2 == 0
    return angles.sin().where(even[:, None], angles.cos())


@LAYOUT_BUGS.bug("Which line of your code writes to the features 1, 3, 5, ...?")
def cosines_missing(sine: Tensor, cosine: Tensor) -> Tensor:
    """Your odd features stay 0: the sines are there, the cosines are not."""
    return torch.stack([sine.sin(), torch.zeros_like(cosine)], dim=-1).flatten(-2)


@LAYOUT_BUGS.bug("Which line of your code writes to the features 0, 2, 4, ...?")
def sines_missing(sine: Tensor, cosine: Tensor) -> Tensor:
    """Your even features stay 0: the cosines are there, the sines are not."""
    return torch.stack([torch.zeros_like(sine), cosine.cos()], dim=-1).flatten(-2)


@LAYOUT_BUGS.bug(
    "With d_model features there are d_model / 2 angles. What does each of them contribute?",
    section=SINUSOIDS,
    also=(lambda sine, cosine: cosine.cos(),),
)
def half_of_the_features(sine: Tensor, cosine: Tensor) -> Tensor:
    """Your table has half of its features: one for each pair, where each pair has two, a sine and a cosine."""
    return sine.sin()


@LAYOUT_BUGS.bug(
    "Where does your loop over the features, or your slice, end?",
    also=(lambda sine, cosine: _last_zero(sine, cosine, 1),),
)
def last_features_missing(sine: Tensor, cosine: Tensor) -> Tensor:
    """The last features of your table are never written: they stay 0."""
    return _last_zero(sine, cosine, 2)


def _last_zero(sine: Tensor, cosine: Tensor, features: int) -> Tensor:
    table = right_layout(sine, cosine)
    table[:, -features:] = 0.0
    return table


@LAYOUT_BUGS.bug("What is the cosine of 0? Position 0 is a position like any other.")
def first_row_zero(sine: Tensor, cosine: Tensor) -> Tensor:
    """The first row of your table is 0; at position 0 the sines are 0 and the cosines are 1."""
    return torch.cat([torch.zeros_like(right_layout(sine, cosine)[:1]), right_layout(sine, cosine)[1:]])


@LAYOUT_BUGS.bug("How large may a value of the encoding become?", section=SINUSOIDS)
def angles_without_sine(sine: Tensor, cosine: Tensor) -> Tensor:
    """Your table holds the angles themselves, without sine and cosine: its values grow with the position."""
    return torch.stack([sine, cosine], dim=-1).flatten(-2)


@LAYOUT_BUGS.bug("The result is (length, d_model). Which of your two indices is the position?")
def table_transposed(sine: Tensor, cosine: Tensor) -> Tensor:
    """Your table is transposed: it has a row for each feature. There should be a row for each position."""
    return right_layout(sine, cosine).T


@LAYOUT_BUGS.bug(
    "Do you call unsqueeze? Adding (length, d_model) to (batch, length, d_model) broadcasts by itself.",
    section=WRONG,
    also=(lambda sine, cosine: right_layout(sine, cosine)[:, None],),
)
def axis_too_many(sine: Tensor, cosine: Tensor) -> Tensor:
    """Your table has an axis of size 1 too many. The result is (length, d_model); with an axis before or between,
    slicing it may go along the batch, so that every token of a sequence gets the same offset.
    """
    return right_layout(sine, cosine)[None]


@LAYOUT_BUGS.bug(
    "What is the largest value that a sine takes, and what is yours?",
    section=WRONG,
    also=(lambda sine, cosine: right_layout(sine, cosine) / (2 * sine.size(-1)) ** 0.5,),
)
def table_scaled(sine: Tensor, cosine: Tensor) -> Tensor:
    """Your table is scaled by sqrt(d_model), or by its inverse. It is the embeddings that are multiplied by
    sqrt(d_model); the sines and cosines stay between -1 and 1.
    """
    return right_layout(sine, cosine) * (2 * sine.size(-1)) ** 0.5


@LAYOUT_BUGS.bug("Which dtype has the tensor that you write into?")
def integers(sine: Tensor, cosine: Tensor) -> Tensor:
    """Your table holds integers: the sines and cosines have lost what is behind the decimal point."""
    return right_layout(sine, cosine).long()


@LAYOUT_BUGS.bug(
    "Compute the table once in float32 or better, and convert it to the dtype of x where it is added.",
    section=SINUSOIDS,
    part="",
)
def half_precision(length: int, d_model: int) -> Tensor:
    """Your table is in half precision (float16), with three digits; float32 is expected."""
    return build_positional({})(length, d_model).half()


@LAYOUT_BUGS.bug("Should the frequencies change when the sequence gets longer?", section=SINUSOIDS, part="")
def exponent_divided_by_length(length: int, d_model: int) -> Tensor:
    """Your exponent is 2i / length; it should be 2i / d_model."""
    exponent = torch.arange(0, d_model, 2, dtype=torch.float64) / length
    return build_positional({"exponent": lambda d_model: (exponent, exponent)})(length, d_model)
