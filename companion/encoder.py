"""The encoder: a stack of layers in which every source token looks at every other.

Each layer is self-attention and a feed-forward network, with add & norm around both; "Attention Is All You Need"
(arXiv 1706.03762), section 3.1. Chapter *encoder*.

Shapes: B batch, S source length, D d_model.
"""

from __future__ import annotations

from torch import Tensor, nn

from companion.add_norm import AddNorm, LayerNorm
from companion.feed_forward import FeedForward
from companion.multi_head import MultiHeadAttention


class EncoderLayer(nn.Module):
    """Self-attention, then the feed-forward network, with add & norm around each.

    Equal to `torch.nn.TransformerEncoderLayer` on the same weights.

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
        self.feed_forward = FeedForward(d_model, d_ff)
        self.add_norm1 = AddNorm(d_model, dropout=dropout, norm_first=norm_first)
        self.add_norm2 = AddNorm(d_model, dropout=dropout, norm_first=norm_first)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Transform `x` (B, S, D); `mask` is bool, broadcastable to (B, H, S, S), True = may attend."""
        x = self.add_norm1(x, lambda x: self.self_attention(x, mask=mask))
        return self.add_norm2(x, self.feed_forward)


class Encoder(nn.Module):
    """A stack of encoder layers; with pre-norm a last norm stands on top.

    Args:
        num_layers: how many layers; 6 in the paper.
        d_model, num_heads, d_ff, dropout, norm_first: of every layer, as in `EncoderLayer`.
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
            EncoderLayer(d_model, num_heads, d_ff, dropout=dropout, norm_first=norm_first) for _ in range(num_layers)
        )
        # Pre-norm leaves the residual stream unnormalised; post-norm has just normalised it.
        self.norm = LayerNorm(d_model) if norm_first else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Transform `x` (B, S, D); `mask` is bool, broadcastable to (B, H, S, S), True = may attend."""
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)
