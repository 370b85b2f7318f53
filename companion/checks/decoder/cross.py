"""Wrong decoder layers: what goes wrong in cross-attention.

Shapes: B batch, T target length, S source length, D d_model; x is (B, T, D), memory (B, S, D), and a memory mask
broadcasts to (B, H, T, S).
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from companion.attention import scaled_dot_product_attention
from companion.checks.decoder.masked import CROSS, LAYER, MASKS, WRONG, Mask, ones, restrict
from companion.checks.encoder.layer import nan_where_empty
from companion.checks.engine.bank import Bank
from companion.multi_head import merge_heads, split_heads

CROSS_BUGS = Bank(part="cross", section=CROSS)


def _attend(self: Any, query: Tensor, key: Tensor, value: Tensor, mask: Mask) -> Tensor:
    """Attend with the weights of cross_attention, whatever query, key and value come from."""
    attention = self.cross_attention
    heads = attention.num_heads
    queries = split_heads(attention.q_proj(query), heads)
    keys, values = split_heads(attention.k_proj(key), heads), split_heads(attention.v_proj(value), heads)
    out: Tensor = attention.out_proj(merge_heads(scaled_dot_product_attention(queries, keys, values, mask)))
    return out


@CROSS_BUGS.bug(
    "From what do the keys and values of cross-attention come?",
    also=(
        lambda self, x, memory, memory_mask: self.cross_attention(x, x, memory_mask),
        lambda self, x, memory, memory_mask: self.cross_attention(x, causal=True),
    ),
)
def memory_ignored(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    """Cross-attention does not look at the memory: it is a second self-attention."""
    return self.cross_attention(x)


@CROSS_BUGS.bug(
    "How many tokens should the output have, those of the target or those of the source?",
    also=(lambda self, x, memory, memory_mask: self.cross_attention(memory, x),),
)
def query_and_memory_swapped(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    """Query and memory are swapped in cross-attention. The queries should come from the decoder, keys and values
    from the memory; yours only fits where both have the same length.
    """
    return self.cross_attention(memory, x, memory_mask)


@CROSS_BUGS.bug(
    "Who is asking: the target or the source?",
    also=(lambda self, x, memory, memory_mask: self.cross_attention(memory),),
)
def queries_from_the_memory(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    """The queries of cross-attention come from the memory as well; they come from the decoder."""
    return self.cross_attention(memory, memory, memory_mask)


@CROSS_BUGS.bug("Which tokens are being looked at? It only fits where both have the same length.")
def keys_from_the_decoder(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    """The keys of cross-attention come from the decoder; keys and values both come from the memory."""
    return _attend(self, x, x, memory, memory_mask)


@CROSS_BUGS.bug("Of what is the output a weighted mean? It only fits where both have the same length.")
def values_from_the_decoder(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    """The values of cross-attention come from the decoder; keys and values both come from the memory."""
    return _attend(self, x, memory, x, memory_mask)


@CROSS_BUGS.bug(
    "Which rule keeps a target token from a source token?",
    section=WRONG,
    also=(
        lambda self, x, memory, mask: self.cross_attention(x, memory, restrict(mask, ones(x, memory).tril())),
        lambda self, x, memory, mask: self.cross_attention(x, memory, ones(x, memory).tril()),
        lambda self, x, memory, mask: self.cross_attention(x, memory, causal=True),
    ),
)
def causal_cross_attention(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    """Cross-attention is causal: the whole source is known, so every target token may look at all of it."""
    return self.cross_attention(x, memory, memory_mask, causal=True)


@CROSS_BUGS.bug("Where in your forward is memory_mask passed on?")
def memory_mask_ignored(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    """memory_mask is ignored: target tokens look at the padding of the source."""
    return self.cross_attention(x, memory)


@CROSS_BUGS.bug(
    "What does True mean in the mask, and what in the code that you pass it to?",
    section=MASKS,
    also=(
        lambda self, x, memory, mask: nan_where_empty(
            self.cross_attention(x, memory, None if mask is None else ~mask),
            ones(x, memory) if mask is None else ~mask,
        ),
    ),
)
def memory_mask_inverted(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    """memory_mask is inverted. In this course True means 'may attend'."""
    return self.cross_attention(x, memory, None if memory_mask is None else ~memory_mask)


@CROSS_BUGS.bug("Change one item of the batch: does another move?", section=WRONG)
def cross_attention_over_the_batch(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    """Cross-attention runs over the items of the batch instead of the tokens."""
    return self.cross_attention(x.transpose(0, 1), memory.transpose(0, 1), memory_mask).transpose(0, 1)


@CROSS_BUGS.bug("Which of the two attentions do you call second?", section=LAYER)
def self_attention_weights_in_cross_attention(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    """Cross-attention uses the weights of self_attention; it has its own."""
    return self.self_attention(x, memory, memory_mask)


@CROSS_BUGS.bug(
    "How many keys should there be when the source has 7 tokens?",
    also=(lambda self, x, memory, memory_mask: self.cross_attention(x, torch.cat([memory, x], dim=1)),),
)
def target_joins_the_memory(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    """Cross-attention looks at the target and the memory together; its keys and values come from the memory alone."""
    return self.cross_attention(x, torch.cat([x, memory], dim=1))


@CROSS_BUGS.bug("Which of the two goes into the scores, and which is averaged with the weights?")
def keys_and_values_swapped(self: Any, x: Tensor, memory: Tensor, memory_mask: Mask) -> Tensor:
    """Keys and values are swapped in cross-attention: k_proj makes what is averaged, v_proj what the queries are
    compared with.
    """
    swapped = copy.copy(self.cross_attention)
    swapped._modules = {**swapped._modules, "k_proj": swapped.v_proj, "v_proj": swapped.k_proj}
    out: Tensor = swapped(x, memory, memory_mask)
    return out
