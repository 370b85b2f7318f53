"""What every picture of attention weights needs: one sequence's heads, numbers that stay, tokens that fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def as_heads(weights: Any, what: str = "weights") -> np.ndarray:
    """Bring weights into the shape (H, Q, K).

    Args:
        weights: (Q, K), (H, Q, K) or (1, H, Q, K); or a list of such, one for each step of a cached decoding, whose
            rows are joined. Keys that came after a step have weight 0 there.
        what: what to call them in an error.

    Raises:
        ValueError: if the shape is another one, or the numbers cannot be attention weights.
    """
    if isinstance(weights, (list, tuple)) and weights and all(isinstance(step, Tensor) for step in weights):
        num_keys = max(step.size(-1) for step in weights)
        weights = torch.cat([F.pad(step, (0, num_keys - step.size(-1))) for step in weights], dim=-2)
    values = torch.as_tensor(weights).detach().cpu().double()
    shape = tuple(values.shape)
    if values.dim() == 4 and values.size(0) > 1:
        raise ValueError(f"{what} of shape {shape} hold {shape[0]} sequences: pass one of them, such as weights[0]")
    if values.dim() not in (2, 3, 4):
        raise ValueError(f"{what} must have shape (Q, K), (H, Q, K) or (1, H, Q, K), got {shape}")
    if not values.numel():
        raise ValueError(f"{what} of shape {shape} hold no numbers")
    if not values.isfinite().all():
        raise ValueError(f"{what} hold NaN or infinity: look for a query whose keys are all masked with -inf")
    if values.min() < -1e-2 or values.max() > 1 + 1e-2:  # bfloat16 may overshoot 1 a little
        raise ValueError(
            f"{what} must lie between 0 and 1, got {values.min():.3g} to {values.max():.3g}: "
            "pass the weights after the softmax, not the scores"
        )
    return values.reshape(-1, *shape[-2:]).numpy()


def hundredths(values: np.ndarray) -> np.ndarray:
    """Round weights to whole hundredths, so that a re-run shows the same digits.

    Halves such as 1/8 = 0.125 do occur, and a sum in another order moves them by 1e-8 to either side. So the line
    between two numbers is drawn a little below the half.
    """
    return np.floor(values * 100 + 0.501).astype(int)


def check_tokens(
    shape: tuple[int, ...], query_tokens: Sequence[str], key_tokens: Sequence[str], what: str = "weights"
) -> None:
    """Refuse tokens that are not strings, as many as the rows (queries) and columns (keys) of a matrix (..., Q, K)."""
    sides = [("rows", shape[-2], "query", query_tokens), ("columns", shape[-1], "key", key_tokens)]
    for side, count, kind, tokens in sides:
        if isinstance(tokens, str):
            raise TypeError(f"{kind} tokens must be a list of strings, got the string {tokens!r}: split it first")
        if not isinstance(tokens, Sequence):  # an array or a tensor has no truth value of its own
            got = type(tokens).__name__
            raise TypeError(
                f"{kind} tokens must be a list of strings, got {got}: pass list(tokens), or tokens.tolist()"
            )
        for token in tokens:
            if not isinstance(token, str):
                got = f"{token!r} ({type(token).__name__})"
                raise TypeError(
                    f"{kind} tokens must be strings, got {got}: tokenizer.tokens(ids) turns ids into strings"
                )
        if len(tokens) != count:
            were = "token was" if len(tokens) == 1 else "tokens were"
            raise ValueError(f"{what} have {count} {side} but {len(tokens)} {kind} {were} given")
