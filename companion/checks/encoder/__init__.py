"""Checks of chapter *encoder*: `feed_forward` and `encoder_layer`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from companion.checks.encoder import feed_forward as bank
from companion.checks.encoder import layer as layers
from companion.checks.encoder.around import AROUND_BUGS, EVERY_LAYER_BUGS
from companion.checks.encoder.linear import LINEAR_BUGS
from companion.checks.encoder.order import ORDER_BUGS
from companion.checks.encoder.parts import bugs_of_parts
from companion.checks.engine.check import Check
from companion.checks.engine.classes import ClassForm
from companion.checks.engine.evidence import Call, Evidence
from companion.checks.engine.probe import Probe
from companion.checks.engine.properties import (
    MOVED,
    Run,
    heads_ignored,
    influence_table,
    other_item,
    perturbed,
    token_statistics,
    tokens_meet,
    unused,
)
from companion.checks.engine.report import Table

_FEED_FORWARD = ClassForm(bank.RightFeedForward, sizes=("d_model", "d_ff"), inputs=("x",))
_ENCODER_LAYER = ClassForm(layers.RightEncoderLayer, sizes=("d_model", "num_heads", "d_ff"), inputs=("x", "mask"))


def make_feed_forward_probes(seed: int = 20170613) -> tuple[Probe, ...]:
    """Return the probes; only in one do both linear layers have the same size."""
    generator = torch.Generator().manual_seed(seed)

    def probe(name: str, batch: int, length: int, d_model: int, d_ff: int, spread: float = 1.0) -> Probe:
        x = torch.randn(batch, length, d_model, generator=generator).double() * spread
        return _FEED_FORWARD.probe(name, {"d_model": d_model, "d_ff": d_ff}, {"x": x}, generator)

    return (
        probe("more features in between", 2, 5, 7, 11),
        probe("fewer features in between", 3, 2, 5, 4),
        probe("as many features in between", 5, 3, 7, 7),
        probe("large features", 2, 3, 5, 13, spread=20.0),
    )


def make_encoder_layer_probes(seed: int = 20170614) -> tuple[Probe, ...]:
    """Return the probes: without a mask, with a padded batch, with a causal mask that is given, and a square one.

    In none is d_ff so small that ReLU might stop everything, and with it the gradients.
    """
    generator = torch.Generator().manual_seed(seed)

    def probe(
        name: str, shape: tuple[int, int, int], num_heads: int, d_ff: int, mask: Tensor | None, **options: Any
    ) -> Probe:
        x = torch.randn(*shape, generator=generator).double()
        sizes = {"d_model": shape[-1], "num_heads": num_heads, "d_ff": d_ff}
        # A bias of the keys moves all scores of a query alike, so that it has no gradient.
        no_gradient = ("self_attention.k_proj.bias",)
        return _ENCODER_LAYER.probe(name, sizes, {"x": x, "mask": mask}, generator, no_gradient=no_gradient, **options)

    padding = torch.arange(5) < torch.tensor([5, 3, 2])[:, None]
    causal = torch.ones(7, 7, dtype=torch.bool).tril()
    some = torch.rand(4, 4, generator=generator) < 0.4
    some[0] = torch.tensor([False, True, False, True])  # neither all hidden nor all seen
    some |= torch.eye(4, dtype=torch.bool).flip(1)
    return (
        probe("no mask", (2, 5, 6), 3, 11, None),
        probe("a padded batch", (3, 5, 10), 2, 13, padding[:, None, None, :]),
        probe("a causal mask that is given", (2, 7, 15), 3, 11, causal),
        probe("as many items as tokens and features", (4, 4, 4), 2, 13, some),
        probe("no mask passed", (2, 5, 6), 3, 11, None, omit="mask"),
    )


def _look_at_feed_forward(check: Check, call: Call) -> Evidence:
    """Say which tokens move one another, and whether the network is linear."""
    probe = check.core[0]
    run = Run(check, call, probe)
    yours = run.yours
    facts = other_item(run)
    if run.moves({"x": perturbed(probe.inputs["x"], 0, slice(1, None))}, 0, 0):
        facts.append("Changing the other tokens moves token 0; each position is treated by itself.")
    no_bias = {name: torch.zeros_like(probe.inputs[name]) for name in ("linear1.bias", "linear2.bias")}
    once, twice = run.maybe(no_bias), run.maybe({**no_bias, "x": 2 * probe.inputs["x"]})
    mirrored = run.maybe({**no_bias, "x": -probe.inputs["x"]})
    if once is not None and twice is not None and mirrored is not None:
        doubles = (twice - 2 * once).abs().max() < 1e-4
        if doubles and (mirrored + once).abs().max() < 1e-4:
            facts.append("Your network is linear: without biases f(2x) is 2f(x) and f(-x) is -f(x).")
        elif not doubles:
            facts.append("Without biases f(2x) is not 2f(x), as it is for ReLU: is the activation another one?")
    facts += unused(run, [name for name in probe.gradients if name != "x"])
    tables = [Table.compare("Output, rows are tokens", yours[0], run.right[0])]
    return Evidence(facts, tables + tokens_meet(run))


def _look_at_encoder_layer(check: Check, call: Call) -> Evidence:
    """Say what moves what, with a mask and without, and what the tokens' statistics are."""
    free, padded, causal = check.core[:3]
    run = Run(check, call, free)
    yours = run.yours
    x = free.inputs["x"]
    facts = other_item(run)
    if run.moves({"x": perturbed(x, 0, -1)}, 0, 0) is False:
        facts.append("Without a mask, changing the last token does not move the first; it should.")
    shuffled = run.maybe({"x": x.flip(1)})
    if shuffled is not None and (shuffled.flip(1) - yours).abs().max() > MOVED:
        facts.append("Without a mask, x in another order does not give the same output in that order; it should.")
    facts += _hidden(check, call, padded, (2, slice(2, None)), (2, slice(2)), "A token that the padding mask hides")
    facts += _hidden(check, call, causal, (0, -1), (0, 0), "Under a causal mask, the last token")
    facts += heads_ignored(run)
    facts += token_statistics(run, "add_norm2.norm.")
    facts += unused(run, [n for n in free.gradients if n != "x"])
    tables = [Table.compare("Output without a mask, rows are tokens", yours[0], run.right[0])]
    return Evidence(facts, tables + influence_table(check, free, run))


def _hidden(check: Check, call: Call, probe: Probe, place: Any, watched: Any, what: str) -> list[str]:
    """Say if something that a mask hides moves what may not see it."""
    if Run(check, call, probe).moves({"x": perturbed(probe.inputs["x"], *place)}, *watched):
        return [f"{what} moves a token that may not attend to it."]
    return []


FEED_FORWARD: Check = Check(
    name="feed_forward",
    expects="""
    ``cls(d_model, d_ff)``, the position-wise feed-forward network of an x (B, L, D).

    Its attributes ``linear1`` and ``linear2`` have parameters weight and bias, as `torch.nn.Linear`; the first leads
    from D to d_ff features, the second back, with ReLU in between.
    """,
    form=_FEED_FORWARD,
    kind="tensor",
    right=bank.RightFeedForward,
    make_probes=make_feed_forward_probes,
    bank=(*bank.FEED_FORWARD_BUGS, *LINEAR_BUGS),
    section=bank.NETWORK,
    build=bank.build_feed_forward,
    look=_look_at_feed_forward,
)

_LAYER_BUGS = (*layers.ENCODER_LAYER_BUGS, *ORDER_BUGS, *AROUND_BUGS, *EVERY_LAYER_BUGS)

ENCODER_LAYER: Check = Check(
    name="encoder_layer",
    expects="""
    ``cls(d_model, num_heads, d_ff)``, an encoder layer with post-norm.

    Its parameters have the names of `companion.EncoderLayer`: ``self_attention`` (q_proj, k_proj, v_proj, out_proj),
    ``feed_forward`` (linear1, linear2), ``add_norm1`` and ``add_norm2`` (norm). Its forward takes x (B, L, D) and a
    bool mask, True = may attend, that broadcasts to (B, H, L, L), or None.
    """,
    form=_ENCODER_LAYER,
    kind="float",
    right=layers.RightEncoderLayer,
    make_probes=make_encoder_layer_probes,
    bank=_LAYER_BUGS,
    of_parts=bugs_of_parts(layers.build_encoder_layer, _LAYER_BUGS),
    section=bank.LAYER,
    build=layers.build_encoder_layer,
    look=_look_at_encoder_layer,
)
