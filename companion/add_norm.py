"""Add & norm: what stands around every sublayer, a residual connection and a layer normalisation.

Two steps that are independent of one another. The residual adds the sublayer's input to its output; layer norm
(arXiv 1607.06450) brings each token's features to mean 0 and variance 1 and gives them a learned scale and shift.
"Attention Is All You Need" (arXiv 1706.03762), section 3.1, normalises after the addition (post-norm). Chapter
*add_norm* compares it with pre-norm (arXiv 2002.04745).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion._shapes import IMPLEMENTATIONS, check_choice, check_features


class LayerNorm(nn.Module):
    """Normalise the features of each token, one token at a time.

    y = (x - mean) / √(variance + eps) · weight + bias, with the variance over all D features divided by D
    (not D - 1). Equal to `torch.nn.LayerNorm`. Source: arXiv 1607.06450, section 3.

    Args:
        d_model: number of features, D.
        eps: keeps the root from being zero.
        implementation: "reference" is the formula written out; "fused" calls torch's kernel. They agree.
    """

    def __init__(self, d_model: int, eps: float = 1e-5, *, implementation: str = "fused") -> None:
        super().__init__()
        check_choice("implementation", implementation, IMPLEMENTATIONS)
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))
        self.eps = eps
        self.implementation = implementation

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` (..., D) over its last dimension.

        Raises:
            ValueError: if the last dimension is not D.
        """
        check_features(x, self.weight.numel(), "x")
        if self.implementation == "fused":
            return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x  # a square overflows float16 early
        centred = wide - wide.mean(dim=-1, keepdim=True)
        variance = centred.square().mean(dim=-1, keepdim=True)
        normalised = (centred / torch.sqrt(variance + self.eps)).to(x.dtype)
        return normalised * self.weight + self.bias


class AddNorm(nn.Module):
    """Wrap a sublayer in a residual connection and a layer norm.

    Post-norm, the paper's: LayerNorm(x + Dropout(sublayer(x))). Pre-norm: x + Dropout(sublayer(LayerNorm(x))).

    Args:
        d_model: number of features, D.
        dropout: share of the sublayer's output to drop while training.
        norm_first: pre-norm instead of post-norm.
    """

    def __init__(self, d_model: int, *, dropout: float = 0.0, norm_first: bool = False) -> None:
        super().__init__()
        self.norm = LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)
        self.norm_first = norm_first

    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply `sublayer`, a function from (B, L, D) to (B, L, D), with add & norm around it."""
        if self.norm_first:
            return x + self.dropout(sublayer(self.norm(x)))
        return self.norm(x + self.dropout(sublayer(x)))
