"""Wrong decoder layers: what goes wrong in cross-attention.

Shapes: B batch, T target length, S source length, D d_model; x is (B, T, D), memory (B, S, D), and a memory mask
broadcasts to (B, H, T, S).
"""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong method under it.

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from companion.attention import scaled_dot_product_attention
from companion.checks._spec import Bug, bug
from companion.checks.bank.decoder import CROSS, LAYER, MASKS, WRONG, Mask, ones, restrict
from companion.checks.bank.encoder_layer import nan_where_empty
from companion.multi_head import merge_heads, split_heads

CROSS_BUGS: list[Bug] = []


def _attend(self: Any, query: Tensor, key: Tensor, value: Tensor, mask: Mask) -> Tensor:
    """Attend with the weights of cross_attention, whatever query, key and value come from."""
    attention = self.cross_attention
    heads = attention.num_heads
    queries = split_heads(attention.q_proj(query), heads)
    keys, values = split_heads(attention.k_proj(key), heads), split_heads(attention.v_proj(value), heads)
    out: Tensor = attention.out_proj(merge_heads(scaled_dot_product_attention(queries, keys, values, mask)))
    return out


@bug(
    CROSS_BUGS,
    "Cross-attention does not look at the memory: it is a second self-attention.",
    hint="From what do the keys and values of cross-attention come?",
    section=CROSS,
    part="cross",
    also=(
        lambda self, x, memory, memory_mask: self.cross_attention(x, x, memory_mask),
        lambda self, x, memory, memory_mask: self.cross_attention(x, causal=True),
    ),
)
def memory_ignored(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    return self.cross_attention(x)


@bug(
    CROSS_BUGS,
    "Query and memory are swapped in cross-attention. The queries should come from the decoder, keys and values from "
    "the memory; yours only fits where both have the same length.",
    hint="How many tokens should the output have, those of the target or those of the source?",
    section=CROSS,
    part="cross",
    also=(lambda self, x, memory, memory_mask: self.cross_attention(memory, x),),
)
def query_and_memory_swapped(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    return self.cross_attention(memory, x, memory_mask)


@bug(
    CROSS_BUGS,
    "The queries of cross-attention come from the memory as well; they come from the decoder.",
    hint="Who is asking: the target or the source?",
    section=CROSS,
    part="cross",
    also=(lambda self, x, memory, memory_mask: self.cross_attention(memory),),
)
def queries_from_the_memory(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    return self.cross_attention(memory, memory, memory_mask)


@bug(
    CROSS_BUGS,
    "The keys of cross-attention come from the decoder; keys and values both come from the memory.",
    hint="Which tokens are being looked at? It only fits where both have the same length.",
    section=CROSS,
    part="cross",
)
def keys_from_the_decoder(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    return _attend(self, x, x, memory, memory_mask)


@bug(
    CROSS_BUGS,
    "The values of cross-attention come from the decoder; keys and values both come from the memory.",
    hint="Of what is the output a weighted mean? It only fits where both have the same length.",
    section=CROSS,
    part="cross",
)
def values_from_the_decoder(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    return _attend(self, x, memory, x, memory_mask)


@bug(
    CROSS_BUGS,
    "Cross-attention is causal: the whole source is known, so every target token may look at all of it.",
    hint="Which rule keeps a target token from a source token?",
    section=WRONG,
    part="cross",
    also=(
        lambda self, x, memory, mask: self.cross_attention(x, memory, restrict(mask, ones(x, memory).tril())),
        lambda self, x, memory, mask: self.cross_attention(x, memory, ones(x, memory).tril()),
        lambda self, x, memory, mask: self.cross_attention(x, memory, causal=True),
    ),
)
def causal_cross_attention(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    return self.cross_attention(x, memory, memory_mask, causal=True)


@bug(
    CROSS_BUGS,
    "memory_mask is ignored: target tokens look at the padding of the source.",
    hint="Where in your forward is memory_mask passed on?",
    section=CROSS,
    part="cross",
)
def memory_mask_ignored(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    return self.cross_attention(x, memory)


@bug(
    CROSS_BUGS,
    "memory_mask is inverted. In this course True means 'may attend'.",
    hint="What does True mean in the mask, and what in the code that you pass it to?",
    section=MASKS,
    part="cross",
    also=(
        lambda self, x, memory, mask: nan_where_empty(
            self.cross_attention(x, memory, None if mask is None else ~mask),
            ones(x, memory) if mask is None else ~mask,
        ),
    ),
)
def memory_mask_inverted(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    return self.cross_attention(x, memory, None if memory_mask is None else ~memory_mask)


@bug(
    CROSS_BUGS,
    "Cross-attention runs over the items of the batch instead of the tokens.",
    hint="Change one item of the batch: does another move?",
    section=WRONG,
    part="cross",
)
def cross_attention_over_the_batch(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    return self.cross_attention(x.transpose(0, 1), memory.transpose(0, 1), memory_mask).transpose(0, 1)


@bug(
    CROSS_BUGS,
    "Cross-attention uses the weights of self_attention; it has its own.",
    hint="Which of the two attentions do you call second?",
    section=LAYER,
    part="cross",
)
def self_attention_weights_in_cross_attention(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    return self.self_attention(x, memory, memory_mask)


@bug(
    CROSS_BUGS,
    "Cross-attention looks at the target and the memory together; its keys and values come from the memory alone.",
    hint="How many keys should there be when the source has 7 tokens?",
    section=CROSS,
    part="cross",
    also=(lambda self, x, memory, memory_mask: self.cross_attention(x, torch.cat([memory, x], dim=1)),),
)
def target_joins_the_memory(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    return self.cross_attention(x, torch.cat([x, memory], dim=1))


@bug(
    CROSS_BUGS,
    "Keys and values are swapped in cross-attention: k_proj makes what is averaged, v_proj what the queries are "
    "compared with.",
    hint="Which of the two goes into the scores, and which is averaged with the weights?",
    section=CROSS,
    part="cross",
)
def keys_and_values_swapped(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    swapped = copy.copy(self.cross_attention)
    swapped._modules = {**swapped._modules, "k_proj": swapped.v_proj, "v_proj": swapped.k_proj}
    out: Tensor = swapped(x, memory, memory_mask)
    return out
