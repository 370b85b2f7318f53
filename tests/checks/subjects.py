"""What is handed to the checks: the companion's own functions and classes, each as its check expects it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import nn

PAD = 99
ENDS_AT_ONCE, PROBE, NEVER_ENDS = 1, 2, 3  # the sentences of the model below, by the id that stands for each


@dataclass(frozen=True)
class Subject:
    """A part of a module, and the check that it is handed to.

    Attributes:
        path: of the module.
        check: name of the check.
        ways: each takes the module and returns what the check is given; what is wrong may show in one way only.
    """

    path: str
    check: str
    ways: tuple[Callable[[ModuleType], Any], ...]

    @property
    def original(self) -> ModuleType:
        """The module as it is."""
        return importlib.import_module(self.path)


def _attention(implementation: str) -> Callable[[ModuleType], Any]:
    def hand_in(module: ModuleType) -> Any:
        def attention(query, key, value, mask=None):
            return module.scaled_dot_product_attention(query, key, value, mask, implementation=implementation)

        return attention

    return hand_in


def _attention_module(module: ModuleType) -> Any:
    def attention(query, key, value, mask=None):
        return module.ScaledDotProductAttention(0.5, implementation="reference").eval()(query, key, value, mask)

    return attention


def _token_by_token(module: ModuleType) -> Any:
    """Multi-head attention with a cache: one query after another, where the mask lets it and no gradient is asked."""

    class Cached(module.MultiHeadAttention):
        def forward(self, query, memory=None, mask=None):
            keys = (query if memory is None else memory).size(1)
            mask = mask if mask is None else mask.expand(*mask.shape[:-2], query.size(1), keys)
            ahead = memory is None and (mask is None or mask.triu(1).any())
            if ahead or query.requires_grad or self.q_proj.weight.requires_grad:
                return super().forward(query, memory, mask)
            cache = module.KVCache(query.size(0), self.num_heads, keys, self.head_dim, dtype=query.dtype)
            outputs = []
            for place in range(query.size(1)):
                seen = keys if memory is not None else place + 1
                row = mask if mask is None else mask[..., place : place + 1, :seen]
                outputs.append(super().forward(query[:, place : place + 1], memory, row, cache=cache))
            return torch.cat(outputs, dim=1)

    return Cached


def _added(module: ModuleType) -> Any:
    """Return the table that is added to a sequence, which comes in two pieces."""

    def positional(length, d_model):
        layer, x = module.SinusoidalPositionalEncoding(d_model, length), torch.full((1, length, d_model), 0.5)
        half = length // 2
        return torch.cat([layer(x[:, :half]), layer(x[:, half:], half)], dim=1)[0] - 0.5

    return positional


def _rotary(room: int) -> Callable[[ModuleType], Any]:
    def hand_in(module: ModuleType) -> Any:
        def rotary(x, start):
            return module.RotaryPositionalEmbedding(x.size(-1), start + x.size(-2) + room)(x, start)

        return rotary

    return hand_in


class _Model(nn.Module):
    """A translator with three sentences: one that ends at once, the probe's, and one that never ends.

    As a real model's, its logits depend on the memory and its mask, are random while it trains, and come from a cache
    with room for max_len tokens if it is given one.
    """

    def __init__(self, next_logits, bos_id, eos_id):
        super().__init__()
        self.next_logits = next_logits
        self.config = SimpleNamespace(bos_id=bos_id, eos_id=eos_id, pad_id=PAD, max_len=23)

    def encode(self, source_ids):
        return 0.5 * source_ids

    def source_mask(self, source_ids):
        return (source_ids != PAD)[:, None, None]

    def make_cache(self, memory, max_len):
        if not memory.is_floating_point():
            raise TypeError("a cache holds what the memory is made of")
        return SimpleNamespace(ids=memory.new_zeros(memory.size(0), 0).long(), max_len=max_len)

    def decode(self, target_ids, memory, memory_mask=None, cache=None):
        ids = target_ids
        if cache is not None:
            ids = cache.ids = torch.cat([cache.ids, target_ids], dim=1)
            if ids.size(1) > cache.max_len:
                raise ValueError("the cache is full")
        first = ids.size(1) - target_ids.size(1)
        sentences = (2 * memory).masked_fill(~memory_mask[:, 0, 0], 0.0).sum(dim=-1).tolist()
        logits = [
            torch.stack([self._logits(sentence, row[: end + 1]) for end in range(first, ids.size(1))])
            for sentence, row in zip(sentences, ids.tolist(), strict=True)
        ]
        noise = 10.0 if self.training else 0.0
        return torch.stack([row + noise * torch.randn_like(row) for row in logits])

    def _logits(self, sentence, ids):
        logits = self.next_logits(ids)
        if sentence == PROBE:
            return logits
        eos_id = self.config.eos_id
        likely = {ENDS_AT_ONCE: eos_id, NEVER_ENDS: (eos_id + 1) % len(logits)}
        return torch.arange(len(logits)).eq(likely[sentence]).float()


def _greedy(*sentences: int, use_cache: bool) -> Callable[[ModuleType], Any]:
    def hand_in(module: ModuleType) -> Any:
        def greedy(next_logits, bos_id, eos_id, max_len):
            source_ids = torch.tensor([[sentence, PAD] for sentence in sentences])
            model = _Model(next_logits, bos_id, eos_id)
            made = module.greedy_decode(model, source_ids, max_len, use_cache=use_cache)
            ids = made[sentences.index(PROBE)].tolist()
            while len(sentences) > 1 and ids and ids[-1] == PAD:  # fills up the batch after a sentence's end
                ids.pop()
            return ids

        return greedy

    return hand_in


def _layer_norm(implementation: str) -> Callable[[ModuleType], Any]:
    return lambda module: lambda d_model: module.LayerNorm(d_model, implementation=implementation)


def _add_norm(implementation: str) -> Callable[[ModuleType], Any]:
    def hand_in(module: ModuleType) -> Any:
        def make(d_model):
            layer = module.AddNorm(d_model)
            layer.norm.implementation = implementation
            return layer

        return make

    return hand_in


def _as_it_is(name: str) -> tuple[Callable[[ModuleType], Any], ...]:
    return (lambda module: getattr(module, name),)


SUBJECTS = (
    Subject("companion.attention", "attention", (_attention("reference"), _attention("fused"), _attention_module)),
    Subject("companion.attention", "attention_weights", _as_it_is("attention_weights")),
    Subject("companion.masks", "causal_mask", _as_it_is("causal_mask")),
    Subject("companion.masks", "padding_mask", _as_it_is("padding_mask")),
    Subject("companion.masks", "combine_masks", _as_it_is("combine_masks")),
    Subject("companion.multi_head", "split_heads", _as_it_is("split_heads")),
    Subject("companion.multi_head", "merge_heads", _as_it_is("merge_heads")),
    Subject("companion.multi_head", "multi_head", (*_as_it_is("MultiHeadAttention"), _token_by_token)),
    Subject("companion.add_norm", "layer_norm", (_layer_norm("reference"), _layer_norm("fused"))),
    Subject("companion.add_norm", "add_norm", (_add_norm("reference"), _add_norm("fused"))),
    Subject("companion.positional", "positional", (*_as_it_is("sinusoidal_encoding"), _added)),
    Subject("companion.positional", "rotary", (_rotary(room=0), _rotary(room=7))),
    Subject(
        "companion.generation",
        "greedy",
        (_greedy(PROBE, use_cache=True), _greedy(ENDS_AT_ONCE, PROBE, NEVER_ENDS, use_cache=False)),
    ),
    # The same as a learner writes it: one sentence, and lists for tensors.
    Subject("companion.checks.generation.greedy", "greedy", _as_it_is("right_greedy")),
)
