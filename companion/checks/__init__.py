"""Checks that an assignment calls: they say what is wrong.

``from companion import check``, then ``check.attention(my_attention)``. A check that passes returns a `Report`;
one that fails raises `CheckFailed`, which carries the report, or returns it with ``raises=False``. The package
never imports this one: nothing here takes part in a model.
"""

from companion.checks._report import CheckFailed, Report
from companion.checks._spec import Bug, Check
from companion.checks.additive import ADDITIVE_ATTENTION, additive_attention
from companion.checks.attention import ATTENTION, ATTENTION_WEIGHTS, attention, attention_weights
from companion.checks.generation import GREEDY, greedy
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
        RNN_CELL,
        GRU_CELL,
        SPLIT_HEADS,
        MERGE_HEADS,
        MULTI_HEAD,
        POSITIONAL,
        ROTARY,
    )
}
"""Every check by name, with its probes and its bank of bugs."""

__all__ = [
    "CHECKS",
    "Bug",
    "Check",
    "CheckFailed",
    "Report",
    "additive_attention",
    "attention",
    "attention_weights",
    "causal_mask",
    "combine_masks",
    "greedy",
    "gru_cell",
    "loss",
    "merge_heads",
    "multi_head",
    "padding_mask",
    "positional",
    "rnn_cell",
    "rotary",
    "schedule",
    "split_heads",
]
