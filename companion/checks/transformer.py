"""The check of chapter *transformer*: `transformer`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from companion.checks._looks import MOVED, moves, run_on
from companion.checks._modules import Module
from companion.checks._public import public
from companion.checks._report import Table
from companion.checks._spec import Check, Evidence, Probe
from companion.checks.bank.transformer import EMBEDDING_BUGS, OUTPUT_BUGS, WHOLE, RightTransformer, build_transformer
from companion.checks.bank.transformer_halves import DECODE_BUGS, ENCODE_BUGS, STACK_BUGS
from companion.checks.bank.transformer_order import ORDER_BUGS
from companion.transformer import TransformerConfig

_TRANSFORMER = Module(RightTransformer, sizes=("config",), inputs=("source_ids", "target_ids"), stacked=True)


def make_transformer_probes(seed: int = 20170617) -> tuple[Probe, ...]:
    """Return the probes: padded sources, another pad_id, and one in which all lengths agree.

    No target is padded: whether its padding is hidden from itself is a matter of taste, since the loss ignores it.
    """
    generator = torch.Generator().manual_seed(seed)

    def probe(
        name: str, vocabularies: tuple[int, int], sizes: tuple[int, ...], lengths: list[int], targets: int, pad_id: int
    ) -> Probe:
        d_model, num_heads, d_ff, encoder_layers, decoder_layers = sizes
        config = TransformerConfig(
            *vocabularies,
            d_model=d_model,
            num_heads=num_heads,
            d_ff=d_ff,
            num_encoder_layers=encoder_layers,
            num_decoder_layers=decoder_layers,
            max_len=16,
            pad_id=pad_id,
            tie_embeddings=False,
        )

        def draw(batch: int, length: int) -> Tensor:
            # Any token of both vocabularies but the padding.
            ids = torch.randint(0, min(vocabularies) - 1, (batch, length), generator=generator)
            return ids + (ids >= pad_id)

        source_ids = draw(len(lengths), max(lengths))
        source_ids[torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None]] = pad_id
        inputs = {"source_ids": source_ids, "target_ids": draw(len(lengths), targets)}
        # A bias of the keys moves all scores of a query alike, so that it has no gradient.
        with torch.random.fork_rng(devices=[]):
            flat = tuple(key for key, _ in RightTransformer(config).named_parameters() if key.endswith("k_proj.bias"))
        return _TRANSFORMER.probe(name, {"config": config}, inputs, generator, no_gradient=flat)

    # The first one shows most bugs at once, which makes a diagnosis fast.
    return (
        probe("one layer in each half, pad_id 3", (13, 17), (6, 3, 11, 1, 1), [5, 3], 4, pad_id=3),
        probe("fewer encoder layers than decoder layers", (17, 13), (10, 2, 13, 2, 3), [2, 5, 4], 7, pad_id=0),
        probe("all lengths alike, nothing padded", (11, 11), (4, 2, 7, 3, 2), [4, 4, 4, 4], 4, pad_id=0),
    )


def _look(call: Callable[..., Tensor | None]) -> Evidence:
    """Change a token here and there, and see which logits move."""
    probe = TRANSFORMER.core[1]
    run, right = run_on(call, probe), TRANSFORMER.expected(probe)
    yours = run()
    if yours is None or yours.shape != right.shape:
        return Evidence()
    source, target, pad_id = probe.inputs["source_ids"], probe.inputs["target_ids"], probe.inputs["config"].pad_id
    facts = []
    if yours.min() >= 0 and (yours.sum(dim=-1) - 1).abs().max() < 1e-4:
        facts.append("Your numbers of one position sum to 1: they are probabilities, not logits.")
    config = probe.inputs["config"]
    if moves(run, {"config": replace(config, num_heads=config.d_model)}, yours) is False:
        facts.append(f"With {config.num_heads} heads and with {config.d_model} your logits are the same.")
    if moves(run, {"target_ids": _other(target, (0, -1))}, yours, 0, 0):
        facts.append("Changing the last target token moves the logits of the first, which may not see it.")
    if moves(run, {"source_ids": _other(source, (1, 0))}, yours, 0) or moves(
        run, {"target_ids": _other(target, (1, 0))}, yours, 0
    ):
        facts.append("Changing the second item of the batch moves the first.")
    padded = torch.cat([source, torch.full_like(source[:, :2], pad_id)], dim=1)
    if moves(run, {"source_ids": padded}, yours):
        facts.append("Two more tokens of padding behind the source move your logits.")
    if moves(run, {"source_ids": _other(source, (0, 0))}, yours, 0) is False:
        facts.append("Changing the source does not move your logits; it should.")
    elif moves(run, {"source_ids": torch.cat([source[:1].flip(1), source[1:]])}, yours, 0) is False:
        facts.append("The order of the source's tokens does not move your logits; it should.")
    if moves(run, {"target_ids": _other(target, (0, 0))}, yours, 0, -1) is False:
        facts.append("Changing the first target token does not move the last logits; it should.")
    for part in ("source_embedding", "target_embedding", "encoder.layers.0", "encoder.layers.1", "decoder.layers.0",
                 "decoder.layers.1", "output"):  # fmt: skip
        others = {name: x.flip(-1) + 0.25 for name, x in probe.inputs.items() if name.startswith(part + ".")}
        if moves(run, others, yours) is False:
            facts.append(f"Changing the parameters of {part} does not move your logits; it should.")
    tables = []
    for name, side, expected in zip(
        ("source_ids", "target_ids"), ("source", "target"), _right_influences(), strict=True
    ):
        caption = f"How far the logits of target token t move when {side} token s is another (t down, s across)"
        tables.append(Table.compare(caption, _influence(run, probe, yours, name), expected))
    return Evidence(facts, tables)


def _other(ids: Tensor, place: tuple[int, int]) -> Tensor:
    """Return ids in which one is another: 5, or 6 where it was 5."""
    changed = ids.clone()
    changed[place] = 6 if ids[place] == 5 else 5
    return changed


@cache
def _right_influences() -> tuple[Tensor, Tensor]:
    probe = TRANSFORMER.core[1]

    def run(changes: dict[str, Any]) -> Tensor:
        return TRANSFORMER.expected(Probe("", {**probe.inputs, **changes}))

    source, target = (_influence(run, probe, run({}), name) for name in ("source_ids", "target_ids"))
    return source, target


def _influence(run: Callable[[dict[str, Any]], Tensor | None], probe: Probe, yours: Tensor, name: str) -> Tensor:
    """Return (T, S): how far the logits of target token t (first item) move when token s of an input is another."""
    columns = []
    for token in range(probe.inputs[name].size(1)):
        after = run({name: _other(probe.inputs[name], (0, token))})
        if after is None or after.shape != yours.shape:
            columns.append(torch.full((yours.size(1),), torch.nan).double())
        else:
            moved = (after - yours)[0].abs().amax(dim=-1)
            columns.append(moved.where(moved > MOVED, 0.0))
    return torch.stack(columns, dim=1)


TRANSFORMER: Check = Check(
    name="transformer",
    expects="""
    ``cls(config)``, the whole Transformer with post-norm, made of a `companion.TransformerConfig`.

    Its parameters have the names of `companion.Transformer`: ``source_embedding`` and ``target_embedding``, ``encoder``
    and ``decoder`` (`companion.Encoder`, `companion.Decoder`, or layers of your own in ``layers``), and ``output``
    without a bias, not tied to an embedding (config.tie_embeddings is False). Its forward takes source_ids (B, S),
    padded with config.pad_id, and target_ids (B, T), and returns the logits (B, T, V). It is checked in eval mode.
    """,
    parameters=_TRANSFORMER.inputs,
    kind="float",
    right=RightTransformer,
    make_probes=make_transformer_probes,
    bank=(*EMBEDDING_BUGS, *ENCODE_BUGS, *DECODE_BUGS, *OUTPUT_BUGS, *ORDER_BUGS, *STACK_BUGS),
    section=WHOLE,
    build=build_transformer,
    look=_look,
    module=_TRANSFORMER,
)
transformer = public(TRANSFORMER)
