"""Wrong add & norms of a decoder layer: a residual or a norm that is missing, misplaced or shared.

Shapes: B batch, T target length, D d_model; x is (B, T, D).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from companion.checks.decoder.layer import RESIDUAL
from companion.checks.decoder.masked import LAYER, WRONG
from companion.checks.encoder.layer import Sublayer
from companion.checks.engine.bank import Bank

AROUND_BUGS = Bank(part="around", section=RESIDUAL)


@AROUND_BUGS.bug("What is left of x if self-attention returns zeros?", part="first")
def residual_around_self_attention_missing(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The residual around masked self-attention is missing."""
    return self.add_norm1.norm(sublayer(x))


@AROUND_BUGS.bug("What is left of its input if cross-attention returns zeros?", part="second")
def residual_around_cross_attention_missing(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The residual around cross-attention is missing: what the target has gathered so far is lost."""
    return self.add_norm2.norm(sublayer(x))


@AROUND_BUGS.bug("What is left of its input if the feed-forward network returns zeros?", part="third")
def residual_around_feed_forward_missing(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The residual around the feed-forward network is missing."""
    return self.add_norm3.norm(sublayer(x))


@AROUND_BUGS.bug("What is left of x if all sublayers return zeros?")
def no_residuals(self: Any, add_norm: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """There are no residual connections: each sublayer's input should be added to its output."""
    return add_norm.norm(sublayer(x))


@AROUND_BUGS.bug("What is done with the sum of x and the output of self-attention?", section=LAYER, part="first")
def norm_after_self_attention_missing(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The norm after masked self-attention is missing."""
    return x + sublayer(x)


@AROUND_BUGS.bug("How many norms does a decoder layer have?", section=LAYER, part="second")
def norm_after_cross_attention_missing(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The norm after cross-attention is missing."""
    return x + sublayer(x)


@AROUND_BUGS.bug(
    "What should the mean of each token's features be at the end of the layer, before weight and bias?",
    section=LAYER,
    part="third",
)
def norm_after_feed_forward_missing(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The norm after the feed-forward network is missing."""
    return x + sublayer(x)


@AROUND_BUGS.bug("What keeps the numbers from growing with every layer?", section=LAYER)
def no_norms(self: Any, add_norm: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """There are no norms: each sum should be normalised."""
    return x + sublayer(x)


@AROUND_BUGS.bug("Are add_norm1, add_norm2 and add_norm3 all used?", section=WRONG)
def one_norm_for_all(self: Any, add_norm: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """One add & norm serves all three sublayers; each has its own. On a fresh layer they are alike, which hides it."""
    return self.add_norm1(x, sublayer)


@AROUND_BUGS.bug("Are add_norm1, add_norm2 and add_norm3 all used?", section=WRONG, part="second")
def one_norm_for_both_attentions(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """One add & norm serves both attentions; each has its own. On a fresh layer they are alike, which hides it."""
    return self.add_norm1(x, sublayer)


@AROUND_BUGS.bug("Are add_norm1, add_norm2 and add_norm3 all used?", section=WRONG, part="third")
def second_norm_at_the_end(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """Cross-attention and feed-forward network share add_norm2; the last has add_norm3. On a fresh layer they are
    alike, which hides it.
    """
    return self.add_norm2(x, sublayer)


@AROUND_BUGS.bug(
    "Which add & norm belongs to which sublayer?",
    section=WRONG,
    also=tuple(
        lambda self, add_norm, x, sublayer, order=order: _in_order(self, add_norm, order)(x, sublayer)
        for order in ((1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2))
    ),
)
def norms_in_another_order(self: Any, add_norm: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The add & norms stand in another order: add_norm1 belongs to self-attention, add_norm2 to cross-attention,
    add_norm3 to the feed-forward network. On a fresh layer they are alike, which hides it.
    """
    out: Tensor = _in_order(self, add_norm, (3, 2, 1))(x, sublayer)
    return out


def _in_order(self: Any, add_norm: Any, order: tuple[int, ...]) -> Any:
    norms = (self.add_norm1, self.add_norm2, self.add_norm3)
    return norms[order[norms.index(add_norm)] - 1]
