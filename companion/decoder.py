"""The decoder: writes the target one token after another, looking at what it wrote and at the source.

Each layer is masked self-attention, cross-attention (queries from the decoder, keys and values from the encoder)
and a feed-forward network, with add & norm around all three; "Attention Is All You Need" (arXiv 1706.03762),
section 3.1. Chapter *decoder*.

Shapes: B batch, S source length, T target length, D d_model.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from companion.add_norm import AddNorm, LayerNorm
from companion.feed_forward import FeedForward
from companion.multi_head import KVCache, MultiHeadAttention


class LayerCache(NamedTuple):
    """What one decoder layer remembers: the target so far, and the source, projected once."""

    self_attention: KVCache
    cross_attention: KVCache


class DecoderLayer(nn.Module):
    """Masked self-attention, cross-attention, then the feed-forward network, with add & norm around each.

    Equal to `torch.nn.TransformerDecoderLayer` on the same weights. The self-attention is always causal.

    Args:
        d_model: features, D.
        num_heads: attention heads.
        d_ff: features inside the feed-forward network.
        dropout: share of each sublayer's output to drop while training.
        norm_first: pre-norm instead of the paper's post-norm.
    """

    def __init__(
        self, d_model: int, num_heads: int, d_ff: int, *, dropout: float = 0.0, norm_first: bool = False
    ) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(d_model, num_heads)
        self.cross_attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.add_norm1 = AddNorm(d_model, dropout=dropout, norm_first=norm_first)
        self.add_norm2 = AddNorm(d_model, dropout=dropout, norm_first=norm_first)
        self.add_norm3 = AddNorm(d_model, dropout=dropout, norm_first=norm_first)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """Transform `x` (B, T, D), looking at `memory` (B, S, D).

        Args:
            x: the target so far, or with a cache its new tokens.
            memory: the encoder's output.
            mask: bool, broadcastable to (B, H, T, T): a further restriction beside the causal one.
            memory_mask: bool, broadcastable to (B, H, T, S): which source tokens may be seen.
            cache: from `Decoder.make_cache`.

        Returns:
            (B, T, D).
        """
        own, other = cache if cache is not None else (None, None)
        x = self.add_norm1(x, lambda x: self.self_attention(x, mask=mask, causal=True, cache=own))
        x = self.add_norm2(x, lambda x: self.cross_attention(x, memory, memory_mask, cache=other))
        return self.add_norm3(x, self.feed_forward)


class Decoder(nn.Module):
    """A stack of decoder layers; with pre-norm a last norm stands on top.

    Args:
        num_layers: how many layers; 6 in the paper.
        d_model, num_heads, d_ff, dropout, norm_first: of every layer, as in `DecoderLayer`.
    """

    def __init__(
        self,
        num_layers: int,
        d_model: int,
        num_heads: int,
        d_ff: int,
        *,
        dropout: float = 0.0,
        norm_first: bool = False,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DecoderLayer(d_model, num_heads, d_ff, dropout=dropout, norm_first=norm_first) for _ in range(num_layers)
        )
        self.norm = LayerNorm(d_model) if norm_first else nn.Identity()

    def make_cache(
        self, batch: int, max_len: int, memory_len: int, *, device: torch.device, dtype: torch.dtype
    ) -> list[LayerCache]:
        """Allocate a cache for decoding: room for `max_len` target tokens and `memory_len` source tokens."""

        def buffers(attention: MultiHeadAttention, length: int) -> KVCache:
            return KVCache(batch, attention.num_heads, length, attention.head_dim, device=device, dtype=dtype)

        return [
            LayerCache(buffers(layer.self_attention, max_len), buffers(layer.cross_attention, memory_len))  # type: ignore[arg-type]
            for layer in self.layers
        ]

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        cache: list[LayerCache] | None = None,
    ) -> Tensor:
        """Transform `x` (B, T, D), looking at `memory` (B, S, D); arguments as in `DecoderLayer.forward`."""
        for index, layer in enumerate(self.layers):
            x = layer(x, memory, mask, memory_mask, None if cache is None else cache[index])
        return self.norm(x)
