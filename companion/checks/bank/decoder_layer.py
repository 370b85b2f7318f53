"""Wrong decoder layers: sublayers that are missing, in another order, or fed with something else.

Shapes: B batch, T target length, S source length, D d_model; x is (B, T, D), memory (B, S, D).
"""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong method under it.

from __future__ import annotations

from typing import Any

from torch import Tensor

from companion.checks._spec import Bug, bug, section
from companion.checks.bank.decoder import CROSS, LAYER, WRONG, Mask

RESIDUAL = section("add_norm", "The residual connection")

LAYER_BUGS: list[Bug] = []


# --- which sublayers, and in which order


@bug(
    LAYER_BUGS,
    "Cross-attention comes before self-attention; masked self-attention comes first.",
    hint="In which order do the three sublayers stand in the picture of the layer?",
    section=LAYER,
    part="forward",
    also=(
        lambda self, x, memory, mask=None, memory_mask=None: self.third(
            self.second(
                self.first(x, lambda x: self.cross(x, memory, memory_mask)), lambda x: self.attend(x, mask)
            ),
            self.feed,
        ),
    ),
)  # fmt: skip
def cross_attention_first(self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None) -> Tensor:
    x = self.second(x, lambda x: self.cross(x, memory, memory_mask))
    x = self.first(x, lambda x: self.attend(x, mask))
    return self.third(x, self.feed)


@bug(
    LAYER_BUGS,
    "The feed-forward network does not come last: it comes after both attentions.",
    hint="In which order do the three sublayers stand in the picture of the layer?",
    section=LAYER,
    part="forward",
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
)  # fmt: skip
def feed_forward_not_last(self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None) -> Tensor:
    x = self.third(self.first(x, lambda x: self.attend(x, mask)), self.feed)
    return self.second(x, lambda x: self.cross(x, memory, memory_mask))


@bug(
    LAYER_BUGS,
    "Masked self-attention and its add & norm are missing.",
    hint="How many sublayers does a decoder layer have?",
    section=LAYER,
    part="forward",
)
def self_attention_missing(self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None) -> Tensor:
    return self.third(self.second(x, lambda x: self.cross(x, memory, memory_mask)), self.feed)


@bug(
    LAYER_BUGS,
    "Cross-attention and its add & norm are missing: your layer never looks at the memory.",
    hint="How many sublayers does a decoder layer have? Where is memory used?",
    section=CROSS,
    part="forward",
    also=(
        lambda self, x, memory, mask=None, memory_mask=None: self.second(
            self.first(x, lambda x: self.attend(x, mask)), self.feed
        ),
    ),
)
def cross_attention_missing(
    self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None
) -> Tensor:
    return self.third(self.first(x, lambda x: self.attend(x, mask)), self.feed)


@bug(
    LAYER_BUGS,
    "The feed-forward network and its add & norm are missing.",
    hint="How many sublayers does a decoder layer have?",
    section=LAYER,
    part="forward",
)
def feed_forward_missing(self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None) -> Tensor:
    x = self.first(x, lambda x: self.attend(x, mask))
    return self.second(x, lambda x: self.cross(x, memory, memory_mask))


@bug(
    LAYER_BUGS,
    "The queries of cross-attention come from the layer's input; they come from what masked self-attention and its "
    "add & norm have made of it.",
    hint="What goes into cross-attention as its query?",
    section=LAYER,
    part="forward",
)
def cross_attention_from_the_layers_input(
    self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None
) -> Tensor:
    own = self.first(x, lambda x: self.attend(x, mask))
    return self.third(self.second(own, lambda _: self.cross(x, memory, memory_mask)), self.feed)


@bug(
    LAYER_BUGS,
    "The residual around cross-attention starts from the layer's input; it starts from what the first add & norm "
    "returned.",
    hint="Which x do you add to the output of cross-attention?",
    section=RESIDUAL,
    part="forward",
)
def residual_from_the_layers_input(
    self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None
) -> Tensor:
    own = self.first(x, lambda x: self.attend(x, mask))
    return self.third(self.second(x, lambda _: self.cross(own, memory, memory_mask)), self.feed)


@bug(
    LAYER_BUGS,
    "The two masks are swapped: mask belongs to self-attention, memory_mask to cross-attention.",
    hint="Which mask has a column for each token of the source?",
    section=WRONG,
    part="forward",
)
def masks_swapped(self: Any, x: Tensor, memory: Tensor, mask: Mask = None, memory_mask: Mask = None) -> Tensor:
    x = self.first(x, lambda x: self.attend(x, memory_mask))
    return self.third(self.second(x, lambda x: self.cross(x, memory, mask)), self.feed)
