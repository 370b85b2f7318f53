"""Errors about shapes, dtypes and masks, in words: what came, what was expected, what to do."""

from __future__ import annotations

import torch
from torch import Tensor

IMPLEMENTATIONS = ("fused", "reference")


def check_divisible(total_name: str, total: int, part_name: str, part: int) -> int:
    """Return ``total // part``, or say in a `ValueError` that it does not come out even."""
    if part <= 0 or total % part:
        raise ValueError(
            f"{total_name} ({total}) must be divisible by {part_name} ({part}): every head gets an equal share"
        )
    return total // part


def check_even(name: str, features: int) -> None:
    """Refuse an odd number of features where they are taken in pairs."""
    if features % 2:
        raise ValueError(f"{name} ({features}) must be divisible by 2: positions are pairs of a sine and a cosine")


def check_features(x: Tensor, d_model: int, name: str) -> None:
    """Refuse a tensor whose last dimension is not `d_model`."""
    if x.size(-1) != d_model:
        raise ValueError(f"{name} has shape {tuple(x.shape)}: its last dimension must be d_model ({d_model})")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def check_length(length: int, max_len: int) -> None:
    """Refuse a sequence longer than the table of positions, or the buffer, was made for."""
    if length > max_len:
        raise ValueError(f"a sequence of {length} tokens does not fit max_len ({max_len}): raise max_len or shorten it")


def check_ids(side: str, token_ids: Tensor, vocab_size: int) -> None:
    """Refuse what are not token ids (B, L), or not all of the vocabulary of that side, "source" or "target".

    The ids themselves are looked at on the CPU only: a GPU would have to be waited for. There an id outside the
    vocabulary ends in a device-side assert that names none; the same call on the CPU says which.
    """
    if not isinstance(token_ids, Tensor):
        got = type(token_ids).__name__
        raise TypeError(f"{side}_ids must be a tensor of integers, got {got}: pass torch.as_tensor({side}_ids)")
    if token_ids.dim() != 2 or token_ids.dtype not in (torch.int64, torch.int32):
        raise ValueError(
            f"{side}_ids must be int64 or int32 integers of shape (batch, length), "
            f"got {token_ids.dtype} {tuple(token_ids.shape)}"
        )
    if token_ids.device.type != "cpu" or torch.compiler.is_compiling():
        return
    outside = (token_ids < 0) | (token_ids >= vocab_size)
    if outside.any():
        row, position = outside.nonzero()[0].tolist()
        raise ValueError(
            f"{side}_ids[{row}, {position}] is {token_ids[row, position]}, which is not in the {side} vocabulary of "
            f"{vocab_size} tokens, 0 to {vocab_size - 1}: make the model with a larger {side}_vocab_size, "
            "or fill what is to be left out with its pad_id"
        )


def check_batch(first_name: str, first: Tensor, second_name: str, second: Tensor) -> None:
    """Refuse two tensors that do not hold as many sequences: a single one would be stretched in silence."""
    if first.size(0) != second.size(0):
        raise ValueError(
            f"{first_name} and {second_name} must have the same batch size, got {first.size(0)} and {second.size(0)} "
            f"(shapes {tuple(first.shape)} and {tuple(second.shape)}): expand the one that is to serve for all"
        )


def check_mask_dtype(mask: Tensor, hint: str = "") -> None:
    """Refuse a mask that is not a bool tensor: libraries disagree about what a number in a mask means."""
    if isinstance(mask, Tensor) and mask.dtype == torch.bool:
        return
    if isinstance(mask, Tensor):
        got, first = str(mask.dtype).removeprefix("torch."), ""
    else:
        got, first = type(mask).__name__, "for an array or a list pass torch.as_tensor(mask), "
    raise TypeError(
        f"a mask must be a bool tensor in which True means 'may attend', got {got}; {first}"
        "for ones and zeros (1 = may attend) pass mask.bool(), "
        f"for a float mask of zeros and -inf pass mask == 0{hint}"
    )


def check_mask(mask: Tensor, scores: tuple[int, ...]) -> None:
    """Refuse a mask that is not bool, or that does not broadcast to the shape of the scores, (..., Q, K)."""
    check_mask_dtype(mask)
    try:
        fits = torch.broadcast_shapes(mask.shape, scores) == scores
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(
            f"a mask of shape {tuple(mask.shape)} does not broadcast to the scores' shape {tuple(scores)}, "
            "which ends with (query length, key length)"
        )


def check_attention_inputs(query: Tensor, key: Tensor, value: Tensor | None, mask: Tensor | None) -> None:
    """Check that queries, keys, values and the mask fit together; see `companion.attention` for the shapes."""
    if query.size(-1) != key.size(-1):
        raise ValueError(
            f"query and key must have the same last dimension d_k, got {query.size(-1)} and {key.size(-1)} "
            f"(shapes {tuple(query.shape)} and {tuple(key.shape)})"
        )
    if value is not None and value.size(-2) != key.size(-2):
        raise ValueError(
            f"there must be one value for each key, got {key.size(-2)} keys and {value.size(-2)} values "
            f"(shapes {tuple(key.shape)} and {tuple(value.shape)})"
        )
    shapes = [tuple(tensor.shape) for tensor in (query, key, value) if tensor is not None]
    batch = shapes[0][:-2]
    if any(shape[:-2] != batch for shape in shapes):  # seldom, and asking torch takes longer than looking
        try:
            torch.broadcast_shapes(*(shape[:-2] for shape in shapes))
        except RuntimeError:
            names = "query, key and value" if value is not None else "query and key"
            raise ValueError(f"the batches and heads of {names} must broadcast, got shapes {shapes}") from None
        batch = torch.broadcast_shapes(*(shape[:-2] for shape in shapes[:2]))
    if mask is not None:
        check_mask(mask, (*batch, query.size(-2), key.size(-2)))
