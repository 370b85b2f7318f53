"""Wrong decoder layers, as classes: what is wrong is one method of the right one. Here: its self-attention.

Shapes: B batch, T target length, S source length, D d_model; x is (B, T, D), memory (B, S, D); a mask broadcasts to
(B, H, T, T), a memory mask to (B, H, T, S).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from companion.add_norm import AddNorm
from companion.checks.encoder.layer import RightLayer, Sublayer, nan_where_empty
from companion.checks.engine.bank import Bank, section
from companion.checks.engine.variants import Variant
from companion.feed_forward import FeedForward
from companion.multi_head import MultiHeadAttention

MASKED = section("decoder", "Masked self-attention")
CROSS = section("decoder", "Cross-attention")
LAYER = section("decoder", "The decoder layer")
WRONG = section("decoder", "What goes wrong")
MASKS = section("masks", "What goes wrong")

MASKED_BUGS = Bank(part="attend", section=MASKED)

Mask = Tensor | None


class RightDecoderLayer(RightLayer):
    """The right decoder layer, in parts that can be replaced one by one."""

    def __init__(self, d_model: int, num_heads: int, d_ff: int) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(d_model, num_heads)
        self.cross_attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.add_norm1 = AddNorm(d_model)
        self.add_norm2 = AddNorm(d_model)
        self.add_norm3 = AddNorm(d_model)

    def attend(self, x: Tensor, mask: Mask) -> Tensor:
        out: Tensor = self.self_attention(x, mask=mask, causal=True)
        return out

    def cross(self, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
        out: Tensor = self.cross_attention(x, memory, memory_mask)
        return out

    def third(self, x: Tensor, sublayer: Sublayer) -> Tensor:
        return self.around(self.add_norm3, x, sublayer)

    def forward(self, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None) -> Tensor:
        x = self.first(x, lambda x: self.attend(x, mask))
        x = self.second(x, lambda x: self.cross(x, memory, memory_mask))
        return self.third(x, self.feed)


def build_decoder_layer(parts: Mapping[str, Callable[..., Any]]) -> Variant:
    """Return the right layer with some methods replaced, as what builds it."""
    return Variant(RightDecoderLayer, parts)


def ones(rows: Tensor, columns: Tensor) -> Tensor:
    """Return a mask that lets every query of `rows` see every key of `columns`."""
    return torch.ones(rows.size(1), columns.size(1), dtype=torch.bool)


def restrict(mask: Mask, other: Tensor) -> Tensor:
    """Combine a mask, if there is one, with another by AND."""
    return other if mask is None else mask & other


# --- masked self-attention


@MASKED_BUGS.bug("May the first target token look at the second?")
def causal_mask_forgotten(self: Any, x: Tensor, mask: Mask) -> Tensor:
    """The causal mask is forgotten: every target token sees those after it. Training goes beautifully, and
    generation gives noise.
    """
    return self.self_attention(x, mask=mask)


@MASKED_BUGS.bug(
    "What does self.training change in your forward?",
    section=WRONG,
    derived="Derived: training is right; in eval mode the layer computes something else than what was trained.",
)
def causal_only_while_training(self: Any, x: Tensor, mask: Mask) -> Tensor:
    """Self-attention is causal only while training. In eval mode every target token sees those after it."""
    return self.self_attention(x, mask=mask, causal=self.training)


@MASKED_BUGS.bug("What does self.training change in your forward?", section=WRONG)
def causal_only_in_eval(self: Any, x: Tensor, mask: Mask) -> Tensor:
    """Self-attention is causal only in eval mode. While training every target token sees those after it."""
    return self.self_attention(x, mask=mask, causal=not self.training)


@MASKED_BUGS.bug("Must a padded batch of targets still not see the future? Both masks have to allow.")
def mask_replaces_the_causal_one(self: Any, x: Tensor, mask: Mask) -> Tensor:
    """A mask that is given replaces the causal one; it should be a further restriction beside it."""
    return self.self_attention(x, mask=mask, causal=mask is None)


@MASKED_BUGS.bug("Which operator keeps only what both masks allow?", section=MASKS)
def masks_combined_by_or(self: Any, x: Tensor, mask: Mask) -> Tensor:
    """The given mask and the causal one are combined by OR: a token is seen if either allows it. Both must."""
    causal = ones(x, x).tril()
    return self.self_attention(x, mask=causal if mask is None else mask | causal)


@MASKED_BUGS.bug("Where in your forward is mask passed on?")
def mask_ignored(self: Any, x: Tensor, mask: Mask) -> Tensor:
    """The mask of the target is ignored: only the causal one is applied."""
    return self.self_attention(x, causal=True)


@MASKED_BUGS.bug(
    "What does True mean in the mask, and what in the code that you pass it to?",
    section=MASKS,
    also=(
        lambda self, x, mask: nan_where_empty(
            self.self_attention(x, mask=None if mask is None else ~mask, causal=True),
            restrict(None if mask is None else ~mask, ones(x, x).tril()),
        ),
    ),
)
def mask_inverted(self: Any, x: Tensor, mask: Mask) -> Tensor:
    """The mask of the target is inverted. In this course True means 'may attend'."""
    return self.self_attention(x, mask=None if mask is None else ~mask, causal=True)


@MASKED_BUGS.bug("May query t see key t + 1?")
def one_step_into_the_future(self: Any, x: Tensor, mask: Mask) -> Tensor:
    """Your causal mask is one step off, tril(diagonal=1): every target token sees the one after it."""
    return self.self_attention(x, mask=restrict(mask, ones(x, x).tril(1)))


@MASKED_BUGS.bug(
    "May query t see key t?",
    also=(
        # As above, but the first query sees itself, so that its softmax is not empty.
        lambda self, x, mask: self.self_attention(
            x,
            mask=restrict(mask, ones(x, x).tril(-1).index_put((torch.tensor(0), torch.tensor(0)), torch.tensor(True))),
        ),
        lambda self, x, mask: nan_where_empty(
            self.self_attention(x, mask=restrict(mask, ones(x, x).tril(-1))), restrict(mask, ones(x, x).tril(-1))
        ),
    ),
)
def diagonal_left_out(self: Any, x: Tensor, mask: Mask) -> Tensor:
    """Your causal mask leaves out the diagonal, tril(diagonal=-1): a token may not see itself, and the first sees
    none.
    """
    return self.self_attention(x, mask=restrict(mask, ones(x, x).tril(-1)))


@MASKED_BUGS.bug(
    "In row t of the mask, which columns are True?",
    also=(
        lambda self, x, mask: nan_where_empty(
            self.self_attention(x, mask=restrict(mask, ones(x, x).triu())), restrict(mask, ones(x, x).triu())
        ),
        lambda self, x, mask: self.self_attention(x, mask=restrict(mask, ones(x, x).triu(1))),
        lambda self, x, mask: nan_where_empty(
            self.self_attention(x, mask=restrict(mask, ones(x, x).triu(1))), restrict(mask, ones(x, x).triu(1))
        ),
    ),
)
def triu_for_tril(self: Any, x: Tensor, mask: Mask) -> Tensor:
    """Your causal mask is turned round, triu for tril: every target token sees the future, not the past."""
    return self.self_attention(x, mask=restrict(mask, ones(x, x).triu()))


@MASKED_BUGS.bug(
    "Change one item of the batch: does another move?",
    section=WRONG,
    also=(lambda self, x, mask: self.self_attention(x.transpose(0, 1), causal=True).transpose(0, 1),),
)
def self_attention_over_the_batch(self: Any, x: Tensor, mask: Mask) -> Tensor:
    """Self-attention runs over the items of the batch instead of the tokens: x is read as (length, batch, features)."""
    return self.self_attention(x.transpose(0, 1), mask=mask, causal=True).transpose(0, 1)


@MASKED_BUGS.bug("Which of the two attentions do you call first?", section=LAYER)
def cross_attention_weights_in_self_attention(self: Any, x: Tensor, mask: Mask) -> Tensor:
    """Self-attention uses the weights of cross_attention."""
    return self.cross_attention(x, mask=mask, causal=True)
