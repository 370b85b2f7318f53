"""Wrong encoder layers: pre-norm in one half, and a feed-forward network that is fed with something else.

Shapes: B batch, L length, D d_model; x is (B, L, D), and a mask broadcasts to (B, H, L, L).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from companion.checks.encoder.feed_forward import LAYER
from companion.checks.encoder.layer import PRE_POST, RESIDUAL, Sublayer
from companion.checks.engine.bank import Bank

ORDER_BUGS = Bank(part="forward", section=PRE_POST)


@ORDER_BUGS.bug("In each half, which is done last, the addition or the norm?", part="first")
def pre_norm_in_the_first_half(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """Pre-norm around attention, post-norm around the feed-forward network: post-norm is asked for around both."""
    return x + sublayer(self.add_norm1.norm(x))


@ORDER_BUGS.bug("In each half, which is done last, the addition or the norm?", part="second")
def pre_norm_in_the_second_half(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """Post-norm around attention, pre-norm around the feed-forward network: post-norm is asked for around both."""
    return x + sublayer(self.add_norm2.norm(x))


@ORDER_BUGS.bug("What is the input of your feed-forward network?", section=LAYER)
def feed_forward_of_attention_alone(self: Any, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """The feed-forward network reads what attention returned, without the residual and the norm: it should read what
    the first add & norm has made of it.
    """
    found = self.attend(x, mask)
    return self.second(self.first(x, lambda _: found), lambda _: self.feed(found))


@ORDER_BUGS.bug("What do you add to the output of the feed-forward network?", section=RESIDUAL)
def residual_from_attention_alone(self: Any, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """The second residual carries what attention returned; it should carry what the first add & norm has made of it."""
    found = self.attend(x, mask)
    middle = self.first(x, lambda _: found)
    return self.second(found, lambda _: self.feed(middle))
