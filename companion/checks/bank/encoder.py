"""Wrong feed-forward networks, as classes: what is wrong is one method of the right one.

Shapes: B batch, L length, D d_model, F d_ff; x is (B, L, D).
"""

# ruff: noqa: D101, D102, D103 - the sentence in a decorator is the docstring of the wrong method under it.

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.checks._spec import Bug, bug, section
from companion.checks._variants import Variant

NETWORK = section("encoder", "The feed-forward network")
LAYER = section("encoder", "The encoder layer")
WRONG = section("encoder", "What goes wrong")

FEED_FORWARD_BUGS: list[Bug] = []


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


@bug(
    FEED_FORWARD_BUGS,
    "There is no activation between the two linear layers: together they are one linear layer.",
    hint="What can two matrices in a row do that one cannot?",
    section=NETWORK,
    part="activate",
)
def activation_missing(self: Any, x: Tensor) -> Tensor:
    return x


@bug(
    FEED_FORWARD_BUGS,
    "The activation comes after the second linear layer; it should stand between the two.",
    hint="Can your output be negative?",
    section=NETWORK,
    part="forward",
)
def activation_after_the_second(self: Any, x: Tensor) -> Tensor:
    return self.activate(self.narrow(self.widen(x)))


@bug(
    FEED_FORWARD_BUGS,
    "There is an activation after the second linear layer as well; the output is not activated.",
    hint="Can your output be negative?",
    section=NETWORK,
    part="narrow",
)
def activation_after_both(self: Any, x: Tensor) -> Tensor:
    return F.relu(self.linear2(x))


@bug(
    FEED_FORWARD_BUGS,
    "The activation comes before the first linear layer; it should stand between the two.",
    hint="What happens to the negative features of x?",
    section=NETWORK,
    part="forward",
)
def activation_before_the_first(self: Any, x: Tensor) -> Tensor:
    return self.narrow(self.widen(self.activate(x)))


@bug(
    FEED_FORWARD_BUGS,
    "Your activation is GELU, as in BERT and GPT-2; the paper's network, and this exercise, have ReLU, max(0, x).",
    hint="What does your activation do with -1?",
    section=NETWORK,
    part="activate",
    also=(lambda self, x: F.gelu(x, approximate="tanh"),),
)
def gelu_for_relu(self: Any, x: Tensor) -> Tensor:
    return F.gelu(x)


@bug(
    FEED_FORWARD_BUGS,
    "Your activation is SiLU (also called swish); it should be ReLU, max(0, x).",
    hint="What does your activation do with -1?",
    section=NETWORK,
    part="activate",
)
def silu_for_relu(self: Any, x: Tensor) -> Tensor:
    return F.silu(x)


@bug(
    FEED_FORWARD_BUGS,
    "Your activation is a sigmoid; it should be ReLU, max(0, x).",
    hint="What does your activation do with 100?",
    section=NETWORK,
    part="activate",
)
def sigmoid_for_relu(self: Any, x: Tensor) -> Tensor:
    return torch.sigmoid(x)


@bug(
    FEED_FORWARD_BUGS,
    "Your activation is tanh; it should be ReLU, max(0, x).",
    hint="What does your activation do with 100?",
    section=NETWORK,
    part="activate",
)
def tanh_for_relu(self: Any, x: Tensor) -> Tensor:
    return torch.tanh(x)


@bug(
    FEED_FORWARD_BUGS,
    "Your activation lets a share of the negative numbers through (leaky ReLU); it should be ReLU, max(0, x).",
    hint="What does your activation do with -1?",
    section=NETWORK,
    part="activate",
    also=(lambda self, x: F.leaky_relu(x, 0.1), lambda self, x: F.leaky_relu(x, 0.2)),
)
def leaky_relu(self: Any, x: Tensor) -> Tensor:
    return F.leaky_relu(x)


@bug(
    FEED_FORWARD_BUGS,
    "Your activation is softplus or ELU, a smooth ReLU; it should be ReLU itself, max(0, x).",
    hint="What does your activation do with -1?",
    section=NETWORK,
    part="activate",
    also=(lambda self, x: F.elu(x), lambda self, x: F.selu(x), lambda self, x: F.mish(x)),
)
def smooth_relu(self: Any, x: Tensor) -> Tensor:
    return F.softplus(x)


@bug(
    FEED_FORWARD_BUGS,
    "Your activation stops at 6 (ReLU6); it should have no upper end.",
    hint="What does your activation do with 100?",
    section=NETWORK,
    part="activate",
    also=(lambda self, x: x.clamp(0, 1),),
)
def relu_with_an_upper_end(self: Any, x: Tensor) -> Tensor:
    return F.relu6(x)


@bug(
    FEED_FORWARD_BUGS,
    "You take the absolute value; ReLU, max(0, x), makes negative numbers 0.",
    hint="What does your activation do with -1?",
    section=NETWORK,
    part="activate",
)
def absolute_value(self: Any, x: Tensor) -> Tensor:
    return x.abs()


@bug(
    FEED_FORWARD_BUGS,
    "You keep the negative numbers and cut off the positive ones: max(0, x), not min(0, x).",
    hint="What does your activation do with -1, and with 1?",
    section=NETWORK,
    part="activate",
    also=(lambda self, x: F.relu(-x),),
)
def wrong_side(self: Any, x: Tensor) -> Tensor:
    return x.clamp(max=0)


@bug(
    FEED_FORWARD_BUGS,
    "There is a softmax over the features in between; it should be ReLU, max(0, x). Softmax belongs to attention.",
    hint="What is the sum of your features in between?",
    section=NETWORK,
    part="activate",
)
def softmax_for_relu(self: Any, x: Tensor) -> Tensor:
    return x.softmax(dim=-1)


@bug(
    FEED_FORWARD_BUGS,
    "There is a layer norm inside; the norm stands around the sublayer, after the addition.",
    hint="Which steps does the formula have between the two matrices?",
    section=NETWORK,
    part="activate",
    also=(lambda self, x: F.layer_norm(F.relu(x), x.shape[-1:]),),
)
def norm_inside(self: Any, x: Tensor) -> Tensor:
    return F.relu(F.layer_norm(x, x.shape[-1:]))
