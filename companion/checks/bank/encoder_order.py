"""Wrong encoder layers: pre-norm in one half, and a feed-forward network that is fed with something else.

Shapes: B batch, L length, D d_model; x is (B, L, D), and a mask broadcasts to (B, H, L, L).
"""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong method under it.

from __future__ import annotations

from typing import Any

from torch import Tensor

from companion.checks._spec import Bug, bug
from companion.checks.bank.encoder import LAYER
from companion.checks.bank.encoder_layer import PRE_POST, RESIDUAL, Sublayer

ORDER_BUGS: list[Bug] = []


@bug(
    ORDER_BUGS,
    "Pre-norm around attention, post-norm around the feed-forward network: post-norm is asked for around both.",
    hint="In each half, which is done last, the addition or the norm?",
    section=PRE_POST,
    part="first",
)
def pre_norm_in_the_first_half(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return x + sublayer(self.add_norm1.norm(x))


@bug(
    ORDER_BUGS,
    "Post-norm around attention, pre-norm around the feed-forward network: post-norm is asked for around both.",
    hint="In each half, which is done last, the addition or the norm?",
    section=PRE_POST,
    part="second",
)
def pre_norm_in_the_second_half(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return x + sublayer(self.add_norm2.norm(x))


@bug(
    ORDER_BUGS,
    "The feed-forward network reads what attention returned, without the residual and the norm: it should read what "
    "the first add & norm has made of it.",
    hint="What is the input of your feed-forward network?",
    section=LAYER,
    part="forward",
)
def feed_forward_of_attention_alone(self: Any, x: Tensor, mask: Tensor | None = None) -> Tensor:
    found = self.attend(x, mask)
    return self.second(self.first(x, lambda _: found), lambda _: self.feed(found))


@bug(
    ORDER_BUGS,
    "The second residual carries what attention returned; it should carry what the first add & norm has made of it.",
    hint="What do you add to the output of the feed-forward network?",
    section=RESIDUAL,
    part="forward",
)
def residual_from_attention_alone(self: Any, x: Tensor, mask: Tensor | None = None) -> Tensor:
    found = self.attend(x, mask)
    middle = self.first(x, lambda _: found)
    return self.second(found, lambda _: self.feed(middle))
