"""Wrong feed-forward networks, as classes: what is wrong is one method of the right one.

Shapes: B batch, L length, D d_model, F d_ff; x is (B, L, D).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.checks.engine.bank import Bank, section
from companion.checks.engine.variants import Variant

NETWORK = section("encoder", "The feed-forward network")
LAYER = section("encoder", "The encoder layer")
WRONG = section("encoder", "What goes wrong")

FEED_FORWARD_BUGS = Bank(part="activate", section=NETWORK)


class RightFeedForward(nn.Module):
    """The right network, in parts that can be replaced one by one."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)

    def widen(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear1(x)
        return out

    def activate(self, x: Tensor) -> Tensor:
        return F.relu(x)

    def narrow(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear2(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        return self.narrow(self.activate(self.widen(x)))


def build_feed_forward(parts: Mapping[str, Callable[..., Any]]) -> Variant:
    """Return the right network with some methods replaced, as what builds it."""
    return Variant(RightFeedForward, parts)


# --- the activation


@FEED_FORWARD_BUGS.bug("What can two matrices in a row do that one cannot?")
def activation_missing(self: Any, x: Tensor) -> Tensor:
    """There is no activation between the two linear layers: together they are one linear layer."""
    return x


@FEED_FORWARD_BUGS.bug("Can your output be negative?", part="forward")
def activation_after_the_second(self: Any, x: Tensor) -> Tensor:
    """The activation comes after the second linear layer; it should stand between the two."""
    return self.activate(self.narrow(self.widen(x)))


@FEED_FORWARD_BUGS.bug("Can your output be negative?", part="narrow")
def activation_after_both(self: Any, x: Tensor) -> Tensor:
    """There is an activation after the second linear layer as well; the output is not activated."""
    return F.relu(self.linear2(x))


@FEED_FORWARD_BUGS.bug("What happens to the negative features of x?", part="forward")
def activation_before_the_first(self: Any, x: Tensor) -> Tensor:
    """The activation comes before the first linear layer; it should stand between the two."""
    return self.narrow(self.widen(self.activate(x)))


@FEED_FORWARD_BUGS.bug("What does your activation do with -1?", also=(lambda self, x: F.gelu(x, approximate="tanh"),))
def gelu_for_relu(self: Any, x: Tensor) -> Tensor:
    """Your activation is GELU, as in BERT and GPT-2; the paper's network, and this exercise, have ReLU, max(0, x)."""
    return F.gelu(x)


@FEED_FORWARD_BUGS.bug("What does your activation do with -1?")
def silu_for_relu(self: Any, x: Tensor) -> Tensor:
    """Your activation is SiLU (also called swish); it should be ReLU, max(0, x)."""
    return F.silu(x)


@FEED_FORWARD_BUGS.bug("What does your activation do with 100?")
def sigmoid_for_relu(self: Any, x: Tensor) -> Tensor:
    """Your activation is a sigmoid; it should be ReLU, max(0, x)."""
    return torch.sigmoid(x)


@FEED_FORWARD_BUGS.bug("What does your activation do with 100?")
def tanh_for_relu(self: Any, x: Tensor) -> Tensor:
    """Your activation is tanh; it should be ReLU, max(0, x)."""
    return torch.tanh(x)


@FEED_FORWARD_BUGS.bug(
    "What does your activation do with -1?",
    also=(lambda self, x: F.leaky_relu(x, 0.1), lambda self, x: F.leaky_relu(x, 0.2)),
)
def leaky_relu(self: Any, x: Tensor) -> Tensor:
    """Your activation lets a share of the negative numbers through (leaky ReLU); it should be ReLU, max(0, x)."""
    return F.leaky_relu(x)


@FEED_FORWARD_BUGS.bug(
    "What does your activation do with -1?",
    also=(lambda self, x: F.elu(x), lambda self, x: F.selu(x), lambda self, x: F.mish(x)),
)
def smooth_relu(self: Any, x: Tensor) -> Tensor:
    """Your activation is softplus or ELU, a smooth ReLU; it should be ReLU itself, max(0, x)."""
    return F.softplus(x)


@FEED_FORWARD_BUGS.bug("What does your activation do with 100?", also=(lambda self, x: x.clamp(0, 1),))
def relu_with_an_upper_end(self: Any, x: Tensor) -> Tensor:
    """Your activation stops at 6 (ReLU6); it should have no upper end."""
    return F.relu6(x)


@FEED_FORWARD_BUGS.bug("What does your activation do with -1?")
def absolute_value(self: Any, x: Tensor) -> Tensor:
    """You take the absolute value; ReLU, max(0, x), makes negative numbers 0."""
    return x.abs()


@FEED_FORWARD_BUGS.bug("What does your activation do with -1, and with 1?", also=(lambda self, x: F.relu(-x),))
def wrong_side(self: Any, x: Tensor) -> Tensor:
    """You keep the negative numbers and cut off the positive ones: max(0, x), not min(0, x)."""
    return x.clamp(max=0)


@FEED_FORWARD_BUGS.bug("What is the sum of your features in between?")
def softmax_for_relu(self: Any, x: Tensor) -> Tensor:
    """There is a softmax over the features in between; it should be ReLU, max(0, x). Softmax belongs to attention."""
    return x.softmax(dim=-1)


@FEED_FORWARD_BUGS.bug(
    "Which steps does the formula have between the two matrices?",
    also=(lambda self, x: F.layer_norm(F.relu(x), x.shape[-1:]),),
)
def norm_inside(self: Any, x: Tensor) -> Tensor:
    """There is a layer norm inside; the norm stands around the sublayer, after the addition."""
    return F.relu(F.layer_norm(x, x.shape[-1:]))
