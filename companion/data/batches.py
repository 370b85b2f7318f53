"""Batches: sequences of like length side by side, padded to the longest among them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Padded ids: source (B, S) ending with eos, target (B, T) beginning with bos and ending with eos."""

    source_ids: Tensor
    target_ids: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """Move both to a device."""
        return Batch(self.source_ids.to(device), self.target_ids.to(device))


def pad_batch(sequences: Sequence[Sequence[int]], pad_id: int) -> Tensor:
    """Fill sequences of ids on the right to the length of the longest: int64 (B, L).

    Raises:
        ValueError: if there is no sequence.
    """
    if not sequences:
        raise ValueError("a batch needs at least one sequence")
    length = max(map(len, sequences))
    return torch.tensor([[*ids, *[pad_id] * (length - len(ids))] for ids in sequences], dtype=torch.long)


def length_bucketed_batches(
    encoded: Sequence[tuple[Sequence[int], Sequence[int]]], batch_size: int, pad_id: int, seed: int
) -> Iterator[Batch]:
    """Go once through all pairs, in batches of like length, in an order that the seed decides.

    Pairs are shuffled, sorted by length within pools of 20 batches, and the batches of a pool shuffled again: little
    padding, and still a different mixture each time.

    Args:
        encoded: pairs of ids; targets begin with bos.
        batch_size: sequences in a batch; the last may have fewer.
        pad_id: what fills short sequences.
        seed: decides the order.
    """
    rng = random.Random(seed)
    order = list(range(len(encoded)))
    rng.shuffle(order)
    pool = 20 * batch_size
    for start in range(0, len(order), pool):
        by_length = sorted(order[start : start + pool], key=lambda i: (len(encoded[i][1]), len(encoded[i][0])))
        batches = [by_length[i : i + batch_size] for i in range(0, len(by_length), batch_size)]
        rng.shuffle(batches)
        for batch in batches:
            sources, targets = zip(*(encoded[i] for i in batch), strict=True)
            yield Batch(pad_batch(sources, pad_id), pad_batch(targets, pad_id))
