"""One formula, two speeds: which implementation the parts of a model compute with.

Attention and layer norm are there twice, and agree: "reference" is the formula written out, to be read, and "fused"
calls torch's kernel, to be fast. Each part knows its own in an attribute, so nothing above it has to hand it down.
"""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from companion._shapes import IMPLEMENTATIONS, check_choice
from companion.add_norm import LayerNorm
from companion.attention import ScaledDotProductAttention

_Model = TypeVar("_Model", bound=nn.Module)


def use_implementation(model: _Model, implementation: str) -> _Model:
    """Let every attention and every layer norm in a model compute with "fused" or with "reference".

    A `Transformer` does it by its config. For a layer: ``use_implementation(EncoderLayer(12, 3, 20), "reference")``.

    Args:
        model: any module; it is changed in place.
        implementation: "fused" or "reference".

    Returns:
        the model.

    Raises:
        ValueError: if the implementation is unknown.
    """
    check_choice("implementation", implementation, IMPLEMENTATIONS)
    for part in model.modules():
        if isinstance(part, ScaledDotProductAttention | LayerNorm):
            part.implementation = implementation
    return model
