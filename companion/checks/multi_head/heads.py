"""Wrong multi-head layers: how heads are made and merged."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from companion.checks import in_training
from companion.checks.engine.bank import Bank
from companion.checks.multi_head.right import BY_HAND, TRANSPOSE, WRONG, build_multi_head, right_merge, right_split

HEADS_BUGS = Bank(part="split", section=BY_HAND)


@HEADS_BUGS.bug("The shape is right and the tokens are not. Which tokens does your first head see?", section=TRANSPOSE)
def split_without_transpose(self: Any, x: Tensor) -> Tensor:
    """The heads are split by a view or a reshape straight to (B, H, L, E), without the transpose: heads then hold
    tokens, not features, and a causal mask hides the wrong ones. Split D into (B, L, H, E) first, then transpose.
    """
    return x.reshape(x.size(0), self.num_heads, x.size(1), -1)


@HEADS_BUGS.bug(
    "The shape is right and the tokens are not. Whose features are in your first row?", section=TRANSPOSE, part="merge"
)
def merged_without_transpose(self: Any, x: Tensor) -> Tensor:
    """The heads are merged by a view or a reshape straight to (B, L, D), without the transpose: a row then holds one
    head of several tokens. Transpose to (B, L, H, E) first.
    """
    return x.reshape(x.size(0), x.size(2), -1)


@HEADS_BUGS.bug(
    "Which features should head 0 hold, when there are 6 features and 2 heads?",
    section=WRONG,
    part="",
    derived=in_training.RENUMBERED,
)
def heads_interleaved(d_model: int, num_heads: int) -> nn.Module:
    """Your heads are interleaved: head h gets the features h, h + H, h + 2H, ... It should get E neighbouring ones.
    That is a convention, which only shows when weights of others are loaded, as this check does.
    """
    parts = {"split": split_interleaved.wrong, "merge": merged_interleaved_heads.wrong}
    return build_multi_head(parts)(d_model, num_heads)


@HEADS_BUGS.bug(
    "Is your merge the reverse of your split? Try both on a small x.", section=WRONG, derived=in_training.RENUMBERED
)
def split_interleaved(self: Any, x: Tensor) -> Tensor:
    """Your heads are split with their features interleaved (h, h + H, h + 2H, ...), and merged side by side. A head
    should get E neighbouring features.
    """
    return x.unflatten(-1, (-1, self.num_heads)).movedim(-1, 1)


@HEADS_BUGS.bug(
    "Is your merge the reverse of your split? Try both on a small x.",
    section=WRONG,
    part="merge",
    derived=in_training.RENUMBERED,
)
def merged_interleaved_heads(self: Any, x: Tensor) -> Tensor:
    """Merging interleaves the heads: their first features, then their second ones, and so on. The heads should stand
    side by side, each with its features together.
    """
    return x.permute(0, 2, 3, 1).flatten(2)


@HEADS_BUGS.bug(
    "In which order does your loop, or your cat, take the heads?", part="merge", derived=in_training.RENUMBERED
)
def order_of_heads_reversed(self: Any, x: Tensor) -> Tensor:
    """The heads are put side by side in reversed order: head 0 should come first."""
    return right_merge(x.flip(1))


@HEADS_BUGS.bug(
    "How many features do H heads of E features have together?",
    part="merge",
    also=(lambda self, x: x.mean(dim=1).repeat(1, 1, self.num_heads),),
)
def heads_summed_or_averaged(self: Any, x: Tensor) -> Tensor:
    """The heads are summed or averaged; they should be put side by side, which keeps what each has found."""
    return x.sum(dim=1).repeat(1, 1, self.num_heads)


@HEADS_BUGS.bug("How many softmaxes does a token take part in, in your layer?")
def single_head(self: Any, x: Tensor) -> Tensor:
    """There is only one head, with all features: num_heads is not used."""
    return x[:, None]


@HEADS_BUGS.bug("Does x.split take the number of pieces, or their size? And in which order does view take the two?")
def head_dim_for_num_heads(self: Any, x: Tensor) -> Tensor:
    """The number of heads and the features of a head are swapped: you make D / H heads of H features."""
    return right_split(x, x.size(-1) // self.num_heads)


@HEADS_BUGS.bug(
    "Which axis of your scores do two sequences of a batch meet on? They should never meet.", section=WRONG, part=""
)
def attention_over_the_batch(d_model: int, num_heads: int) -> nn.Module:
    """Attention runs over the items of the batch: the first axis is taken for the tokens. Inputs are (batch, length,
    features).
    """

    def over_batch(self: Any, x: Tensor) -> Tensor:
        return right_split(x.transpose(0, 1), self.num_heads)

    def back(self: Any, x: Tensor) -> Tensor:
        return right_merge(x).transpose(0, 1)

    return build_multi_head({"split": over_batch, "merge": back})(d_model, num_heads)


@HEADS_BUGS.bug(
    "What are the last two axes of your queries when they are multiplied with the keys?", section=TRANSPOSE, part=""
)
def attention_over_the_heads(d_model: int, num_heads: int) -> nn.Module:
    """Attention runs over the heads, token by token: the transpose to (B, H, L, E) is missing before it."""

    def untransposed(self: Any, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1))

    def flattened(self: Any, x: Tensor) -> Tensor:
        return x.flatten(2)

    return build_multi_head({"split": untransposed, "merge": flattened})(d_model, num_heads)


@HEADS_BUGS.bug("Which of the two comes first in your return?", part="")
def weights_returned(d_model: int, num_heads: int) -> nn.Module:
    """Your layer returns the attention weights; it should return the output, and may return the weights after it."""

    def weights_only(self: Any, weights: Tensor, value: Tensor) -> Tensor:
        return weights

    def unmerged(self: Any, x: Tensor) -> Tensor:
        return x

    def unprojected(self: Any, x: Tensor, query: Tensor) -> Tensor:
        return x

    return build_multi_head({"mix": weights_only, "merge": unmerged, "output": unprojected})(d_model, num_heads)
