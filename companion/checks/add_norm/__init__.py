"""Checks of chapter *add_norm*: `layer_norm` and `add_norm`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from companion.checks.add_norm import norm as bank
from companion.checks.add_norm import residual
from companion.checks.add_norm.order import ORDER_BUGS
from companion.checks.add_norm.statistics import STATISTICS_BUGS
from companion.checks.engine.check import Check
from companion.checks.engine.classes import ClassForm
from companion.checks.engine.evidence import Call, Evidence
from companion.checks.engine.probe import Probe
from companion.checks.engine.properties import (
    Run,
    other_item,
    perturbed,
    token_statistics,
    tokens_meet,
    unused,
)
from companion.checks.engine.report import Table

_LAYER_NORM = ClassForm(bank.RightLayerNorm, sizes=("d_model",), inputs=("x",))
_ADD_NORM = ClassForm(residual.RightAddNorm, sizes=("d_model",), inputs=("x", "sublayer"))


def make_layer_norm_probes(seed: int = 20160721) -> tuple[Probe, ...]:
    """Return the probes: one has a token with a tiny variance, where it shows how epsilon is used."""
    generator = torch.Generator().manual_seed(seed)

    def probe(name: str, batch: int, length: int, d_model: int, spread: float = 1.0) -> Probe:
        x = torch.randn(batch, length, d_model, generator=generator).double() + 0.5
        x[0, 0] = x[0, 0, 0] + (x[0, 0] - 0.5) * spread
        return _LAYER_NORM.probe(name, {"d_model": d_model}, {"x": x}, generator)

    return (
        probe("a batch of sequences", 2, 5, 7),
        probe("features that are almost alike", 3, 2, 11, spread=2**-9),
        probe("as many tokens as features", 3, 5, 5),
        _fresh({"d_model": 7, "x": torch.randn(2, 5, 7, generator=generator).double() + 0.5}),
    )


def make_add_norm_probes(seed: int = 20151210) -> tuple[Probe, ...]:
    """Return the probes: in one the sum's features are almost alike, so that the norm hides no factor."""
    generator = torch.Generator().manual_seed(seed)

    def sublayer(d_model: int, spread: float) -> Callable[[Tensor], Tensor]:
        weight = torch.randn(d_model, d_model, generator=generator)

        def apply(x: Tensor) -> Tensor:  # mixes features and tokens, and is not linear
            return torch.tanh(x @ weight.to(x) + 0.5 * x.roll(1, dims=1)) * spread

        return apply

    def inputs(batch: int, length: int, d_model: int, spread: float = 1.0) -> dict[str, Any]:
        x = torch.randn(batch, length, d_model, generator=generator).double() * spread + 0.5
        return {"x": x, "sublayer": sublayer(d_model, spread)}

    def probe(name: str, batch: int, length: int, d_model: int, spread: float = 1.0) -> Probe:
        sizes = {"d_model": d_model}
        return _ADD_NORM.probe(name, sizes, inputs(batch, length, d_model, spread), generator)

    return (
        probe("a batch of sequences", 2, 5, 7),
        probe("features that are almost alike", 3, 2, 11, spread=2**-9),
        probe("as many tokens as features", 3, 5, 5),
        _fresh({"d_model": 7, **inputs(2, 5, 7)}),
    )


def _fresh(inputs: dict[str, Any]) -> Probe:
    """Return a probe that gives no parameters: those that a layer begins with are judged."""
    name = "a fresh layer, which should begin with weight 1 and bias 0"
    return Probe(name, inputs, edge_warning="The output of a fresh layer is not finite: how do weight and bias begin?")


def _look_at_layer_norm(check: Check, call: Call) -> Evidence:
    """Say what the tokens' statistics are, and which tokens move one another."""
    probe = check.core[0]
    run = Run(check, call, probe)
    yours = run.yours
    facts = other_item(run)
    if run.moves({"x": perturbed(probe.inputs["x"], 0, slice(1, None))}, 0, 0):
        facts.append("Changing the other tokens moves token 0; each token is normalised by itself.")
    facts += token_statistics(run, "")
    facts += unused(run, ("weight", "bias"))
    tables = [Table.compare("Normalised features, rows are tokens", yours[0], run.right[0])]
    return Evidence(facts, tables + tokens_meet(run))


def _look_at_add_norm(check: Check, call: Call) -> Evidence:
    """Say what the sublayer was given, what is left of x without it, and what the tokens' statistics are."""
    probe = check.core[0]
    run = Run(check, call, probe)
    x, given = probe.inputs["x"], []

    def spy(seen: Tensor) -> Tensor:
        given.append(seen.detach().double())
        result: Tensor = probe.inputs["sublayer"](seen)
        return result

    yours = run({"sublayer": spy})
    facts = []
    if len(given) != 1:
        facts.append(f"Your forward calls the sublayer {len(given)} times; it should call it once.")
    elif given[0].shape != x.shape or (given[0] - x).abs().max() > 1e-5:
        facts.append("The sublayer is not given x itself.")
    without = Run(check, call, probe, {"sublayer": torch.zeros_like})
    alone, expected = without.maybe({}), check.answer(without.inputs)
    if alone is not None and (alone - expected).abs().max() > 1e-3:
        facts.append(
            "With a sublayer that returns zeros your output does not depend on x; the residual connection should "
            "carry x."
            if without.moves({"x": x.flip(-1)}) is False
            else "With a sublayer that returns zeros your output is not norm(x)."
        )
    facts += token_statistics(run, "norm.")
    facts += other_item(run)
    facts += unused(run, ("norm.weight", "norm.bias"))
    return Evidence(facts, [Table.compare("Output, rows are tokens", yours[0], run.right[0])])


LAYER_NORM: Check = Check(
    name="layer_norm",
    expects="""
    ``cls(d_model)``, a module with parameters ``weight`` and ``bias`` (D,) that normalises x (B, L, D).

    Each token's features are brought to mean 0 and variance 1, with the variance divided by D and an epsilon of 1e-5
    inside the root, then multiplied by the weight; the bias is added. A fresh layer has weight 1 and bias 0. Values
    may be off by 1e-4 of the largest one.
    """,
    form=_LAYER_NORM,
    kind="tensor",
    right=bank.RightLayerNorm,
    make_probes=make_layer_norm_probes,
    bank=(*bank.LAYER_NORM_BUGS, *STATISTICS_BUGS),
    section=bank.BY_HAND,
    build=bank.build_layer_norm,
    look=_look_at_layer_norm,
)

ADD_NORM: Check = Check(
    name="add_norm",
    expects="""
    ``cls(d_model)``, a module that puts a residual connection and a layer norm around a sublayer.

    Its attribute ``norm`` is a layer norm, with parameters weight and bias (D,). Its forward takes x (B, L, D) and a
    sublayer, a function from (B, L, D) to (B, L, D), and returns norm(x + sublayer(x)): post-norm. Arguments as in
    `layer_norm`.
    """,
    form=_ADD_NORM,
    kind="float",
    right=residual.RightAddNorm,
    make_probes=make_add_norm_probes,
    bank=(*ORDER_BUGS, *residual.ADD_NORM_BUGS),
    section=bank.RESIDUAL,
    build=residual.build_add_norm,
    look=_look_at_add_norm,
)
