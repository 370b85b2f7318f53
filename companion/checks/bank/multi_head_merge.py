"""Wrong ways of merging heads: ``fn(x)``, from (B, H, L, E) to (B, L, H * E).

Shapes: B batch, H heads, L length, D features, E = D / H features of a head.
"""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong function under it.

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks._spec import Bug, bug
from companion.checks.bank.multi_head import BY_HAND, TRANSPOSE, WRONG, right_merge

MERGE_BUGS: list[Bug] = []


@bug(
    MERGE_BUGS,
    "You go straight from (B, H, L, E) to (B, L, H * E) with a view or a reshape: a row of your output then holds one "
    "head of several tokens, not all heads of one token. Transpose to (B, L, H, E) first.",
    hint="The shape is right and the tokens are not. Which tokens are in your first row?",
    section=TRANSPOSE,
)
def merged_by_view(x: Tensor) -> Tensor:
    batch, heads, length, features = x.shape
    return x.reshape(batch, length, heads * features)


@bug(
    MERGE_BUGS,
    "Your output interleaves the heads: their first features, then their second ones, and so on. The heads should "
    "stand side by side, each with its features together.",
    hint="What should come right after the first feature of head 0?",
    section=WRONG,
)
def merged_interleaved(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).flatten(2)


@bug(
    MERGE_BUGS,
    "You average the heads; they should be put side by side, which keeps what each has found.",
    hint="How many features should a token have afterwards?",
    section=BY_HAND,
)
def heads_averaged(x: Tensor) -> Tensor:
    return x.mean(dim=1)


@bug(
    MERGE_BUGS,
    "You sum the heads; they should be put side by side, which keeps what each has found.",
    hint="How many features should a token have afterwards?",
    section=BY_HAND,
)
def heads_summed(x: Tensor) -> Tensor:
    return x.sum(dim=1)


@bug(
    MERGE_BUGS,
    "You take the largest of the heads; they should be put side by side, which keeps what each has found.",
    hint="How many features should a token have afterwards?",
    section=BY_HAND,
)
def largest_of_the_heads(x: Tensor) -> Tensor:
    return x.amax(dim=1)


@bug(
    MERGE_BUGS,
    "Only one head is left in your output; all of them should stand side by side.",
    hint="What has become of the other heads?",
    section=BY_HAND,
    also=(lambda x: x[:, -1],),
)
def one_head_kept(x: Tensor) -> Tensor:
    return x[:, 0]


@bug(
    MERGE_BUGS,
    "Your output still has an axis for the heads, (B, L, H, E): after the transpose, the last two axes are to become "
    "one, (B, L, H * E).",
    hint="How many axes should the result have?",
    section=BY_HAND,
)
def not_flattened(x: Tensor) -> Tensor:
    return x.transpose(1, 2)


@bug(
    MERGE_BUGS,
    "Your heads stand one after another along the tokens, (B, H * L, E); they should stand side by side along the "
    "features, (B, L, H * E).",
    hint="Which two axes do you join?",
    section=BY_HAND,
    also=(lambda x: x.transpose(1, 2).flatten(1, 2),),
)
def joined_along_the_tokens(x: Tensor) -> Tensor:
    return x.flatten(1, 2)


@bug(
    MERGE_BUGS,
    "Your heads are joined along the batch, (B * H, L, E); they should stand side by side along the features, "
    "(B, L, H * E).",
    hint="Along which dim do you join the heads?",
    section=BY_HAND,
    also=(lambda x: x.flatten(0, 1),),
)
def joined_along_the_batch(x: Tensor) -> Tensor:
    return torch.cat(x.unbind(1), dim=0)


@bug(
    MERGE_BUGS,
    "You transpose the wrong axes: tokens and features change places, where heads and tokens should.",
    hint="Which two axes of (B, H, L, E) have to be swapped to get (B, L, H, E)?",
    section=TRANSPOSE,
)
def wrong_axes_transposed(x: Tensor) -> Tensor:
    batch, heads, length, features = x.shape
    return x.transpose(2, 3).reshape(batch, length, heads * features)


@bug(
    MERGE_BUGS,
    "Your output has the features before the tokens, (B, H * E, L); it should be (B, L, H * E).",
    hint="Which axis should be the last one?",
    section=BY_HAND,
)
def merged_features_first(x: Tensor) -> Tensor:
    return right_merge(x).transpose(1, 2)


@bug(
    MERGE_BUGS,
    "x is read as (heads, batch, length, features): you join the items of the batch. x is (B, H, L, E).",
    hint="Which axis of x are the heads?",
    section=BY_HAND,
)
def items_joined(x: Tensor) -> Tensor:
    return right_merge(x.transpose(0, 1))


@bug(
    MERGE_BUGS,
    "The heads stand side by side in reversed order: head 0 should come first.",
    hint="Whose features are the first of your output?",
    section=BY_HAND,
)
def merged_in_reverse(x: Tensor) -> Tensor:
    return right_merge(x.flip(1))


@bug(
    MERGE_BUGS,
    "You join the last two axes as they are: a row of your output holds one head of all tokens, (B, H, L * E). "
    "Transpose to (B, L, H, E) first.",
    hint="Which two axes stand side by side in (B, H, L, E), and which two should?",
    section=TRANSPOSE,
)
def flattened_before_the_transpose(x: Tensor) -> Tensor:
    return x.flatten(2)


@bug(
    MERGE_BUGS,
    "You transpose the wrong axes: heads and features change places, where heads and tokens should.",
    hint="Which two axes of (B, H, L, E) have to be swapped to get (B, L, H, E)?",
    section=TRANSPOSE,
)
def heads_and_features_transposed(x: Tensor) -> Tensor:
    return x.transpose(1, 3).flatten(2)


@bug(
    MERGE_BUGS,
    "The transpose is right, but the sizes that you reshape to are in another order, (B, H * E, L): that deals the "
    "numbers out anew. It should be (B, L, H * E).",
    hint="How many features has a token of your output?",
    section=BY_HAND,
)
def merged_to_other_sizes(x: Tensor) -> Tensor:
    merged = right_merge(x)
    return merged.reshape(x.size(0), merged.size(2), merged.size(1))


@bug(
    MERGE_BUGS,
    "The tokens come before the batch, (L, B, H, E), when you join the heads: your rows mix the items of the batch.",
    hint="Which axis is the first of x, and which after your permute?",
    section=TRANSPOSE,
)
def tokens_before_the_batch(x: Tensor) -> Tensor:
    batch, heads, length, features = x.shape
    return x.permute(2, 0, 1, 3).reshape(batch, length, heads * features)
