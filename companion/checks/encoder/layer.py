"""Wrong encoder layers, as classes: what is wrong is one method of the right one.

Shapes: B batch, L length, D d_model; x is (B, L, D), and a mask broadcasts to (B, H, L, L).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from companion.add_norm import AddNorm
from companion.checks.encoder.feed_forward import LAYER, WRONG
from companion.checks.engine.bank import Bank, section
from companion.checks.engine.variants import Variant
from companion.feed_forward import FeedForward
from companion.multi_head import MultiHeadAttention

PRE_POST = section("add_norm", "Post-norm and pre-norm")
RESIDUAL = section("add_norm", "The residual connection")

ENCODER_LAYER_BUGS = Bank(part="attend", section=LAYER)

Sublayer = Callable[[Tensor], Tensor]


class RightLayer(nn.Module):
    """What the right layers of encoder and decoder have in common."""

    feed_forward: FeedForward
    add_norm1: AddNorm
    add_norm2: AddNorm

    def feed(self, x: Tensor) -> Tensor:
        out: Tensor = self.feed_forward(x)
        return out

    def around(self, add_norm: AddNorm, x: Tensor, sublayer: Sublayer) -> Tensor:
        """Put a residual connection and a norm around any sublayer."""
        out: Tensor = add_norm(x, sublayer)
        return out

    def first(self, x: Tensor, sublayer: Sublayer) -> Tensor:
        return self.around(self.add_norm1, x, sublayer)

    def second(self, x: Tensor, sublayer: Sublayer) -> Tensor:
        return self.around(self.add_norm2, x, sublayer)


class RightEncoderLayer(RightLayer):
    """The right encoder layer, in parts that can be replaced one by one."""

    def __init__(self, d_model: int, num_heads: int, d_ff: int) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.add_norm1 = AddNorm(d_model)
        self.add_norm2 = AddNorm(d_model)

    def attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        out: Tensor = self.self_attention(x, mask=mask)
        return out

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.second(self.first(x, lambda x: self.attend(x, mask)), self.feed)


def build_encoder_layer(parts: Mapping[str, Callable[..., Any]]) -> Variant:
    """Return the right layer with some methods replaced, as what builds it."""
    return Variant(RightEncoderLayer, parts)


def nan_where_empty(out: Tensor, mask: Tensor) -> Tensor:
    """Return what attention (B, L, D) is if a query that may attend to nothing gets NaN, as from a plain softmax."""
    empty = ~mask.any(dim=-1)  # (L,) or (B, 1, L)
    return out.masked_fill((empty[:, 0] if empty.dim() == 3 else empty).unsqueeze(-1), torch.nan)


def _lower(x: Tensor) -> Tensor:
    """Return a causal mask for `x`."""
    return torch.ones(x.size(1), x.size(1), dtype=torch.bool).tril()


# --- self-attention


@ENCODER_LAYER_BUGS.bug("Where in your forward is the mask passed on?")
def mask_ignored(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    """The mask is ignored: tokens attend to padding."""
    return self.self_attention(x)


@ENCODER_LAYER_BUGS.bug(
    "What does True mean in the mask, and what in the code that you pass it to?",
    section=section("masks", "What goes wrong"),
    also=(
        lambda self, x, mask: (
            self.self_attention(x) if mask is None else nan_where_empty(self.self_attention(x, mask=~mask), ~mask)
        ),
    ),
)
def mask_inverted(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    """The mask is inverted: tokens attend to just what they may not. In this course True means 'may attend'."""
    return self.self_attention(x, mask=None if mask is None else ~mask)


@ENCODER_LAYER_BUGS.bug(
    "May the first word of a source sentence look at the last?",
    section=WRONG,
    also=(
        lambda self, x, mask: self.self_attention(x, causal=True),
        lambda self, x, mask: self.self_attention(x, mask=mask, causal=mask is None),
        lambda self, x, mask: self.self_attention(x, mask=_lower(x) if mask is None else mask | _lower(x)),
    ),
)
def causal_mask_in_the_encoder(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    """Your self-attention is causal: an encoder's tokens look both ways. Only the mask that is given restricts them."""
    return self.self_attention(x, mask=mask, causal=True)


@ENCODER_LAYER_BUGS.bug(
    "Change one item of the batch: does another move?",
    section=WRONG,
    also=(lambda self, x, mask: self.self_attention(x.transpose(0, 1)).transpose(0, 1),),
)
def attention_over_the_batch(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    """Attention runs over the items of the batch instead of the tokens: x is read as (length, batch, features)."""
    return self.self_attention(x.transpose(0, 1), mask=mask).transpose(0, 1)


@ENCODER_LAYER_BUGS.bug("Is the diagonal of your mask True?", section=WRONG)
def no_token_sees_itself(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    """A token is kept from attending to itself."""
    others = ~torch.eye(x.size(1), dtype=torch.bool)
    return self.self_attention(x, mask=others if mask is None else mask & others)


@ENCODER_LAYER_BUGS.bug("How often is self_attention called?")
def attention_twice(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    """Self-attention is applied twice."""
    return self.self_attention(self.self_attention(x, mask=mask), mask=mask)


# --- the feed-forward network, and the order


@ENCODER_LAYER_BUGS.bug(
    "In which order do the two sublayers stand in the picture of the layer?",
    part="forward",
    also=(lambda self, x, mask=None: self.second(self.first(x, self.feed), lambda x: self.attend(x, mask)),),
)
def feed_forward_first(self: Any, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """The feed-forward network comes before attention; attention comes first."""
    return self.first(self.second(x, self.feed), lambda x: self.attend(x, mask))


@ENCODER_LAYER_BUGS.bug(
    "How many sublayers does an encoder layer have?",
    part="forward",
    also=(lambda self, x, mask=None: self.add_norm2.norm(self.first(x, lambda x: self.attend(x, mask))),),
)
def feed_forward_missing(self: Any, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """The feed-forward network and its add & norm are missing."""
    return self.first(x, lambda x: self.attend(x, mask))


@ENCODER_LAYER_BUGS.bug(
    "How many sublayers does an encoder layer have?",
    part="forward",
    also=(lambda self, x, mask=None: self.second(self.add_norm1.norm(x), self.feed),),
)
def attention_missing(self: Any, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """Self-attention and its add & norm are missing, or what they return is not used."""
    return self.second(x, self.feed)


@ENCODER_LAYER_BUGS.bug(
    "What is the input of your feed-forward network?",
    part="forward",
    also=(lambda self, x, mask=None: self.second(x, lambda x: self.attend(x, mask) + self.feed(x)),),
)
def sublayers_in_parallel(self: Any, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """Both sublayers read the layer's input, side by side; the feed-forward network should read what attention and
    its add & norm have made of it.
    """
    return self.add_norm2.norm(self.first(x, lambda x: self.attend(x, mask)) + self.feed(x))


@ENCODER_LAYER_BUGS.bug(
    "How often is a norm called in your layer?",
    part="forward",
    also=(lambda self, x, mask=None: self.first(x, lambda x: self.feed(self.attend(x, mask))),),
)
def one_add_norm_around_both(self: Any, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """There is one add & norm, around both sublayers together; each sublayer should have its own."""
    return self.second(x, lambda x: self.feed(self.attend(x, mask)))


@ENCODER_LAYER_BUGS.bug(
    "Which x do you add to the output of the feed-forward network?", section=RESIDUAL, part="forward"
)
def residual_from_the_layers_input(self: Any, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """The residual around the feed-forward network starts from the layer's input; it should start from what the
    first add & norm returned.
    """
    middle = self.first(x, lambda x: self.attend(x, mask))
    return self.second(x, lambda _: self.feed(middle))
