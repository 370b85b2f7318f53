"""Wrong ways of merging heads: ``fn(x)``, from (B, H, L, E) to (B, L, H * E).

Shapes: B batch, H heads, L length, D features, E = D / H features of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks import in_training
from companion.checks.engine.bank import Bank
from companion.checks.multi_head.right import BY_HAND, TRANSPOSE, WRONG, right_merge

MERGE_BUGS = Bank(section=BY_HAND)


@MERGE_BUGS.bug("The shape is right and the tokens are not. Which tokens are in your first row?", section=TRANSPOSE)
def merged_by_view(x: Tensor) -> Tensor:
    """You go straight from (B, H, L, E) to (B, L, H * E) with a view or a reshape: a row of your output then holds
    one head of several tokens, not all heads of one token. Transpose to (B, L, H, E) first.
    """
    batch, heads, length, features = x.shape
    return x.reshape(batch, length, heads * features)


@MERGE_BUGS.bug(
    "What should come right after the first feature of head 0?", section=WRONG, derived=in_training.RENUMBERED
)
def merged_interleaved(x: Tensor) -> Tensor:
    """Your output interleaves the heads: their first features, then their second ones, and so on. The heads should
    stand side by side, each with its features together.
    """
    return x.permute(0, 2, 3, 1).flatten(2)


@MERGE_BUGS.bug("How many features should a token have afterwards?")
def heads_averaged(x: Tensor) -> Tensor:
    """You average the heads; they should be put side by side, which keeps what each has found."""
    return x.mean(dim=1)


@MERGE_BUGS.bug("How many features should a token have afterwards?")
def heads_summed(x: Tensor) -> Tensor:
    """You sum the heads; they should be put side by side, which keeps what each has found."""
    return x.sum(dim=1)


@MERGE_BUGS.bug("How many features should a token have afterwards?")
def largest_of_the_heads(x: Tensor) -> Tensor:
    """You take the largest of the heads; they should be put side by side, which keeps what each has found."""
    return x.amax(dim=1)


@MERGE_BUGS.bug("What has become of the other heads?", also=(lambda x: x[:, -1],))
def one_head_kept(x: Tensor) -> Tensor:
    """Only one head is left in your output; all of them should stand side by side."""
    return x[:, 0]


@MERGE_BUGS.bug("How many axes should the result have?")
def not_flattened(x: Tensor) -> Tensor:
    """Your output still has an axis for the heads, (B, L, H, E): after the transpose, the last two axes are to
    become one, (B, L, H * E).
    """
    return x.transpose(1, 2)


@MERGE_BUGS.bug("Which two axes do you join?", also=(lambda x: x.transpose(1, 2).flatten(1, 2),))
def joined_along_the_tokens(x: Tensor) -> Tensor:
    """Your heads stand one after another along the tokens, (B, H * L, E); they should stand side by side along the
    features, (B, L, H * E).
    """
    return x.flatten(1, 2)


@MERGE_BUGS.bug("Along which dim do you join the heads?", also=(lambda x: x.flatten(0, 1),))
def joined_along_the_batch(x: Tensor) -> Tensor:
    """Your heads are joined along the batch, (B * H, L, E); they should stand side by side along the features, (B,
    L, H * E).
    """
    return torch.cat(x.unbind(1), dim=0)


@MERGE_BUGS.bug("Which two axes of (B, H, L, E) have to be swapped to get (B, L, H, E)?", section=TRANSPOSE)
def wrong_axes_transposed(x: Tensor) -> Tensor:
    """You transpose the wrong axes: tokens and features change places, where heads and tokens should."""
    batch, heads, length, features = x.shape
    return x.transpose(2, 3).reshape(batch, length, heads * features)


@MERGE_BUGS.bug("Which axis should be the last one?")
def merged_features_first(x: Tensor) -> Tensor:
    """Your output has the features before the tokens, (B, H * E, L); it should be (B, L, H * E)."""
    return right_merge(x).transpose(1, 2)


@MERGE_BUGS.bug("Which axis of x are the heads?")
def items_joined(x: Tensor) -> Tensor:
    """x is read as (heads, batch, length, features): you join the items of the batch. x is (B, H, L, E)."""
    return right_merge(x.transpose(0, 1))


@MERGE_BUGS.bug("Whose features are the first of your output?", derived=in_training.RENUMBERED)
def merged_in_reverse(x: Tensor) -> Tensor:
    """The heads stand side by side in reversed order: head 0 should come first."""
    return right_merge(x.flip(1))


@MERGE_BUGS.bug("Which two axes stand side by side in (B, H, L, E), and which two should?", section=TRANSPOSE)
def flattened_before_the_transpose(x: Tensor) -> Tensor:
    """You join the last two axes as they are: a row of your output holds one head of all tokens, (B, H, L * E).
    Transpose to (B, L, H, E) first.
    """
    return x.flatten(2)


@MERGE_BUGS.bug("Which two axes of (B, H, L, E) have to be swapped to get (B, L, H, E)?", section=TRANSPOSE)
def heads_and_features_transposed(x: Tensor) -> Tensor:
    """You transpose the wrong axes: heads and features change places, where heads and tokens should."""
    return x.transpose(1, 3).flatten(2)


@MERGE_BUGS.bug("How many features has a token of your output?")
def merged_to_other_sizes(x: Tensor) -> Tensor:
    """The transpose is right, but the sizes that you reshape to are in another order, (B, H * E, L): that deals the
    numbers out anew. It should be (B, L, H * E).
    """
    merged = right_merge(x)
    return merged.reshape(x.size(0), merged.size(2), merged.size(1))


@MERGE_BUGS.bug("Which axis is the first of x, and which after your permute?", section=TRANSPOSE)
def tokens_before_the_batch(x: Tensor) -> Tensor:
    """The tokens come before the batch, (L, B, H, E), when you join the heads: your rows mix the items of the batch."""
    batch, heads, length, features = x.shape
    return x.permute(2, 0, 1, 3).reshape(batch, length, heads * features)
