"""Wrong ways of splitting features into heads: ``fn(x, num_heads)``, from (B, L, D) to (B, H, L, E).

Shapes: B batch, H heads, L length, D features, E = D / H features of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks import in_training
from companion.checks.engine.bank import Bank
from companion.checks.multi_head.right import BY_HAND, LOOPS, PROJECTS, TRANSPOSE, WRONG, right_split

SPLIT_BUGS = Bank(section=BY_HAND)


@SPLIT_BUGS.bug("The shape is right and the tokens are not. Which tokens does your first head see?", section=TRANSPOSE)
def split_by_view(x: Tensor, num_heads: int) -> Tensor:
    """You go straight from (B, L, D) to (B, H, L, E) with a view or a reshape: that deals out the numbers in the
    order in which they lie, so that heads hold tokens, not features. Split D first, (B, L, H, E), then transpose.
    """
    batch, length, d_model = x.shape
    return x.reshape(batch, num_heads, length, d_model // num_heads)


@SPLIT_BUGS.bug("What do the last two axes hold just before your reshape?", section=TRANSPOSE)
def transposed_before_the_split(x: Tensor, num_heads: int) -> Tensor:
    """You transpose before D is split: (B, D, L) reshaped to (B, H, L, E) mixes tokens and features. Split D first,
    (B, L, H, E), then transpose.
    """
    batch, length, d_model = x.shape
    return x.transpose(1, 2).reshape(batch, num_heads, length, d_model // num_heads)


@SPLIT_BUGS.bug("Attention multiplies the last two axes. What must they be?", section=TRANSPOSE)
def not_transposed(x: Tensor, num_heads: int) -> Tensor:
    """The heads stand behind the tokens, (B, L, H, E): the transpose is missing. It should be (B, H, L, E), so that
    attention runs over the tokens of each head.
    """
    return x.unflatten(-1, (num_heads, -1))


@SPLIT_BUGS.bug(
    "Which features of x should head 0 hold, when there are 6 features and 2 heads?",
    section=WRONG,
    derived=in_training.RENUMBERED,
)
def split_interleaved(x: Tensor, num_heads: int) -> Tensor:
    """Your heads are interleaved: head h gets the features h, h + H, h + 2H, ... It should get E neighbouring ones.
    That too is a convention, but the weights of published models follow the other.
    """
    return x.unflatten(-1, (-1, num_heads)).movedim(-1, 1)


@SPLIT_BUGS.bug("Does x.split take the number of pieces, or their size? And in which order does view take the two?")
def heads_and_features_swapped(x: Tensor, num_heads: int) -> Tensor:
    """The number of heads and the features of a head are swapped: you make D / H heads of H features."""
    return torch.stack(x.split(num_heads, dim=-1), dim=1)


@SPLIT_BUGS.bug("Along which dim do you stack the heads?")
def heads_before_the_batch(x: Tensor, num_heads: int) -> Tensor:
    """Your heads come before the batch, (H, B, L, E); they should come after it, (B, H, L, E)."""
    return right_split(x, num_heads).transpose(0, 1)


@SPLIT_BUGS.bug("The transpose of the keys belongs to the scores, not to the split.")
def features_before_tokens(x: Tensor, num_heads: int) -> Tensor:
    """Your last two axes are swapped, (B, H, E, L): that is a key, transposed already. It should be (B, H, L, E)."""
    return right_split(x, num_heads).transpose(-2, -1)


@SPLIT_BUGS.bug("How many axes should the result have?", section=LOOPS)
def heads_folded_into_the_batch(x: Tensor, num_heads: int) -> Tensor:
    """The heads are folded into the batch, (B * H, L, E); in this course they keep an axis of their own, (B, H, L,
    E).
    """
    return right_split(x, num_heads).flatten(0, 1)


@SPLIT_BUGS.bug("Which axis of x is the batch in this course?", section=WRONG)
def length_read_as_batch(x: Tensor, num_heads: int) -> Tensor:
    """x is read as (length, batch, features): your output is (L, H, B, E), so that attention would run over the
    items of the batch. x is (batch, length, features).
    """
    return right_split(x.transpose(0, 1), num_heads)


@SPLIT_BUGS.bug("Which axis of x do you cut? A head should keep all L tokens.")
def tokens_split(x: Tensor, num_heads: int) -> Tensor:
    """You split the tokens among the heads; it is the features that are split, and every head keeps every token."""
    return torch.stack(x.chunk(num_heads, dim=1), dim=1)


@SPLIT_BUGS.bug(
    "The projection has used the whole input already. How many of its D features are one head's?", section=PROJECTS
)
def all_features_for_every_head(x: Tensor, num_heads: int) -> Tensor:
    """Every head gets a copy of all features; they should be split among the heads, E = D / H for each."""
    return x[:, None].repeat(1, num_heads, 1, 1)


@SPLIT_BUGS.bug("Where in your function does num_heads appear?")
def one_head_only(x: Tensor, num_heads: int) -> Tensor:
    """num_heads is ignored: your output has one head with all features."""
    return x[:, None]


@SPLIT_BUGS.bug("Which features of x are in your head 0?", derived=in_training.RENUMBERED)
def heads_reversed(x: Tensor, num_heads: int) -> Tensor:
    """Your heads are in reversed order: head 0 should hold the first E features."""
    return right_split(x, num_heads).flip(1)


@SPLIT_BUGS.bug("With E = 5, which features are head 1's? Print the limits of your slice.")
def heads_overlap(x: Tensor, num_heads: int) -> Tensor:
    """Your heads overlap: head h begins at feature h, where it should begin at h * E."""
    head_dim = x.size(-1) // num_heads
    return torch.stack([x[:, :, head : head + head_dim] for head in range(num_heads)], dim=1)


@SPLIT_BUGS.bug("Where does the number of the head stand in your slice?")
def first_features_for_all(x: Tensor, num_heads: int) -> Tensor:
    """Every head gets the same features, the first E of them; head h should get those from h * E on."""
    return x[:, None, :, : x.size(-1) // num_heads].repeat(1, num_heads, 1, 1)
