"""Multi-head attention: several attentions side by side, each on its own projection of the whole input.

Every head projects the whole input with weights of its own. The projections of all heads are computed as one
matrix product and then reshaped into heads; "Attention Is All You Need" (arXiv 1706.03762), section 3.2.2.

Shapes: B batch, H heads, L length, Q queries, K keys, D d_model, E head_dim = D / H (the paper's d_k = d_v).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from companion._shapes import check_batch, check_divisible, check_features, check_length, check_mask_dtype
from companion.attention import ScaledDotProductAttention
from companion.positional import RotaryPositionalEmbedding


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Reshape (B, L, D) into heads, (B, H, L, D / H).

    The transpose matters: a view straight to (B, H, L, D / H) would mix positions into heads.

    Raises:
        ValueError: if `x` is not (B, L, D) or D is not divisible by `num_heads`.
    """
    if x.dim() != 3:
        raise ValueError(f"expected (batch, length, d_model), got shape {tuple(x.shape)}")
    batch, length, d_model = x.shape
    head_dim = check_divisible("d_model", d_model, "num_heads", num_heads)
    x = x.view(batch, length, num_heads, head_dim)  # (B, L, H, E)
    return x.transpose(1, 2)  # (B, H, L, E)


def merge_heads(x: Tensor) -> Tensor:
    """Undo `split_heads`: (B, H, L, E) becomes (B, L, H * E), the heads side by side.

    Raises:
        ValueError: if `x` does not have four dimensions.
    """
    if x.dim() != 4:
        raise ValueError(f"expected (batch, heads, length, head_dim), got shape {tuple(x.shape)}")
    return x.transpose(1, 2).flatten(2)  # (B, L, H, E), then (B, L, H * E)


class KVCache:
    """The keys and values that one attention layer has seen, in buffers allocated once.

    Args:
        batch: number of sequences, B.
        num_heads: number of heads, H.
        max_len: room for that many keys.
        head_dim: features of a head, E.
        device: where the buffers live.
        dtype: their dtype.
    """

    def __init__(
        self,
        batch: int,
        num_heads: int,
        max_len: int,
        head_dim: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.keys = torch.empty(batch, num_heads, max_len, head_dim, device=device, dtype=dtype)
        self.values = torch.empty_like(self.keys)
        self.length = 0

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add new keys and values (B, H, L, E) and return all so far, (B, H, length, E) each.

        Raises:
            ValueError: if the buffers are full, or were made for another batch, number of heads, width or dtype.
            RuntimeError: if gradients are being recorded: the buffers are written in place.
        """
        if torch.is_grad_enabled() and key.requires_grad:
            raise RuntimeError("a KVCache keeps no gradients: decode under torch.no_grad() or torch.inference_mode()")
        for new in (key, value):  # writing in place would stretch a batch of one, and round a wider dtype
            fits = new.shape[:2] == self.keys.shape[:2] and new.shape[3:] == self.keys.shape[3:]
            if not fits or new.dtype != self.keys.dtype:
                raise ValueError(
                    f"the cache was made for {self.keys.dtype} of shape {tuple(self.keys.shape)} "
                    f"(batch, heads, max_len, head_dim), got {new.dtype} of shape {tuple(new.shape)}: "
                    "make a new cache for these, and under autocast with its dtype"
                )
        end = self.length + key.size(-2)
        check_length(end, self.keys.size(-2))
        self.keys[:, :, self.length : end] = key
        self.values[:, :, self.length : end] = value
        self.length = end
        return self.read()

    def read(self) -> tuple[Tensor, Tensor]:
        """Return the keys and values so far, (B, H, length, E) each, as views."""
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]


class MultiHeadAttention(nn.Module):
    """Multi-head attention, over one sequence (self-attention) or from one to another (cross-attention).

    Equal to `torch.nn.MultiheadAttention` on the same weights. It has 4 D² weights and 4 D biases, however many
    heads share them. Source: arXiv 1706.03762, section 3.2.2; chapter *multi_head*.

    Args:
        d_model: features of input and output, D.
        num_heads: number of heads, H; D must be divisible by it.
        dropout: share of the attention weights to drop while training.
        bias: whether the four projections add a bias.
        rotary: turns the queries and keys of self-attention by their positions; made for the same head_dim.

    Raises:
        ValueError: if `d_model` is not divisible by `num_heads`.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        dropout: float = 0.0,
        bias: bool = True,
        rotary: RotaryPositionalEmbedding | None = None,
    ) -> None:
        super().__init__()
        self.head_dim = check_divisible("d_model", d_model, "num_heads", num_heads)
        self.d_model = d_model
        self.num_heads = num_heads
        self.q_proj = nn.Linear(d_model, d_model, bias=bias)
        self.k_proj = nn.Linear(d_model, d_model, bias=bias)
        self.v_proj = nn.Linear(d_model, d_model, bias=bias)
        self.out_proj = nn.Linear(d_model, d_model, bias=bias)
        self.rotary = rotary
        self.attention = ScaledDotProductAttention(dropout)

    def forward(
        self,
        query: Tensor,
        memory: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        causal: bool = False,
        cache: KVCache | None = None,
    ) -> Tensor:
        """Attend from `query` to `memory`, or to `query` itself where no memory is given.

        Args:
            query: (B, Q, D).
            memory: (B, K, D), where keys and values come from; None for self-attention.
            mask: bool, (Q, K) or broadcastable to (B, H, Q, K); True = may attend.
            causal: let a query see only the keys up to its own position, aligned bottom-right.
            cache: for decoding. Self-attention appends the new keys and values to it and attends to all so far;
                cross-attention fills it from the memory once and reads it afterwards.

        Returns:
            (B, Q, D).

        Raises:
            ValueError: if shapes do not fit; a mask (B, Q, K) is refused, as it would land on the heads; if there
                are a memory and rotary positions.
            TypeError: if the mask is not a bool tensor.
        """
        check_features(query, self.d_model, "query")
        if mask is not None:
            as_torchs_layer = "; the layer takes query, memory and mask: the memory gives the keys and the values"
            check_mask_dtype(mask, "" if memory is None else as_torchs_layer)
            if mask.dim() == 3:
                raise ValueError(
                    f"a mask of shape {tuple(mask.shape)} would broadcast its batch onto the heads: "
                    "pass mask[:, None], of shape (batch, 1, query length, key length)"
                )
        start = 0 if cache is None else cache.length
        key, value = self._keys_and_values(query, memory, cache)  # (B, H, K, E) each
        queries = split_heads(self.q_proj(query), self.num_heads)  # (B, H, Q, E)
        if self.rotary is not None:
            queries = self.rotary(queries, start)
        return self.out_proj(merge_heads(self.attention(queries, key, value, mask, causal)))  # (B, Q, D)

    def _keys_and_values(self, query: Tensor, memory: Tensor | None, cache: KVCache | None) -> tuple[Tensor, Tensor]:
        if memory is not None:
            check_features(memory, self.d_model, "memory")
            check_batch("query", query, "memory", memory)
            if self.rotary is not None:
                raise ValueError("rotary positions are distances within one sequence: leave memory out, or rotary")
        if memory is not None and cache is not None and cache.length > 0:
            if cache.length != memory.size(1):
                raise ValueError(
                    f"the cache holds the keys of {cache.length} memory tokens, but the memory has {memory.size(1)}: "
                    "make a new cache for each source"
                )
            return cache.read()
        source = query if memory is None else memory
        key = split_heads(self.k_proj(source), self.num_heads)
        value = split_heads(self.v_proj(source), self.num_heads)
        if self.rotary is not None:  # a cached key was turned when it came, and stays so
            key = self.rotary(key, 0 if cache is None else cache.length)
        return (key, value) if cache is None else cache.append(key, value)
