"""Wrong multi-head layers: the softmax and the mask in each head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from companion.checks import in_training
from companion.checks.engine.bank import Bank, section
from companion.checks.multi_head.right import WRONG

BEFORE = section("masks", "Five ways to apply a mask, one of them right")
POLARITY = section("masks", "What a mask is")

WEIGH_BUGS = Bank(part="weigh", section=WRONG)
INFINITY = float("inf")


def _with(dim: int) -> Any:
    def weigh(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
        return (scores if mask is None else scores.masked_fill(~mask, -INFINITY)).softmax(dim=dim)

    return weigh


@WEIGH_BUGS.bug("What do the weights of one query sum to?", section=section("attention", "As matrices"))
def softmax_over_the_queries(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """The softmax runs over the queries; it should run over the keys, the last axis of the scores."""
    return _with(-2)(self, scores, mask)


@WEIGH_BUGS.bug("Which axis of (B, H, Q, K) are the keys?")
def softmax_over_the_heads(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """The softmax runs over the heads; it should run over the keys, the last axis of the scores."""
    return _with(1)(self, scores, mask)


@WEIGH_BUGS.bug("Which axis of (B, H, Q, K) are the keys?")
def softmax_over_the_batch(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """The softmax runs over the batch; it should run over the keys, the last axis of the scores."""
    return _with(0)(self, scores, mask)


@WEIGH_BUGS.bug(
    "What should the weights of one query sum to?",
    section=section("attention", "As matrices"),
    also=(lambda self, scores, mask: scores if mask is None else scores * mask,),
)
def softmax_missing(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """There is no softmax: the scores themselves weigh the values."""
    return scores if mask is None else scores.masked_fill(~mask, 0.0)


@WEIGH_BUGS.bug("True means 'may attend'. torch's nn.MultiheadAttention means the opposite.", section=POLARITY)
def mask_read_inverted(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """The mask is read the wrong way round: where it is True a query may attend, and your layer hides just those
    keys.
    """
    return _with(-1)(self, scores, None if mask is None else ~mask)


@WEIGH_BUGS.bug("Where in forward does mask appear?", section=BEFORE)
def mask_not_used(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """The mask does not reach the scores: your output is the same with and without it."""
    return scores.softmax(dim=-1)


@WEIGH_BUGS.bug("What should the weights of one query sum to, once some have been set to 0?", section=BEFORE)
def mask_after_the_softmax(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """The mask is applied after the softmax, so the weights that are left no longer sum to 1. Hide the scores before
    it.
    """
    return scores.softmax(dim=-1) if mask is None else scores.softmax(dim=-1) * mask


@WEIGH_BUGS.bug("Which score gives a weight of 0 after the softmax?", section=BEFORE)
def hidden_scores_are_zero(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """Hidden scores become 0, or nearly 0: exp(0) is 1, so hidden keys keep a weight. They should become -inf."""
    return (scores if mask is None else scores * mask).softmax(dim=-1)


@WEIGH_BUGS.bug(
    "Which score gives a weight of 0 after the softmax?",
    section=BEFORE,
    also=(lambda self, scores, mask: _filled(scores, mask, INFINITY),),
)
def hidden_scores_are_huge(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """Hidden scores become a large positive number, or +inf: the minus sign is missing, and hidden keys get all the
    weight, or every weight is NaN. They should become -inf.
    """
    return _filled(scores, mask, 1e9)


def _filled(scores: Tensor, mask: Tensor | None, fill: float) -> Tensor:
    return (scores if mask is None else scores.masked_fill(~mask, fill)).softmax(dim=-1)


@WEIGH_BUGS.bug("What would you have to add to a score for its weight to be 0?", section=BEFORE)
def mask_added_to_scores(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """The mask is added to the scores as 0s and 1s: that moves them by 1 and hides nothing."""
    return (scores if mask is None else scores + mask).softmax(dim=-1)


@WEIGH_BUGS.bug("A mask broadcasts from its last axis. What stands above B in (B, H, Q, K)?")
def mask_lands_on_the_heads(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """The mask's axis for the heads is dropped, (B, Q, K): it then lands on the heads, and item b's mask hides keys
    from head b. It goes unseen where there are as many items as heads.
    """
    return _with(-1)(self, scores, mask[:, 0] if mask is not None and mask.dim() == 4 else mask)


@WEIGH_BUGS.bug("Write down which item each of the B * H rows belongs to, in the scores and in the mask.")
def mask_repeated_in_another_order(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """With batch and heads folded into one axis, the mask is repeated in another order than the heads: items get
    each other's masks. Repeat each item's mask H times in a row (repeat_interleave).
    """
    if mask is not None and mask.dim() == 4 and mask.size(1) == 1:
        batch, heads = scores.shape[:2]
        mask = mask.expand(batch, -1, -1, -1).repeat(heads, 1, 1, 1)[:, 0].unflatten(0, (batch, heads))
    return _with(-1)(self, scores, mask)


@WEIGH_BUGS.bug("A padded batch: which item's padding does your code look at?")
def first_items_mask_for_all(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """The first item's mask is used for the whole batch: each item has a mask of its own."""
    return _with(-1)(self, scores, mask[:1] if mask is not None and mask.dim() == 4 else mask)


@WEIGH_BUGS.bug("What should token 0 see when no mask is given?")
def causal_unasked(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """A causal mask is built into your layer: it hides later tokens without being asked. What is hidden comes in as
    mask.
    """
    causal = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    return _with(-1)(self, scores, causal if mask is None else mask & causal)


@WEIGH_BUGS.bug(
    "What does the softmax make of a row of equal scores?",
    section=section("masks", "A query that may attend to nothing"),
    derived=in_training.FINITE_FILL,
)
def finite_fill_of_scores(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """A query that may attend to nothing gets an average of the values: hidden scores are filled with a large but
    finite number, such as -1e9. Its weights should all be 0.
    """
    return (scores if mask is None else scores.masked_fill(~mask, -1e9)).softmax(dim=-1)


@WEIGH_BUGS.bug(
    "F.dropout drops unless it is told training=self.training; nn.Dropout knows by itself.",
    also=(lambda self, scores, mask: _with(-1)(self, scores, mask) * 0.9,),
)
def dropout_scale_in_eval(self: Any, scores: Tensor, mask: Tensor | None) -> Tensor:
    """Dropout is applied to the weights while the layer is in eval mode, or the weights are scaled as if it were:
    dropout and its scale belong to training.
    """
    return _with(-1)(self, scores, mask) / 0.9
