"""The check of chapter *additive*: `additive_attention`."""

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks.additive import bugs as bank
from companion.checks.attention.softmax import OUTPUT_BUGS
from companion.checks.attention.weights import CAPTION, NOTHING, OVERFLOW, facts_of_weights
from companion.checks.engine.check import Check
from companion.checks.engine.evidence import Call, Evidence
from companion.checks.engine.handed_in import FunctionForm
from companion.checks.engine.probe import Probe
from companion.checks.engine.properties import MOVED, Run
from companion.checks.engine.report import Table

_LARGE = 4  # the probe with large scores


def make_additive_probes(seed: int = 20140901) -> tuple[Probe, ...]:
    """Return the probes. Sizes differ, but for those that must agree for a bug to run at all."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        # Numbers that float32 holds exactly, so that a float32 run gets the same inputs.
        return torch.randn(shape, generator=generator).double()

    def inputs(
        batch: int, queries: int, keys: int, dims: tuple[int, int, int, int], mask: Tensor, spread: float = 1.0
    ) -> dict[str, Tensor]:
        query_dim, key_dim, d_v, hidden = dims
        return {
            "query": draw(batch, queries, query_dim),
            "key": draw(batch, keys, key_dim),
            "value": draw(batch, keys, d_v),
            "w_q": draw(hidden, query_dim) / 2,
            "w_k": draw(hidden, key_dim) / 2,
            "v": draw(hidden) * spread,
            "mask": mask,
        }

    everything = torch.ones(5, 7, dtype=torch.bool)
    padding = (torch.arange(5) < torch.tensor([5, 3, 2])[:, None])[:, None]
    some = torch.rand(11, 5, 7, generator=generator) < 0.3
    some[..., 0] |= ~some.any(dim=-1)  # each query may attend to something
    nothing = everything.clone()
    nothing[2] = False
    causal = torch.ones(5, 5, dtype=torch.bool).tril()
    names = ("query", "key", "value", "w_q", "w_k", "v")
    alike, apart = (11, 11, 13, 17), (3, 11, 13, 17)
    return (
        Probe("a mask that hides nothing", inputs(2, 5, 7, alike, everything), names),
        Probe("queries and keys of different sizes", inputs(2, 5, 7, apart, everything), names),
        Probe("a causal mask", inputs(3, 5, 5, (7, 7, 7, 7), causal), names),
        Probe("a padded batch", inputs(3, 7, 5, alike, padding), names),
        Probe("large scores", inputs(11, 5, 7, (11, 11, 3, 17), some, spread=100.0)),
        Probe("one item, one query", inputs(1, 1, 5, (7, 7, 3, 2), torch.ones(1, 5, dtype=torch.bool))),
        Probe("no mask", inputs(2, 5, 7, alike, everything), omit="mask", remedy="Without one nothing is hidden."),
        Probe(
            "a query that may attend to nothing",
            inputs(2, 5, 7, alike, nothing),
            edge_warning=NOTHING,
            remedy="All its weights should be 0, and its output with them.",
        ),
    )


def _look(check: Check, call: Call) -> Evidence:
    """Say what is odd about the weights under a causal mask: sums, leaks, and queries without influence."""
    probe = check.core[2]
    # With the identity for values, the output is the weights.
    run = Run(check, call, probe, {"value": torch.eye(5).double().expand(3, 5, 5)})
    inputs, weights = run.inputs, run.yours
    facts = facts_of_weights(weights, inputs["mask"])
    moved = run.far({"query": -2 * inputs["query"]})
    if moved is not None and moved.max() < MOVED:
        facts.append("Changing the queries moves none of your weights.")
    outputs = [call(**each.inputs) for each in check.core]
    bad = [number for number, output in enumerate(outputs) if output is not None and output.isnan().any()]
    measured = [OVERFLOW] if bad == [_LARGE] else []
    return Evidence(facts, [Table.compare(CAPTION, weights[0], run.right[0])], measured)


ADDITIVE_ATTENTION = Check(
    name="additive_attention",
    expects="""
    ``fn(query, key, value, w_q, w_k, v, mask)``, which computes additive attention.

    The inputs are query (B, Q, query_dim), key (B, K, key_dim), value (B, K, V), w_q (H, query_dim), w_k (H, key_dim),
    v (H,) and a bool mask, True = may attend, that broadcasts to (B, Q, K). The function returns the output (B, Q, V),
    or the output and the weights. If mask has a default, it is also called without it. A query that may attend to
    nothing should get zeros; NaN there is a warning. Values may be off by 1e-4 of the largest one.
    """,
    form=FunctionForm("query", "key", "value", "w_q", "w_k", "v", "mask"),
    kind="float",
    right=bank.build_additive({}),
    make_probes=make_additive_probes,
    bank=(*bank.ADDITIVE_BUGS, *bank.BORROWED_BUGS, *OUTPUT_BUGS),
    section=bank.SCORE,
    build=bank.build_additive,
    look=_look,
)
