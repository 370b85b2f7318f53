"""Wrong ways of applying a mask inside attention."""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong function under it.

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks._spec import Bug, bug, section
from companion.checks.bank.attention import Softmax, right_mask

POLARITY = section("masks", "What a mask is")
BEFORE = section("masks", "Five ways to apply a mask, one of them right")
NOTHING = section("masks", "A query that may attend to nothing")
SHAPES = section("masks", "What a mask is")

MASK_BUGS: list[Bug] = []
INFINITY = float("inf")


@bug(
    MASK_BUGS,
    "The mask is ignored: your output is the same with and without it.",
    hint="Where in your function does mask appear?",
    section=BEFORE,
    part="mask",
)
def mask_ignored(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    return softmax(scores)


@bug(
    MASK_BUGS,
    "The mask is read the wrong way round: where it is True a query may attend, and you hide just those keys.",
    hint="True means 'may attend'. Which scores does your code keep?",
    section=POLARITY,
    part="mask",
)
def mask_inverted(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    return softmax(scores.masked_fill(mask, -INFINITY))


@bug(
    MASK_BUGS,
    "The mask is applied after the softmax: the weights of the hidden keys are set to 0, but the others no longer "
    "sum to 1. Hide the scores before the softmax.",
    hint="What should a row of weights sum to, once some of them have been set to 0?",
    section=BEFORE,
    part="mask",
)
def mask_after_softmax(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    return softmax(scores) * mask


@bug(
    MASK_BUGS,
    "The scores' fill is put into the weights: the mask comes after the softmax, and hidden keys get a huge "
    "negative weight. Fill the scores, before the softmax.",
    hint="A fill of -inf means 'no weight' only to a softmax that comes after it.",
    section=BEFORE,
    part="mask",
    also=(lambda scores, mask, softmax: softmax(scores).masked_fill(~mask, -INFINITY),),
)
def fill_after_softmax(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    return softmax(scores).masked_fill(~mask, -1e9)


@bug(
    MASK_BUGS,
    "Hidden scores become 0, or nearly 0 (multiplied by the mask, or filled with 0 or 1e-9): exp(0) is 1, so hidden "
    "keys keep a weight. Their scores should become -inf.",
    hint="Which score gives a weight of 0 after the softmax? Your rows do sum to 1, so look at the hidden keys.",
    section=BEFORE,
    part="mask",
)
def hidden_scores_become_zero(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    return softmax(scores * mask)


@bug(
    MASK_BUGS,
    "The mask is added to the scores as 0s and 1s: that moves the scores by 1 and hides nothing.",
    hint="What would you have to add to a score for its weight to be 0?",
    section=BEFORE,
    part="mask",
)
def mask_added_as_ones(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    return softmax(scores + mask)


@bug(
    MASK_BUGS,
    "Hidden scores are filled with a number that is not low enough, such as -10: where the visible scores are as "
    "low, hidden keys get weight. Fill with -inf.",
    hint="Scores have no lower bound. Which fill lies below all of them?",
    section=BEFORE,
    part="mask",
    also=tuple(lambda scores, mask, softmax, fill=fill: softmax(scores.masked_fill(~mask, fill)) for fill in (-1, -20)),
)
def fill_not_low_enough(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    return softmax(scores.masked_fill(~mask, -10.0))


@bug(
    MASK_BUGS,
    "A query that may attend to nothing gets an average of the values, as it does where hidden scores are filled with "
    "a large but finite number, such as -1e9: a softmax gives weights to something. Its weights should all be 0.",
    hint="Think of a row that is hidden from end to end: what does the softmax make of equal scores?",
    section=NOTHING,
    part="mask",
    also=(lambda scores, mask, softmax: softmax(scores - 1e9 * ~mask),),
)
def finite_fill(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    return softmax(scores.masked_fill(~mask, -1e9))


@bug(
    MASK_BUGS,
    "The softmax is taken once before the mask and once more after it; it should be taken once, after the mask.",
    hint="Follow the scores through your function. How many softmaxes do they meet?",
    section=BEFORE,
    part="mask",
)
def softmax_before_and_after_mask(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    return softmax(softmax(scores).masked_fill(~mask, -INFINITY))


@bug(
    MASK_BUGS,
    "The mask is transposed: its rows belong to the queries and its columns to the keys, as in the scores.",
    hint="mask broadcasts to (batch, heads, queries, keys) as it is.",
    section=SHAPES,
    part="mask",
)
def mask_transposed(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    return softmax(scores.masked_fill(~mask.transpose(-2, -1), -INFINITY))


@bug(
    MASK_BUGS,
    "The mask of the first item is used for the whole batch: each item has a mask of its own.",
    hint="A padded batch: which item's padding does your code look at?",
    section=SHAPES,
    part="mask",
)
def first_mask_for_all(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    first = mask[:1] if mask.dim() == 4 else mask
    return softmax(scores.masked_fill(~first, -INFINITY))


@bug(
    MASK_BUGS,
    "Hidden scores are filled with a large positive number: the minus sign is missing, and hidden keys get all the "
    "weight. Fill with -inf.",
    hint="Which score gives a weight of 0 after the softmax?",
    section=BEFORE,
    part="mask",
)
def filled_with_plus(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    return softmax(scores.masked_fill(~mask, 1e9))


@bug(
    MASK_BUGS,
    "Your function hides the future on its own, as is_causal=True does; only mask should say what is hidden.",
    hint="Give your function a mask that hides nothing. May query 0 look at the last key?",
    section=POLARITY,
    part="mask",
    also=(lambda scores, mask, softmax: softmax(scores.masked_fill(~_past(scores), -INFINITY)),),
)
def causal_on_its_own(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    return right_mask(scores, mask & _past(scores), softmax)


def _past(scores: Tensor) -> Tensor:
    return torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
