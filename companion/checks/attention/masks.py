"""Wrong ways of applying a mask inside attention."""

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks import in_training
from companion.checks.attention.right import Softmax, right_mask
from companion.checks.engine.bank import Bank, section

POLARITY = section("masks", "What a mask is")
BEFORE = section("masks", "Five ways to apply a mask, one of them right")
NOTHING = section("masks", "A query that may attend to nothing")
SHAPES = section("masks", "What a mask is")

MASK_BUGS = Bank(part="mask", section=BEFORE)
INFINITY = float("inf")


@MASK_BUGS.bug("Where in your function does mask appear?")
def mask_ignored(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    """The mask is ignored: your output is the same with and without it."""
    return softmax(scores)


@MASK_BUGS.bug("True means 'may attend'. Which scores does your code keep?", section=POLARITY)
def mask_inverted(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    """The mask is read the wrong way round: where it is True a query may attend, and you hide just those keys."""
    return softmax(scores.masked_fill(mask, -INFINITY))


@MASK_BUGS.bug("What should a row of weights sum to, once some of them have been set to 0?")
def mask_after_softmax(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    """The mask is applied after the softmax: the weights of the hidden keys are set to 0, but the others no longer
    sum to 1. Hide the scores before the softmax.
    """
    return softmax(scores) * mask


@MASK_BUGS.bug(
    "A fill of -inf means 'no weight' only to a softmax that comes after it.",
    also=(lambda scores, mask, softmax: softmax(scores).masked_fill(~mask, -INFINITY),),
)
def fill_after_softmax(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    """The scores' fill is put into the weights: the mask comes after the softmax, and hidden keys get a huge
    negative weight. Fill the scores, before the softmax.
    """
    return softmax(scores).masked_fill(~mask, -1e9)


@MASK_BUGS.bug("Which score gives a weight of 0 after the softmax? Your rows do sum to 1, so look at the hidden keys.")
def hidden_scores_become_zero(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    """Hidden scores become 0, or nearly 0 (multiplied by the mask, or filled with 0 or 1e-9): exp(0) is 1, so hidden
    keys keep a weight. Their scores should become -inf.
    """
    return softmax(scores * mask)


@MASK_BUGS.bug("What would you have to add to a score for its weight to be 0?")
def mask_added_as_ones(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    """The mask is added to the scores as 0s and 1s: that moves the scores by 1 and hides nothing."""
    return softmax(scores + mask)


@MASK_BUGS.bug(
    "Scores have no lower bound. Which fill lies below all of them?",
    also=tuple(lambda scores, mask, softmax, fill=fill: softmax(scores.masked_fill(~mask, fill)) for fill in (-1, -20)),
)
def fill_not_low_enough(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    """Hidden scores are filled with a number that is not low enough, such as -10: where the visible scores are as
    low, hidden keys get weight. Fill with -inf.
    """
    return softmax(scores.masked_fill(~mask, -10.0))


@MASK_BUGS.bug(
    "Think of a row that is hidden from end to end: what does the softmax make of equal scores?",
    section=NOTHING,
    also=(lambda scores, mask, softmax: softmax(scores - 1e9 * ~mask),),
    derived=in_training.FINITE_FILL,
)
def finite_fill(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    """A query that may attend to nothing gets an average of the values, as it does where hidden scores are filled
    with a large but finite number, such as -1e9: a softmax gives weights to something. Its weights should all be
    0.
    """
    return softmax(scores.masked_fill(~mask, -1e9))


@MASK_BUGS.bug("Follow the scores through your function. How many softmaxes do they meet?")
def softmax_before_and_after_mask(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    """The softmax is taken once before the mask and once more after it; it should be taken once, after the mask."""
    return softmax(softmax(scores).masked_fill(~mask, -INFINITY))


@MASK_BUGS.bug("mask broadcasts to (batch, heads, queries, keys) as it is.", section=SHAPES)
def mask_transposed(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    """The mask is transposed: its rows belong to the queries and its columns to the keys, as in the scores."""
    return softmax(scores.masked_fill(~mask.transpose(-2, -1), -INFINITY))


@MASK_BUGS.bug("A padded batch: which item's padding does your code look at?", section=SHAPES)
def first_mask_for_all(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    """The mask of the first item is used for the whole batch: each item has a mask of its own."""
    first = mask[:1] if mask.dim() == 4 else mask
    return softmax(scores.masked_fill(~first, -INFINITY))


@MASK_BUGS.bug(
    "Which score gives a weight of 0 after the softmax?",
    also=(lambda scores, mask, softmax: softmax(scores.masked_fill(~mask, INFINITY)),),
)
def filled_with_plus(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    """Hidden scores are filled with a large positive number, or with +inf: the minus sign is missing, and hidden keys
    get all the weight, or every weight is NaN. Fill with -inf.
    """
    return softmax(scores.masked_fill(~mask, 1e9))


@MASK_BUGS.bug(
    "Give your function a mask that hides nothing. May query 0 look at the last key?",
    section=POLARITY,
    also=(lambda scores, mask, softmax: softmax(scores.masked_fill(~_past(scores), -INFINITY)),),
)
def causal_on_its_own(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    """Your function hides the future on its own, as is_causal=True does; only mask should say what is hidden."""
    return right_mask(scores, mask & _past(scores), softmax)


def _past(scores: Tensor) -> Tensor:
    return torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
