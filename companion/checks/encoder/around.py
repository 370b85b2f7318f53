"""Wrong add & norms of an encoder layer: a residual or a norm that is missing, misplaced or shared.

Those of `EVERY_LAYER_BUGS` are wrong in a decoder layer in the same way.

Shapes: B batch, L length, D d_model; x is (B, L, D).
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from companion.checks.encoder.feed_forward import LAYER, NETWORK, WRONG
from companion.checks.encoder.layer import PRE_POST, RESIDUAL, Sublayer
from companion.checks.engine.bank import Bank

AROUND_BUGS = Bank(part="around", section=RESIDUAL)
EVERY_LAYER_BUGS = Bank(part="around", section=PRE_POST)


@AROUND_BUGS.bug("What is left of x if attention returns zeros?", part="first")
def residual_around_attention_missing(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The residual around attention is missing."""
    return self.add_norm1.norm(sublayer(x))


@AROUND_BUGS.bug("What is left of its input if the feed-forward network returns zeros?", part="second")
def residual_around_feed_forward_missing(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The residual around the feed-forward network is missing."""
    return self.add_norm2.norm(sublayer(x))


@AROUND_BUGS.bug("What is left of x if both sublayers return zeros?")
def no_residuals(self: Any, add_norm: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """There are no residual connections: each sublayer's input should be added to its output."""
    return add_norm.norm(sublayer(x))


@AROUND_BUGS.bug("What is done with the sum of x and the output of attention?", section=LAYER, part="first")
def norm_after_attention_missing(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The norm after attention is missing."""
    return x + sublayer(x)


@AROUND_BUGS.bug(
    "What should the mean of each token's features be at the end of the layer, before weight and bias?",
    section=LAYER,
    part="second",
)
def norm_after_feed_forward_missing(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The norm after the feed-forward network is missing."""
    return x + sublayer(x)


@AROUND_BUGS.bug("What keeps the numbers from growing with every layer?", section=LAYER)
def no_norms(self: Any, add_norm: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """There are no norms: each sum should be normalised."""
    return x + sublayer(x)


@AROUND_BUGS.bug("Is add_norm2 used where add_norm1 should be, or the other way round?", section=WRONG, part="second")
def one_norm_for_both(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """One add & norm serves both sublayers; each has its own. On a fresh layer they are alike, which hides it."""
    return self.around(self.add_norm1, x, sublayer)


@AROUND_BUGS.bug("Which add & norm belongs to which sublayer?", section=WRONG, part="first")
def second_norm_for_both(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """You use add_norm2 around attention too; add_norm1 belongs there. On a fresh layer they are alike, which hides
    it.
    """
    return self.around(self.add_norm2, x, sublayer)


@AROUND_BUGS.bug("Which add & norm belongs to which sublayer?", section=WRONG)
def norms_swapped(self: Any, add_norm: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The two add & norms are swapped: add_norm1 belongs to attention, add_norm2 to the feed-forward network. On a
    fresh layer they are alike, which hides it.
    """
    return (self.add_norm2 if add_norm is self.add_norm1 else self.add_norm1)(x, sublayer)


@AROUND_BUGS.bug("How often is each norm called?", section=PRE_POST)
def norm_before_and_after(self: Any, add_norm: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """You normalise before the sublayer and after the sum; post-norm has only the second norm."""
    return add_norm(x, lambda x: sublayer(add_norm.norm(x)))


# --- what goes wrong in a decoder layer in the same way


@EVERY_LAYER_BUGS.bug("Which is done last, the addition or the norm?")
def pre_norm(self: Any, add_norm: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """This is a pre-norm layer, x + sublayer(norm(x)); post-norm is asked for, norm(x + sublayer(x))."""
    return x + sublayer(add_norm.norm(x))


@EVERY_LAYER_BUGS.bug("What stands inside the brackets of the norm?")
def norm_before_the_addition(self: Any, add_norm: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """You normalise the sublayer's output before you add: x + norm(sublayer(x)). Normalise the sum."""
    return x + add_norm.norm(sublayer(x))


@EVERY_LAYER_BUGS.bug(
    "AddNorm adds x itself. What do you pass to it, and what do you add to what it returns?",
    section=RESIDUAL,
    also=(lambda self, add_norm, x, sublayer: x + add_norm(x, sublayer),),
)
def residual_twice(self: Any, add_norm: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """A residual is added around an add & norm, which has one inside already: x is added twice."""
    return add_norm(x, lambda x: x + sublayer(x))


@EVERY_LAYER_BUGS.bug("What can two matrices in a row do that one cannot?", section=NETWORK, part="feed")
def activation_missing(self: Any, x: Tensor) -> Tensor:
    """There is no activation between the two linear layers of the feed-forward network."""
    return self.feed_forward.linear2(self.feed_forward.linear1(x))


@EVERY_LAYER_BUGS.bug(
    "Is f(2x) twice f(x) for your activation? For ReLU it is.",
    section=NETWORK,
    part="feed",
    also=(lambda self, x: self.feed_forward.linear2(F.gelu(self.feed_forward.linear1(x), approximate="tanh")),),
)
def gelu_for_relu(self: Any, x: Tensor) -> Tensor:
    """The activation of the feed-forward network is GELU, as in BERT and GPT-2; here it is ReLU, max(0, x)."""
    return self.feed_forward.linear2(F.gelu(self.feed_forward.linear1(x)))
