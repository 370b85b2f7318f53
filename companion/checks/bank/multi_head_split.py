"""Wrong ways of splitting features into heads: ``fn(x, num_heads)``, from (B, L, D) to (B, H, L, E).

Shapes: B batch, H heads, L length, D features, E = D / H features of a head.
"""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong function under it.

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks._spec import Bug, bug
from companion.checks.bank.multi_head import BY_HAND, LOOPS, PROJECTS, TRANSPOSE, WRONG, right_split

SPLIT_BUGS: list[Bug] = []


@bug(
    SPLIT_BUGS,
    "You go straight from (B, L, D) to (B, H, L, E) with a view or a reshape: that deals out the numbers in the order "
    "in which they lie, so that heads hold tokens, not features. Split D first, (B, L, H, E), then transpose.",
    hint="The shape is right and the tokens are not. Which tokens does your first head see?",
    section=TRANSPOSE,
)
def split_by_view(x: Tensor, num_heads: int) -> Tensor:
    batch, length, d_model = x.shape
    return x.reshape(batch, num_heads, length, d_model // num_heads)


@bug(
    SPLIT_BUGS,
    "You transpose before D is split: (B, D, L) reshaped to (B, H, L, E) mixes tokens and features. Split D first, "
    "(B, L, H, E), then transpose.",
    hint="What do the last two axes hold just before your reshape?",
    section=TRANSPOSE,
)
def transposed_before_the_split(x: Tensor, num_heads: int) -> Tensor:
    batch, length, d_model = x.shape
    return x.transpose(1, 2).reshape(batch, num_heads, length, d_model // num_heads)


@bug(
    SPLIT_BUGS,
    "The heads stand behind the tokens, (B, L, H, E): the transpose is missing. It should be (B, H, L, E), so that "
    "attention runs over the tokens of each head.",
    hint="Attention multiplies the last two axes. What must they be?",
    section=TRANSPOSE,
)
def not_transposed(x: Tensor, num_heads: int) -> Tensor:
    return x.unflatten(-1, (num_heads, -1))


@bug(
    SPLIT_BUGS,
    "Your heads are interleaved: head h gets the features h, h + H, h + 2H, ... It should get E neighbouring ones. "
    "That too is a convention, but the weights of published models follow the other.",
    hint="Which features of x should head 0 hold, when there are 6 features and 2 heads?",
    section=WRONG,
)
def split_interleaved(x: Tensor, num_heads: int) -> Tensor:
    return x.unflatten(-1, (-1, num_heads)).movedim(-1, 1)


@bug(
    SPLIT_BUGS,
    "The number of heads and the features of a head are swapped: you make D / H heads of H features.",
    hint="Does x.split take the number of pieces, or their size? And in which order does view take the two?",
    section=BY_HAND,
)
def heads_and_features_swapped(x: Tensor, num_heads: int) -> Tensor:
    return torch.stack(x.split(num_heads, dim=-1), dim=1)


@bug(
    SPLIT_BUGS,
    "Your heads come before the batch, (H, B, L, E); they should come after it, (B, H, L, E).",
    hint="Along which dim do you stack the heads?",
    section=BY_HAND,
)
def heads_before_the_batch(x: Tensor, num_heads: int) -> Tensor:
    return right_split(x, num_heads).transpose(0, 1)


@bug(
    SPLIT_BUGS,
    "Your last two axes are swapped, (B, H, E, L): that is a key, transposed already. It should be (B, H, L, E).",
    hint="The transpose of the keys belongs to the scores, not to the split.",
    section=BY_HAND,
)
def features_before_tokens(x: Tensor, num_heads: int) -> Tensor:
    return right_split(x, num_heads).transpose(-2, -1)


@bug(
    SPLIT_BUGS,
    "The heads are folded into the batch, (B * H, L, E); in this course they keep an axis of their own, (B, H, L, E).",
    hint="How many axes should the result have?",
    section=LOOPS,
)
def heads_folded_into_the_batch(x: Tensor, num_heads: int) -> Tensor:
    return right_split(x, num_heads).flatten(0, 1)


@bug(
    SPLIT_BUGS,
    "x is read as (length, batch, features): your output is (L, H, B, E), so that attention would run over the items "
    "of the batch. x is (batch, length, features).",
    hint="Which axis of x is the batch in this course?",
    section=WRONG,
)
def length_read_as_batch(x: Tensor, num_heads: int) -> Tensor:
    return right_split(x.transpose(0, 1), num_heads)


@bug(
    SPLIT_BUGS,
    "You split the tokens among the heads; it is the features that are split, and every head keeps every token.",
    hint="Which axis of x do you cut? A head should keep all L tokens.",
    section=BY_HAND,
)
def tokens_split(x: Tensor, num_heads: int) -> Tensor:
    return torch.stack(x.chunk(num_heads, dim=1), dim=1)


@bug(
    SPLIT_BUGS,
    "Every head gets a copy of all features; they should be split among the heads, E = D / H for each.",
    hint="The projection has used the whole input already. How many of its D features are one head's?",
    section=PROJECTS,
)
def all_features_for_every_head(x: Tensor, num_heads: int) -> Tensor:
    return x[:, None].repeat(1, num_heads, 1, 1)


@bug(
    SPLIT_BUGS,
    "num_heads is ignored: your output has one head with all features.",
    hint="Where in your function does num_heads appear?",
    section=BY_HAND,
)
def one_head_only(x: Tensor, num_heads: int) -> Tensor:
    return x[:, None]


@bug(
    SPLIT_BUGS,
    "Your heads are in reversed order: head 0 should hold the first E features.",
    hint="Which features of x are in your head 0?",
    section=BY_HAND,
)
def heads_reversed(x: Tensor, num_heads: int) -> Tensor:
    return right_split(x, num_heads).flip(1)


@bug(
    SPLIT_BUGS,
    "Your heads overlap: head h begins at feature h, where it should begin at h * E.",
    hint="With E = 5, which features are head 1's? Print the limits of your slice.",
    section=BY_HAND,
)
def heads_overlap(x: Tensor, num_heads: int) -> Tensor:
    head_dim = x.size(-1) // num_heads
    return torch.stack([x[:, :, head : head + head_dim] for head in range(num_heads)], dim=1)


@bug(
    SPLIT_BUGS,
    "Every head gets the same features, the first E of them; head h should get those from h * E on.",
    hint="Where does the number of the head stand in your slice?",
    section=BY_HAND,
)
def first_features_for_all(x: Tensor, num_heads: int) -> Tensor:
    return x[:, None, :, : x.size(-1) // num_heads].repeat(1, num_heads, 1, 1)
