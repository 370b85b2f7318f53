"""Checks of chapter *decoder*: `decoder_layer`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from companion.checks.decoder.around import AROUND_BUGS
from companion.checks.decoder.cross import CROSS_BUGS
from companion.checks.decoder.layer import LAYER_BUGS
from companion.checks.decoder.masked import LAYER, MASKED_BUGS, RightDecoderLayer, build_decoder_layer
from companion.checks.decoder.order import ORDER_BUGS
from companion.checks.encoder.around import EVERY_LAYER_BUGS
from companion.checks.encoder.parts import bugs_of_parts
from companion.checks.engine.check import Check
from companion.checks.engine.classes import ClassForm
from companion.checks.engine.evidence import Call, Evidence
from companion.checks.engine.probe import Probe
from companion.checks.engine.properties import (
    Run,
    heads_ignored,
    influence_table,
    other_item,
    perturbed,
    token_statistics,
    unused,
)
from companion.checks.engine.report import Table


class _NoDropout(TorchFunctionMode):
    """Makes every dropout return its input, so that training mode can be compared."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (F.dropout, torch.dropout):
            return args[0] if args else kwargs["input"]
        return func(*args, **kwargs)


def _without_dropout(inputs: Mapping[str, Any]) -> AbstractContextManager[Any]:
    return _NoDropout() if inputs.get("training") else nullcontext()


_DECODER_LAYER = ClassForm(
    RightDecoderLayer,
    sizes=("d_model", "num_heads", "d_ff"),
    inputs=("x", "memory", "mask", "memory_mask"),
    around=_without_dropout,
)


def make_decoder_layer_probes(seed: int = 20170615) -> tuple[Probe, ...]:
    """Return the probes: without masks, with both sides padded, in training mode, and a square one.

    In none is d_ff so small that ReLU might stop everything, and with it the gradients.
    """
    generator = torch.Generator().manual_seed(seed)

    def probe(
        name: str,
        shape: tuple[int, int, int, int],
        num_heads: int,
        d_ff: int,
        mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        training: bool = False,
        omit: str = "",
    ) -> Probe:
        batch, targets, sources, d_model = shape
        inputs = {
            "x": torch.randn(batch, targets, d_model, generator=generator).double(),
            "memory": torch.randn(batch, sources, d_model, generator=generator).double(),
            "mask": mask,
            "memory_mask": memory_mask,
            "training": training,
        }
        sizes = {"d_model": d_model, "num_heads": num_heads, "d_ff": d_ff}
        # A bias of the keys moves all scores of a query alike, so that it has no gradient.
        no_gradient = ("self_attention.k_proj.bias", "cross_attention.k_proj.bias")
        return _DECODER_LAYER.probe(name, sizes, inputs, generator, no_gradient=no_gradient, omit=omit)

    def padding(longest: int, *lengths: int) -> Tensor:
        return (torch.arange(longest) < torch.tensor(lengths)[:, None])[:, None, None, :]

    some = torch.rand(4, 4, generator=generator) < 0.5
    some |= torch.tensor([[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0]], dtype=torch.bool)
    some[0, 0] = False
    return (
        probe("no masks", (2, 5, 7, 6), 3, 11),
        probe("padded sources and targets", (3, 5, 7, 10), 2, 13, padding(5, 5, 3, 2), padding(7, 4, 7, 3)),
        probe("training mode", (2, 3, 5, 6), 2, 17, training=True),
        probe("as many items as tokens and features", (4, 4, 4, 4), 2, 13, _first_seen(some.T), some),
        # The other mask is there, so that it shows if it is taken for both.
        probe("no mask passed", (2, 5, 7, 6), 3, 11, memory_mask=padding(7, 4, 7), omit="mask"),
        probe("no memory_mask passed", (2, 5, 7, 6), 3, 11, padding(5, 5, 3), omit="memory_mask"),
    )


def _first_seen(mask: Tensor) -> Tensor:
    """Return a mask in which every query may attend to the first key, so that a causal one leaves it something."""
    first = mask.clone()
    first[:, 0] = True
    return first


def _look(check: Check, call: Call) -> Evidence:
    """Say what moves what: the future, the memory, what is hidden, other items, parameters that should count."""
    free, padded, training = check.core[:3]
    run = Run(check, call, free)
    yours = run.yours
    memory = free.inputs["memory"]
    facts = _future(check, call, free, "Changing the last target token moves the first, which may not see it.")
    facts += _future(check, call, training, "In training mode, changing the last target token moves the first.")
    facts += other_item(run)
    if run.moves({"memory": perturbed(memory, 1)}, 0):
        facts.append("Changing the memory of the second item of the batch moves the first item.")
    if run.moves({"memory": perturbed(memory, 0)}, 0) is False:
        facts.append("Changing the memory does not move your output; it should.")
    else:
        still = [t for t in (0, -1) if run.moves({"memory": perturbed(memory, 0, t)}, 0, 0) is False]
        if still:
            facts.append(
                f"Changing the {'first' if still[0] == 0 else 'last'} source token does not move the first target "
                "token; without a memory_mask it should."
            )
    if run.moves({"memory": memory.flip(1)}):
        facts.append("The order of the source tokens moves your output; cross-attention alone does not know it.")
    facts += _hidden(check, call, padded)
    facts += heads_ignored(run)
    facts += token_statistics(run, "add_norm3.norm.")
    facts += unused(run, [name for name in free.gradients if name not in ("x", "memory")])
    tables = [Table.compare("Output without masks, rows are target tokens", yours[0], run.right[0])]
    tables += influence_table(check, free, run, what="target token")
    tables += influence_table(check, free, run, "memory", "source token", only_whether=True)
    return Evidence(facts, tables)


def _future(check: Check, call: Call, probe: Probe, sentence: str) -> list[str]:
    moves = Run(check, call, probe).moves({"x": perturbed(probe.inputs["x"], 0, -1)}, 0, 0)
    return [sentence] if moves else []


def _hidden(check: Check, call: Call, probe: Probe) -> list[str]:
    """Say if source or target tokens that a padding mask hides move what may not see them."""
    run, facts = Run(check, call, probe), []
    if run.moves({"memory": perturbed(probe.inputs["memory"], 2, slice(3, None))}, 2):
        facts.append("Source tokens that memory_mask hides move your output.")
    if run.moves({"x": perturbed(probe.inputs["x"], 2, 2)}, 2, slice(3, None)):
        facts.append("A target token that mask hides moves those after it.")
    return facts


_BUGS = (*MASKED_BUGS, *CROSS_BUGS, *LAYER_BUGS, *ORDER_BUGS, *AROUND_BUGS, *EVERY_LAYER_BUGS)

DECODER_LAYER: Check = Check(
    name="decoder_layer",
    expects="""
    ``cls(d_model, num_heads, d_ff)``, a decoder layer with post-norm.

    Its parameters have the names of `companion.DecoderLayer`: ``self_attention`` and ``cross_attention`` (q_proj,
    k_proj, v_proj, out_proj), ``feed_forward`` (linear1, linear2), ``add_norm1`` to ``add_norm3`` (norm). Its forward
    takes x (B, T, D), memory (B, S, D) and two bool masks, True = may attend, or None: mask broadcasts to
    (B, H, T, T) and restricts self-attention beside the causal mask, which is always there; memory_mask broadcasts to
    (B, H, T, S). It is called in training mode too, with dropout switched off.
    """,
    form=_DECODER_LAYER,
    kind="float",
    right=RightDecoderLayer,
    make_probes=make_decoder_layer_probes,
    bank=_BUGS,
    of_parts=bugs_of_parts(build_decoder_layer, _BUGS),
    section=LAYER,
    build=build_decoder_layer,
    look=_look,
)
