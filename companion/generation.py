"""Generation: one token after another, each fed back to predict the next.

Training predicts all positions at once; generation cannot, since each token depends on those before it. A cache
keeps the keys and values of earlier tokens, so that each step computes one position only. Chapter *generation*.

Shapes: B batch, S source length, T generated length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from companion._config import check_tokenizers
from companion._shapes import check_length
from companion.data import Tokenizer, pad_batch
from companion.transformer import Transformer


class HasTokenizers(Protocol):
    """A tokenizer for each side: a `TranslationTask`, or a loaded `Checkpoint`."""

    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put `model` into eval mode without gradients, and back into its own mode afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def greedy_decode(
    model: Transformer, source_ids: Tensor, max_len: int | None = None, *, use_cache: bool = True
) -> Tensor:
    """Translate by taking the most likely token each time.

    Every sequence stops on its own: after its eos comes nothing but pad.

    Args:
        model: decodes in eval mode, and is left in the mode it was in.
        source_ids: (B, S) integers, padded on the right.
        max_len: stop after this many tokens; the model's max_len if not given.
        use_cache: compute each position once; without, all positions again at every step. The ids are the same.

    Returns:
        (B, T) ids, without bos.

    Raises:
        ValueError: if `max_len` is less than 1 or more than the model's.
    """
    config = model.config
    max_len = config.max_len if max_len is None else max_len
    if max_len < 1:
        raise ValueError(f"max_len must be at least 1, got {max_len}")
    check_length(max_len, config.max_len)
    with evaluating(model):
        memory, memory_mask = model.encode(source_ids), model.source_mask(source_ids)
        cache = model.make_cache(memory, max_len) if use_cache else None
        ids = source_ids.new_full((source_ids.size(0), 1), config.bos_id)
        finished = torch.zeros_like(ids, dtype=torch.bool)
        while ids.size(1) <= max_len and not finished.all():
            new = ids if cache is None else ids[:, -1:]
            logits = model.decode(new, memory, memory_mask, cache)[:, -1]  # (B, V)
            next_ids = logits.argmax(dim=-1, keepdim=True).masked_fill(finished, config.pad_id)  # (B, 1)
            finished |= next_ids == config.eos_id
            ids = torch.cat([ids, next_ids], dim=1)
    return ids[:, 1:]


def translate(
    model: Transformer, tokenizers: HasTokenizers, texts: Sequence[str], *, batch_size: int = 256
) -> list[str]:
    """Translate texts greedily. A text with nothing in it becomes an empty text, whatever the model would write.

    Args:
        model: the trained model.
        tokenizers: whatever has a `source_tokenizer` and a `target_tokenizer`.
        texts: sentences of the source language.
        batch_size: how many to decode at a time.

    Raises:
        ValueError: if a text is longer than the model's max_len, `batch_size` is less than 1, or the model was made
            for other tokenizers.
        TypeError: if `texts` is a single string.
    """
    if isinstance(texts, str):
        raise TypeError(f"texts must be a list of strings, got one string: pass [{texts!r}]")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    check_tokenizers(model.config, tokenizers)
    device = next(model.parameters()).device
    encoded = tokenizers.source_tokenizer.encode_batch(texts)
    filled = [i for i, ids in enumerate(encoded) if len(ids) > 1]  # with more than an eos
    by_length = sorted(filled, key=lambda i: len(encoded[i]))  # little padding
    translations = [""] * len(texts)
    for start in range(0, len(by_length), batch_size):
        rows = by_length[start : start + batch_size]
        source_ids = pad_batch([encoded[i] for i in rows], model.config.pad_id).to(device)
        for i, ids in zip(rows, greedy_decode(model, source_ids).tolist(), strict=True):
            translations[i] = tokenizers.target_tokenizer.decode(ids)
    return translations


def exact_match(model: Transformer, tokenizers: HasTokenizers, pairs: Sequence[tuple[str, str]]) -> float:
    """Return the share of pairs, 0 to 1, that the model translates without any mistake.

    Raises:
        ValueError: if there are no pairs.
    """
    if not pairs:
        raise ValueError("exact_match needs at least one pair")
    translations = translate(model, tokenizers, [source for source, _ in pairs])
    targets = [tokenizers.target_tokenizer.normalise(target) for _, target in pairs]
    return sum(ours == target for ours, target in zip(translations, targets, strict=True)) / len(pairs)
