"""Wrong decoder layers: sublayers that are missing, in another order, or fed with something else.

Shapes: B batch, T target length, S source length, D d_model; x is (B, T, D), memory (B, S, D).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from companion.checks.decoder.masked import CROSS, LAYER, WRONG, Mask
from companion.checks.engine.bank import Bank, section

RESIDUAL = section("add_norm", "The residual connection")

LAYER_BUGS = Bank(part="forward", section=LAYER)


# --- which sublayers, and in which order


@LAYER_BUGS.bug(
    "In which order do the three sublayers stand in the picture of the layer?",
    also=(
        lambda self, x, memory, mask=None, memory_mask=None: self.third(
            self.second(self.first(x, lambda x: self.cross(x, memory, memory_mask)), lambda x: self.attend(x, mask)),
            self.feed,
        ),
    ),
)
def cross_attention_first(self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None) -> Tensor:
    """Cross-attention comes before self-attention; masked self-attention comes first."""
    x = self.second(x, lambda x: self.cross(x, memory, memory_mask))
    x = self.first(x, lambda x: self.attend(x, mask))
    return self.third(x, self.feed)


@LAYER_BUGS.bug(
    "In which order do the three sublayers stand in the picture of the layer?",
    also=(
        lambda self, x, memory, mask=None, memory_mask=None: self.second(
            self.first(self.third(x, self.feed), lambda x: self.attend(x, mask)),
            lambda x: self.cross(x, memory, memory_mask),
        ),
        lambda self, x, memory, mask=None, memory_mask=None: self.third(
            self.second(self.first(x, lambda x: self.attend(x, mask)), self.feed),
            lambda x: self.cross(x, memory, memory_mask),
        ),
        lambda self, x, memory, mask=None, memory_mask=None: self.third(
            self.second(self.first(x, self.feed), lambda x: self.attend(x, mask)),
            lambda x: self.cross(x, memory, memory_mask),
        ),
    ),
)
def feed_forward_not_last(self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None) -> Tensor:
    """The feed-forward network does not come last: it comes after both attentions."""
    x = self.third(self.first(x, lambda x: self.attend(x, mask)), self.feed)
    return self.second(x, lambda x: self.cross(x, memory, memory_mask))


@LAYER_BUGS.bug("How many sublayers does a decoder layer have?")
def self_attention_missing(self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None) -> Tensor:
    """Masked self-attention and its add & norm are missing."""
    return self.third(self.second(x, lambda x: self.cross(x, memory, memory_mask)), self.feed)


@LAYER_BUGS.bug(
    "How many sublayers does a decoder layer have? Where is memory used?",
    section=CROSS,
    also=(
        lambda self, x, memory, mask=None, memory_mask=None: self.second(
            self.first(x, lambda x: self.attend(x, mask)), self.feed
        ),
    ),
)
def cross_attention_missing(
    self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None
) -> Tensor:
    """Cross-attention and its add & norm are missing: your layer never looks at the memory."""
    return self.third(self.first(x, lambda x: self.attend(x, mask)), self.feed)


@LAYER_BUGS.bug("How many sublayers does a decoder layer have?")
def feed_forward_missing(self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None) -> Tensor:
    """The feed-forward network and its add & norm are missing."""
    x = self.first(x, lambda x: self.attend(x, mask))
    return self.second(x, lambda x: self.cross(x, memory, memory_mask))


@LAYER_BUGS.bug("What goes into cross-attention as its query?")
def cross_attention_from_the_layers_input(
    self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None
) -> Tensor:
    """The queries of cross-attention come from the layer's input; they come from what masked self-attention and its
    add & norm have made of it.
    """
    own = self.first(x, lambda x: self.attend(x, mask))
    return self.third(self.second(own, lambda _: self.cross(x, memory, memory_mask)), self.feed)


@LAYER_BUGS.bug("Which x do you add to the output of cross-attention?", section=RESIDUAL)
def residual_from_the_layers_input(
    self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None
) -> Tensor:
    """The residual around cross-attention starts from the layer's input; it starts from what the first add & norm
    returned.
    """
    own = self.first(x, lambda x: self.attend(x, mask))
    return self.third(self.second(x, lambda _: self.cross(own, memory, memory_mask)), self.feed)


@LAYER_BUGS.bug("Which mask has a column for each token of the source?", section=WRONG)
def masks_swapped(self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None) -> Tensor:
    """The two masks are swapped: mask belongs to self-attention, memory_mask to cross-attention."""
    x = self.first(x, lambda x: self.attend(x, memory_mask))
    return self.third(self.second(x, lambda x: self.cross(x, memory, mask)), self.feed)
