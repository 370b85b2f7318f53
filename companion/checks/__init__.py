"""Checks that an assignment calls: they say what is wrong.

``from companion import check``, then ``check.attention(my_attention)``. A check that passes returns a `Report`;
one that fails raises `CheckFailed`, which carries the report, or returns it with ``raises=False``. The package
never imports this one: nothing here takes part in a model.
"""

from companion.checks._public import public
from companion.checks._report import CheckFailed, Report
from companion.checks._spec import Bug, Check, Probe, bug
from companion.checks.add_norm import ADD_NORM, LAYER_NORM, add_norm, layer_norm
from companion.checks.additive import ADDITIVE_ATTENTION, additive_attention
from companion.checks.attention import ATTENTION, ATTENTION_WEIGHTS, attention, attention_weights
from companion.checks.decoder import DECODER_LAYER, decoder_layer
from companion.checks.encoder import ENCODER_LAYER, FEED_FORWARD, encoder_layer, feed_forward
from companion.checks.generation import GREEDY, KV_CACHE, greedy, kv_cache
from companion.checks.masks import (
    CAUSAL_MASK,
    COMBINE_MASKS,
    PADDING_MASK,
    causal_mask,
    combine_masks,
    padding_mask,
)
from companion.checks.multi_head import (
    MERGE_HEADS,
    MULTI_HEAD,
    SPLIT_HEADS,
    merge_heads,
    multi_head,
    split_heads,
)
from companion.checks.positional import POSITIONAL, ROTARY, positional, rotary
from companion.checks.recurrent import GRU_CELL, RNN_CELL, gru_cell, rnn_cell
from companion.checks.training import LOSS, SCHEDULE, loss, schedule
from companion.checks.transformer import TRANSFORMER, transformer

# `check.attention` is the function; the module of that name is reached by `from companion.checks.attention import`.

CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        ADDITIVE_ATTENTION,
        ATTENTION,
        ATTENTION_WEIGHTS,
        CAUSAL_MASK,
        PADDING_MASK,
        COMBINE_MASKS,
        SCHEDULE,
        LOSS,
        GREEDY,
        KV_CACHE,
        RNN_CELL,
        GRU_CELL,
        SPLIT_HEADS,
        MERGE_HEADS,
        MULTI_HEAD,
        POSITIONAL,
        ROTARY,
        LAYER_NORM,
        ADD_NORM,
        FEED_FORWARD,
        ENCODER_LAYER,
        DECODER_LAYER,
        TRANSFORMER,
    )
}
"""Every check by name, with its probes and its bank of bugs."""

__all__ = [
    "CHECKS",
    "Bug",
    "Check",
    "CheckFailed",
    "Probe",
    "Report",
    "add_norm",
    "additive_attention",
    "attention",
    "attention_weights",
    "bug",
    "causal_mask",
    "combine_masks",
    "decoder_layer",
    "encoder_layer",
    "feed_forward",
    "greedy",
    "gru_cell",
    "kv_cache",
    "layer_norm",
    "loss",
    "merge_heads",
    "multi_head",
    "padding_mask",
    "positional",
    "public",
    "rnn_cell",
    "rotary",
    "schedule",
    "split_heads",
    "transformer",
]
