"""Scaled dot-product attention: each query takes a weighted average of the values.

The weights come from how well the query matches the keys: softmax(Q Kᵀ / √d_k) V, equation 1 of "Attention Is
All You Need" (arXiv 1706.03762), section 3.2.1. Chapter *attention* builds it step by step.

Shapes: B batch, H heads, Q queries, K keys, D features of queries and keys (the paper's d_k), V features of
values (d_v). Any number of leading dimensions will do; the mask broadcasts to (..., Q, K).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion._shapes import IMPLEMENTATIONS, check_attention_inputs, check_choice, check_mask
from companion.masks import causal_mask, combine_masks


def masked_softmax(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """Turn each query's scores into weights: 0 for the keys that the mask forbids, and 1 in sum.

    Args:
        scores: (..., Q, K).
        mask: bool, broadcastable to (..., Q, K); True = may attend.

    Returns:
        (..., Q, K) weights in the scores' dtype; those of half precision are computed in float32. Each row sums to 1,
        or to 0 where the mask leaves a query nothing, and then its gradient is zero.

    Raises:
        ValueError: if the mask does not fit the scores.
        TypeError: if the mask is not bool.
    """
    half = scores.dtype in (torch.float16, torch.bfloat16)
    wide = scores.float() if half else scores
    if mask is None:
        return wide.softmax(dim=-1).to(scores.dtype)
    check_mask(mask, scores.shape)
    # exp(-inf) = 0: a forbidden key gets no weight. A row of nothing but -inf would be
    # 0/0, so such rows are opened for the softmax and set to zero after it, which keeps
    # their gradients zero, too, instead of NaN.
    empty = ~mask.any(dim=-1, keepdim=True)  # (..., Q, 1)
    weights = wide.masked_fill(~(mask | empty), float("-inf")).softmax(dim=-1)
    return weights.masked_fill(empty, 0.0).to(scores.dtype)


def attention_weights(
    query: Tensor,
    key: Tensor,
    mask: Tensor | None = None,
    *,
    causal: bool = False,
) -> Tensor:
    """Say how much each query attends to each key.

    Args:
        query: (..., Q, D).
        key: (..., K, D).
        mask: bool, broadcastable to (..., Q, K); True = may attend.
        causal: also let each query see only the keys up to its own position, aligned bottom-right as in
            `companion.causal_mask`.

    Returns:
        (..., Q, K) weights in the query's dtype. Each row sums to 1, or to 0 where the mask leaves a query nothing.

    Raises:
        ValueError: if the shapes do not fit together.
        TypeError: if the mask is not bool.
    """
    check_attention_inputs(query, key, None, mask)
    if causal:
        so_far = causal_mask(query.size(-2), key.size(-2), device=query.device)
        mask = combine_masks(mask, so_far)
    # Scaling the query, not the scores, keeps float16 from overflowing in the product.
    scores = (query * query.size(-1) ** -0.5) @ key.transpose(-2, -1)  # (..., Q, K)
    return masked_softmax(scores, mask)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    dropout_p: float = 0.0,
    causal: bool = False,
    implementation: str = "fused",
) -> Tensor:
    """Average the values, weighted by how well each query matches each key.

    Args:
        query: (..., Q, D).
        key: (..., K, D).
        value: (..., K, V).
        mask: bool, broadcastable to (..., Q, K); True = may attend.
        dropout_p: share of the weights to drop; the caller passes 0 outside training.
        causal: also let each query see only the keys up to its own position, aligned bottom-right as in
            `companion.causal_mask`; cheaper than passing that mask.
        implementation: "fused" calls torch's kernel; "reference" is the readable one. They agree.

    Returns:
        (..., Q, V). A query that may attend to nothing gets zeros, and its gradients are zero.

    Raises:
        ValueError: if the shapes do not fit together or the implementation is unknown.
        TypeError: if the mask is not bool.
    """
    check_choice("implementation", implementation, IMPLEMENTATIONS)
    check_attention_inputs(query, key, value, mask)
    attend = _fused if implementation == "fused" else _reference
    return attend(query, key, value, mask, dropout_p, causal)


def _reference(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout_p: float, causal: bool
) -> Tensor:
    weights = attention_weights(query, key, mask, causal=causal)  # (..., Q, K)
    return F.dropout(weights, dropout_p) @ value  # (..., Q, V)


def _fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout_p: float, causal: bool) -> Tensor:
    # Torch's is_causal flag is aligned top-left, and takes no mask beside it: it serves where the lengths agree.
    # A single query sees every key, and needs no mask at all.
    query_len, key_len = query.size(-2), key.size(-2)
    flag = causal and mask is None and query_len == key_len
    if causal and not flag and query_len > 1:
        mask = combine_masks(mask, causal_mask(query_len, key_len, device=query.device))
    if mask is None:
        return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout_p, is_causal=flag)
    # Kernels differ in what they give a query that may attend to nothing. Open such rows, then set them to zero.
    if mask.dim() < 2:
        mask = mask.expand(1, key_len)
    empty = ~mask.any(dim=-1, keepdim=True)
    output = F.scaled_dot_product_attention(query, key, value, attn_mask=mask | empty, dropout_p=dropout_p)
    return output.masked_fill(empty, 0.0)


class ScaledDotProductAttention(nn.Module):
    """`scaled_dot_product_attention` as a module without parameters, so that a hook can see what it gets.

    Args:
        dropout: share of the attention weights to drop while training.
        implementation: "fused" or "reference".
    """

    def __init__(self, dropout: float = 0.0, implementation: str = "fused") -> None:
        super().__init__()
        check_choice("implementation", implementation, IMPLEMENTATIONS)
        self.dropout = dropout
        self.implementation = implementation

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """Attend; shapes as in `scaled_dot_product_attention`."""
        return scaled_dot_product_attention(
            query,
            key,
            value,
            mask,
            dropout_p=self.dropout if self.training else 0.0,
            causal=causal,
            implementation=self.implementation,
        )
