"""Masks: who may attend to whom.

A mask is a bool tensor, True = may attend, broadcastable to (B, H, Q, K): batch, heads, query length, key
length. Masks combine by AND. Chapter *masks* explains them; the look-ahead mask is that of "Attention Is All
You Need" (arXiv 1706.03762), section 3.2.3.
"""

from __future__ import annotations

import torch
from torch import Tensor

from companion._shapes import check_mask_dtype


def causal_mask(query_len: int, key_len: int | None = None, *, device: torch.device | str | None = None) -> Tensor:
    """Let each query attend to the keys up to its own position.

    The mask is aligned bottom-right: the last query sees every key. That is right with a cache too, where a few
    new queries meet all the keys so far. Torch's own ``is_causal=True`` is aligned top-left.

    Args:
        query_len: number of queries, Q.
        key_len: number of keys, K; as many as queries if not given.
        device: where to put the mask.

    Returns:
        bool tensor (Q, K). With fewer keys than queries the first Q - K rows are all False.

    Raises:
        ValueError: if a length is negative.
    """
    key_len = query_len if key_len is None else key_len
    if query_len < 0 or key_len < 0:
        raise ValueError(f"lengths must not be negative, got query_len {query_len} and key_len {key_len}")
    return torch.ones(query_len, key_len, dtype=torch.bool, device=device).tril(diagonal=key_len - query_len)


def padding_mask(token_ids: Tensor, pad_id: int) -> Tensor:
    """Hide the padding: True where a key is a real token.

    Args:
        token_ids: integer tensor (B, K).
        pad_id: the id that fills short sequences.

    Returns:
        bool tensor (B, 1, 1, K), which broadcasts over heads and queries.

    Raises:
        ValueError: if `token_ids` is not (B, K).
        TypeError: if `token_ids` are not integers.
    """
    if token_ids.dim() != 2:
        raise ValueError(f"token_ids must have shape (batch, length), got {tuple(token_ids.shape)}")
    if token_ids.is_floating_point():
        raise TypeError(f"token_ids must be integers, got {token_ids.dtype}: pass the ids, not their embeddings")
    return (token_ids != pad_id)[:, None, None, :]


def combine_masks(*masks: Tensor | None) -> Tensor | None:
    """Combine masks by AND: a query may attend where every mask allows it.

    Args:
        *masks: bool tensors that broadcast to one another; None stands for "everything is allowed".

    Returns:
        the combined bool tensor, or None if every mask is None.

    Raises:
        TypeError: if a mask is not bool.
    """
    combined = None
    for mask in masks:
        if mask is None:
            continue
        check_mask_dtype(mask)
        combined = mask if combined is None else combined & mask
    return combined
