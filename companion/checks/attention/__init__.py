"""Checks of chapter *attention*: `attention`, `attention_weights` and `masked_softmax`."""

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks.attention.masked_softmax import MASKED_SOFTMAX
from companion.checks.attention.masks import MASK_BUGS
from companion.checks.attention.probes import make_probes, make_probes_without_value
from companion.checks.attention.right import build_attention, build_weights
from companion.checks.attention.scores import SCORES_BUGS, VALUE_BUGS
from companion.checks.attention.softmax import OUTPUT_BUGS, SOFTMAX_BUGS
from companion.checks.attention.weights import CAPTION, facts_of_weights, fill_of, of_large_scores, scale_of
from companion.checks.engine.bank import section
from companion.checks.engine.check import Check
from companion.checks.engine.evidence import Call, Evidence
from companion.checks.engine.handed_in import FunctionForm
from companion.checks.engine.probe import Probe
from companion.checks.engine.properties import Run, right_run
from companion.checks.engine.report import Table

_MOVED = 1e-4
_LARGE = 3  # the probe with large scores


def _look(check: Check, call: Call) -> Evidence:
    """Say what is odd about the weights under a causal mask: sums, signs, leaks, influence."""
    weights = _look_at_weights([_of_weights(check, call, probe) for probe in check.core])
    if "value" not in check.form.parameters or any(any(map(any, table.wrong)) for table in weights.tables):
        return weights
    # The weights do not show it; what moves what may.
    return Evidence(weights.facts, [*_influence_table(check, call), *weights.tables], weights.measured)


def _look_at_weights(runs: list[Run]) -> Evidence:
    causal = runs[1]
    weights = causal.maybe({})
    if weights is None:
        return Evidence()
    facts = facts_of_weights(weights, causal.inputs["mask"]) + _influences(causal)
    tables = [Table.compare(CAPTION, weights[0, 0], causal.right[0, 0])]
    return Evidence(facts, tables, _measure(causal, large=runs.pop(_LARGE), others=runs))


def _of_weights(check: Check, call: Call, probe: Probe) -> Run:
    """Return a run that gives the weights: with the identity for values, they are the output."""
    if "value" not in probe.inputs:
        return Run(check, call, probe)
    key = probe.inputs["key"]
    return Run(check, call, probe, {"value": torch.eye(key.size(-2), dtype=key.dtype).expand(*key.shape[:-2], -1, -1)})


def _influence_table(check: Check, call: Call) -> list[Table]:
    """Draw how far each output moves when a token's key and value are changed."""
    probe = check.core[1]
    yours = _influence(Run(check, call, probe))
    right = check.once(lambda: _influence(right_run(check, probe)), "influence", probe.name)
    if yours is None or right is None:
        return []
    caption = "How far output t moves when key and value s are changed (t down, s across)"
    return [Table.compare(caption, yours, right)]


def _influence(run: Run) -> Tensor | None:
    columns = []
    for token in range(run.inputs["key"].size(2)):
        changed = {name: run.inputs[name].clone() for name in ("key", "value")}
        for x in changed.values():
            x[:, :, token] *= -2.0
        far = run.far(changed)
        if far is None:
            return None
        columns.append(far[0, 0])
    return torch.stack(columns, dim=1)


def _measure(causal: Run, large: Run, others: list[Run]) -> list[str]:
    """Read off the weights with what the scores were scaled and the hidden ones filled, and what large ones do."""
    query, key, mask = (causal.inputs[name] for name in ("query", "key", "mask"))
    facts = []
    everything = causal.maybe({"mask": torch.ones_like(mask)})
    if everything is not None:
        facts += scale_of(everything, query, key)
    facts += fill_of(causal.yours, query, key, mask)
    with_large_scores, usual = large.maybe({}), [other.maybe({}) for other in others]
    if with_large_scores is not None and all(
        weights is not None and (weights.sum(-1) - 1).abs().max() < _MOVED for weights in usual
    ):
        facts += of_large_scores(with_large_scores)
    return facts


def _influences(run: Run) -> list[str]:
    """Change one input at a time and see what moves that should not."""
    every = slice(None)
    changes = (
        ((every, every, -1), (every, every, 0), "Changing the last key moves query 0, which may not attend to it."),
        ((1,), (0,), "Changing the second item of the batch moves the first."),
        ((every, 1), (every, 0), "Changing the second head moves the first."),
    )
    facts = []
    for place, watched, sentence in changes:
        changed = run.inputs["key"].clone()
        changed[place] *= -2.0
        far = run.far({"key": changed})
        if far is not None and far[watched].max() > _MOVED:
            facts.append(sentence)
    return facts


_SECTION = section("attention", "As matrices")
_WEIGHT_BUGS = (*SCORES_BUGS, *MASK_BUGS, *SOFTMAX_BUGS)

ATTENTION = Check(
    name="attention",
    expects="""
    ``fn(query, key, value, mask)``, which computes scaled dot-product attention.

    The inputs are query (B, H, Q, D), key (B, H, K, D), value (B, H, K, V) and a bool mask, True = may attend,
    that broadcasts to (B, H, Q, K). The function returns the output (B, H, Q, V), or the output and the weights.
    If mask has a default, it is also called without it. A query that may attend to nothing should get zeros; NaN
    there is a warning. Values may be off by 1e-4 of the largest one, so that float32 passes.
    """,
    form=FunctionForm("query", "key", "value", "mask"),
    kind="float",
    right=build_attention({}),
    make_probes=make_probes,
    bank=(*_WEIGHT_BUGS, *OUTPUT_BUGS, *VALUE_BUGS),
    section=_SECTION,
    build=build_attention,
    look=_look,
)

ATTENTION_WEIGHTS = Check(
    name="attention_weights",
    expects="""
    ``fn(query, key, mask)``, which returns the attention weights (B, H, Q, K).
    """,
    form=FunctionForm("query", "key", "mask"),
    kind="tensor",
    right=build_weights({}),
    make_probes=make_probes_without_value,
    bank=_WEIGHT_BUGS,
    section=_SECTION,
    build=build_weights,
    look=_look,
)

__all__ = ["ATTENTION", "ATTENTION_WEIGHTS", "MASKED_SOFTMAX"]
