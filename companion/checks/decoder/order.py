"""Wrong decoder layers: a mask where it does not belong, and sublayers that read something else.

Shapes: B batch, T target length, S source length, D d_model; x is (B, T, D), memory (B, S, D).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from companion.checks.decoder.layer import RESIDUAL
from companion.checks.decoder.masked import CROSS, LAYER, MASKED, WRONG, Mask
from companion.checks.engine.bank import Bank

ORDER_BUGS = Bank(part="forward", section=MASKED)

Second = Callable[[Any, Tensor, Mask, Mask], Tensor]


# --- masks


@ORDER_BUGS.bug("Which tokens may a target token see? Two masks say it, and both must allow.", part="attend")
def no_mask_in_self_attention(self: Any, x: Tensor, mask: Mask) -> Tensor:
    """Self-attention has no mask at all: neither the causal one nor the one that is given."""
    out: Tensor = self.self_attention(x)
    return out


def _with_second(second: Second) -> Callable[..., Tensor]:
    """Return a forward in which the second sublayer is something else."""

    def forward(self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None) -> Tensor:
        x = self.first(x, lambda x: self.attend(x, mask))
        out: Tensor = self.third(self.second(x, lambda x: second(self, x, mask, memory_mask)), self.feed)
        return out

    return forward


@ORDER_BUGS.bug(
    "Where does your second sublayer use memory?",
    section=CROSS,
    also=tuple(
        _with_second(second)
        for second in (
            lambda self, x, mask, memory_mask: self.cross_attention(x, mask=mask),
            lambda self, x, mask, memory_mask: self.cross_attention(x, mask=memory_mask, causal=True),
            lambda self, x, mask, memory_mask: self.self_attention(x, mask=mask, causal=True),
            lambda self, x, mask, memory_mask: self.self_attention(x, mask=mask),
            lambda self, x, mask, memory_mask: self.self_attention(x, causal=True),
        )
    ),
)
def second_self_attention(self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None) -> Tensor:
    """The second sublayer is one more self-attention, under the target's mask: its keys and values should come from
    the memory, and memory_mask belongs to it.
    """
    forward = _with_second(lambda self, x, mask, _: self.cross_attention(x, mask=mask, causal=True))
    return forward(self, x, memory, mask, memory_mask)


@ORDER_BUGS.bug("Which mask has a column for each token of the source?", section=WRONG)
def mask_for_both(self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None) -> Tensor:
    """Both attentions get mask; cross-attention should get memory_mask."""
    x = self.first(x, lambda x: self.attend(x, mask))
    out: Tensor = self.third(self.second(x, lambda x: self.cross(x, memory, mask)), self.feed)
    return out


@ORDER_BUGS.bug("Which mask has a column for each token of the target?", section=WRONG)
def memory_mask_for_both(self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None) -> Tensor:
    """Both attentions get memory_mask; self-attention should get mask."""
    x = self.first(x, lambda x: self.attend(x, memory_mask))
    out: Tensor = self.third(self.second(x, lambda x: self.cross(x, memory, memory_mask)), self.feed)
    return out


# --- what a sublayer reads


@ORDER_BUGS.bug(
    "What goes into cross-attention as its query?",
    section=LAYER,
    also=(
        lambda self, x, memory, mask=None, memory_mask=None: self.third(
            self.first(x, lambda x: self.attend(x, mask))
            + self.second(x, lambda x: self.cross(x, memory, memory_mask)),
            self.feed,
        ),
    ),
)
def attentions_in_parallel(self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None) -> Tensor:
    """Self-attention and cross-attention read the same input, side by side; cross-attention should read what
    self-attention and its add & norm have made of it.
    """
    both = self.first(x, lambda x: self.attend(x, mask) + self.cross(x, memory, memory_mask))
    out: Tensor = self.third(both, self.feed)
    return out


@ORDER_BUGS.bug("What is the input of your feed-forward network?", section=LAYER)
def feed_forward_before_cross_attention_counts(
    self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None
) -> Tensor:
    """The feed-forward network reads what comes out of self-attention; it should read what cross-attention and its
    add & norm have made of it.
    """
    own = self.first(x, lambda x: self.attend(x, mask))
    seen = self.second(own, lambda x: self.cross(x, memory, memory_mask))
    out: Tensor = self.third(seen, lambda _: self.feed(own))
    return out


@ORDER_BUGS.bug(
    "Which x do you add to the output of the feed-forward network?",
    section=RESIDUAL,
    also=(
        lambda self, x, memory, mask=None, memory_mask=None: _last_residual(
            self, x, self.first(x, lambda x: self.attend(x, mask)), memory, memory_mask
        ),
    ),
)
def last_residual_from_before(
    self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None
) -> Tensor:
    """The residual around the feed-forward network starts too early; it should start from what the second add & norm
    returned.
    """
    own = self.first(x, lambda x: self.attend(x, mask))
    return _last_residual(self, own, own, memory, memory_mask)


def _last_residual(self: Any, carried: Tensor, own: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    seen = self.second(own, lambda x: self.cross(x, memory, memory_mask))
    out: Tensor = self.third(carried, lambda _: self.feed(seen))
    return out


@ORDER_BUGS.bug(
    "Where do the keys of your first attention come from?",
    also=tuple(
        lambda self, x, memory, mask=None, memory_mask=None, options=options: _cross_twice(
            self, x, memory, memory_mask, **options
        )
        for options in ({"causal": True}, {"masked": False}, {"causal": True, "masked": False})
    ),
)
def first_attention_to_the_memory(
    self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None
) -> Tensor:
    """Both attentions look at the memory; the first sublayer is self-attention: the target looks at itself."""
    return _cross_twice(self, x, memory, memory_mask)


def _cross_twice(
    self: Any, x: Tensor, memory: Tensor, memory_mask: Mask, causal: bool = False, masked: bool = True
) -> Tensor:
    first_mask = memory_mask if masked else None
    x = self.first(x, lambda x: self.self_attention(x, memory, first_mask, causal=causal))
    out: Tensor = self.third(self.second(x, lambda x: self.cross(x, memory, memory_mask)), self.feed)
    return out
