"""Positions: attention alone sees a set, so the order of the tokens has to be put in.

Three ways, all (.., length, features) in and out: fixed sinusoids added to the embeddings and learned vectors
added to them (both in "Attention Is All You Need", arXiv 1706.03762, section 3.5), and a rotation of queries
and keys (RoFormer, arXiv 2104.09864, section 3.2). Chapter *positional* compares them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from companion._shapes import check_even, check_features, check_length


def _angles(length: int, features: int, base: float) -> Tensor:
    # position / base^(2i / features) in float64: (length, features / 2)
    check_even("the number of features", features)
    frequencies = torch.exp(torch.arange(0, features, 2, dtype=torch.float64) * (-math.log(base) / features))
    return torch.arange(length, dtype=torch.float64)[:, None] * frequencies


def sinusoidal_encoding(length: int, d_model: int) -> Tensor:
    """Encode positions 0 to length - 1 as sines and cosines of wavelengths from 2π to 10000 · 2π.

    Feature 2i is sin(position / 10000^(2i / d_model)) and feature 2i + 1 the cosine of the same angle, so that
    the encoding of position t + k is a rotation of that of t. Source: arXiv 1706.03762, section 3.5.

    Args:
        length: number of positions.
        d_model: number of features, even.

    Returns:
        float32 tensor (length, d_model).

    Raises:
        ValueError: if `d_model` is odd.
    """
    angles = _angles(length, d_model, base=10_000.0)  # (length, d_model / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2).float()  # (length, d_model)


class SinusoidalPositionalEncoding(nn.Module):
    """Add `sinusoidal_encoding` to a sequence of embeddings.

    Args:
        d_model: number of features, even.
        max_len: the longest sequence.
    """

    encoding: Tensor

    def __init__(self, d_model: int, max_len: int) -> None:
        super().__init__()
        self.register_buffer("encoding", sinusoidal_encoding(max_len, d_model), persistent=False)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Add the encodings of positions start, start + 1, … to `x` (B, L, D).

        Raises:
            ValueError: if the sequence reaches beyond `max_len`.
        """
        check_features(x, self.encoding.size(-1), "x")
        check_length(start + x.size(-2), self.encoding.size(0))
        return x + self.encoding[start : start + x.size(-2)].to(x.dtype)


class LearnedPositionalEmbedding(nn.Module):
    """Add a learned vector for each position to a sequence of embeddings.

    Args:
        d_model: number of features.
        max_len: the longest sequence; a position beyond it was never learned.
    """

    def __init__(self, d_model: int, max_len: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(max_len, d_model) * d_model**-0.5)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Add the vectors of positions start, start + 1, … to `x` (B, L, D).

        Raises:
            ValueError: if the sequence reaches beyond `max_len`.
        """
        check_features(x, self.weight.size(-1), "x")
        check_length(start + x.size(-2), self.weight.size(0))
        return x + self.weight[start : start + x.size(-2)]


class RotaryPositionalEmbedding(nn.Module):
    """Rotate each pair of features (2i, 2i + 1) of queries and keys by an angle that grows with the position.

    The product of a rotated query and a rotated key then depends on their distance alone. Values are not
    rotated. Source: RoFormer (arXiv 2104.09864), section 3.2.2.

    Args:
        head_dim: features of a head, even.
        max_len: the longest sequence.
        base: the longest wavelength is about 2π times this.
    """

    sin: Tensor
    cos: Tensor

    def __init__(self, head_dim: int, max_len: int, base: float = 10_000.0) -> None:
        super().__init__()
        angles = _angles(max_len, head_dim, base)  # (max_len, head_dim / 2)
        self.register_buffer("sin", angles.sin().float(), persistent=False)
        self.register_buffer("cos", angles.cos().float(), persistent=False)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Rotate `x` (B, H, L, E), whose first token stands at position `start`.

        Raises:
            ValueError: if the sequence reaches beyond `max_len`.
        """
        check_features(x, 2 * self.sin.size(-1), "x")
        end = start + x.size(-2)
        check_length(end, self.sin.size(0))
        sin, cos = self.sin[start:end].to(x.dtype), self.cos[start:end].to(x.dtype)  # (L, E / 2)
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)
