"""The check `masked_softmax`: the step from scores to weights by itself; its bugs are attention's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from companion.checks.attention.masks import MASK_BUGS
from companion.checks.attention.probes import make_probes
from companion.checks.attention.right import RIGHT, right_scores
from companion.checks.attention.softmax import SOFTMAX_BUGS
from companion.checks.attention.weights import CAPTION, facts_of_weights
from companion.checks.engine.bank import section
from companion.checks.engine.check import Check
from companion.checks.engine.evidence import Call, Evidence
from companion.checks.engine.handed_in import FunctionForm
from companion.checks.engine.probe import Probe
from companion.checks.engine.properties import Run
from companion.checks.engine.report import Table


def build(parts: Mapping[str, Callable[..., Any]]) -> Callable[..., Tensor]:
    """Return ``fn(scores, mask)`` made of the given parts, the rest being right."""
    chosen = {**RIGHT, **parts}
    return lambda scores, mask: chosen["mask"](scores, mask, chosen["softmax"])


def make_probes_of_scores(seed: int = 20170612) -> tuple[Probe, ...]:
    """Return the probes of attention, with the scores for the queries and keys that they come from."""

    def scored(probe: Probe) -> Probe:
        scores = right_scores(probe.inputs["query"], probe.inputs["key"])
        gradients = ("scores",) if probe.gradients else ()
        return replace(probe, inputs={"scores": scores, "mask": probe.inputs["mask"]}, gradients=gradients)

    return tuple(scored(probe) for probe in make_probes(seed))


def _look(check: Check, call: Call) -> Evidence:
    run = Run(check, call, check.core[1])
    table = Table.compare(CAPTION, run.yours[0, 0], run.right[0, 0])
    return Evidence(facts_of_weights(run.yours, run.inputs["mask"]), [table])


MASKED_SOFTMAX = Check(
    name="masked_softmax",
    expects="""
    ``fn(scores, mask)``, which turns scores (B, H, Q, K) into attention weights of the same shape.

    The mask is bool, True = may attend, and broadcasts to the scores. If it has a default, the function is also called
    without it. A query that may attend to nothing should get zeros; NaN there is a warning.
    """,
    form=FunctionForm("scores", "mask"),
    kind="tensor",
    right=build({}),
    make_probes=make_probes_of_scores,
    bank=(*MASK_BUGS, *SOFTMAX_BUGS),
    section=section("attention", "As matrices"),
    build=build,
    look=_look,
)
