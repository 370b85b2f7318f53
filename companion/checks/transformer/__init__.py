"""The check of chapter *transformer*: `transformer`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from companion.checks.encoder.parts import bugs_of_parts
from companion.checks.engine.check import Check
from companion.checks.engine.classes import ClassForm
from companion.checks.engine.evidence import Call, Evidence
from companion.checks.engine.probe import Probe
from companion.checks.engine.properties import MOVED, Run, right_run
from companion.checks.engine.report import Table
from companion.checks.transformer.ends import EMBEDDING_BUGS, OUTPUT_BUGS, WHOLE, RightTransformer, build_transformer
from companion.checks.transformer.halves import DECODE_BUGS, ENCODE_BUGS, STACK_BUGS
from companion.checks.transformer.order import ORDER_BUGS, build_with_layers
from companion.checks.transformer.stages import first_wrong_stage
from companion.transformer import TransformerConfig

_TRANSFORMER = ClassForm(RightTransformer, sizes=("config",), inputs=("source_ids", "target_ids"))


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


def _look(check: Check, call: Call) -> Evidence:
    """Change a token here and there, and see which logits move."""
    probe = check.core[1]
    run = Run(check, call, probe)
    yours = run.yours
    source, target, pad_id = probe.inputs["source_ids"], probe.inputs["target_ids"], probe.inputs["config"].pad_id
    facts = []
    if yours.min() >= 0 and (yours.sum(dim=-1) - 1).abs().max() < 1e-4:
        facts.append("Your numbers of one position sum to 1: they are probabilities, not logits.")
    config = probe.inputs["config"]
    if run.moves({"config": replace(config, num_heads=config.d_model)}) is False:
        facts.append(f"With {config.num_heads} heads and with {config.d_model} your logits are the same.")
    if run.moves({"target_ids": _other(target, (0, -1))}, 0, 0):
        facts.append("Changing the last target token moves the logits of the first, which may not see it.")
    if run.moves({"source_ids": _other(source, (1, 0))}, 0) or run.moves({"target_ids": _other(target, (1, 0))}, 0):
        facts.append("Changing the second item of the batch moves the first.")
    padded = torch.cat([source, torch.full_like(source[:, :2], pad_id)], dim=1)
    if run.moves({"source_ids": padded}):
        facts.append("Two more tokens of padding behind the source move your logits.")
    if run.moves({"source_ids": _other(source, (0, 0))}, 0) is False:
        facts.append("Changing the source does not move your logits; it should.")
    elif run.moves({"source_ids": torch.cat([source[:1].flip(1), source[1:]])}, 0) is False:
        facts.append("The order of the source's tokens does not move your logits; it should.")
    if run.moves({"target_ids": _other(target, (0, 0))}, 0, -1) is False:
        facts.append("Changing the first target token does not move the last logits; it should.")
    for part in ("source_embedding", "target_embedding", "encoder.layers.0", "encoder.layers.1", "decoder.layers.0",
                 "decoder.layers.1", "output"):  # fmt: skip
        others = {name: x.flip(-1) + 0.25 for name, x in probe.inputs.items() if name.startswith(part + ".")}
        if run.moves(others) is False:
            facts.append(f"Changing the parameters of {part} does not move your logits; it should.")
    tables = []
    for name, side in (("source_ids", "source"), ("target_ids", "target")):
        caption = f"How far the logits of target token t move when {side} token s is another (t down, s across)"
        expected = check.once(partial(_right_influence, check, probe, name), "influence", name)
        tables.append(Table.compare(caption, _influence(run, name), expected))
    return Evidence(facts, tables, first_wrong_stage(run, right_run(check, probe)))


def _other(ids: Tensor, place: tuple[int, int]) -> Tensor:
    """Return ids in which one is another: 5, or 6 where it was 5."""
    changed = ids.clone()
    changed[place] = 6 if ids[place] == 5 else 5
    return changed


def _right_influence(check: Check, probe: Probe, name: str) -> Tensor:
    return _influence(right_run(check, probe), name)


def _influence(run: Run, name: str) -> Tensor:
    """Return (T, S): how far the logits of target token t (first item) move when token s of an input is another."""
    columns = []
    for token in range(run.inputs[name].size(1)):
        moved = run.far({name: _other(run.inputs[name], (0, token))})
        nothing = torch.full(run.yours.shape[1:2], torch.nan).double()
        columns.append(nothing if moved is None else moved[0].where(moved[0] > MOVED, 0.0))
    return torch.stack(columns, dim=1)


_BUGS = (*EMBEDDING_BUGS, *ENCODE_BUGS, *DECODE_BUGS, *OUTPUT_BUGS, *ORDER_BUGS, *STACK_BUGS)

TRANSFORMER: Check = Check(
    name="transformer",
    expects="""
    ``cls(config)``, the whole Transformer with post-norm, made of a `companion.TransformerConfig`.

    Its parameters have the names of `companion.Transformer`: ``source_embedding`` and ``target_embedding``, ``encoder``
    and ``decoder`` (`companion.Encoder`, `companion.Decoder`, or layers of your own in ``layers``), and ``output``
    without a bias, not tied to an embedding (config.tie_embeddings is False). Its forward takes source_ids (B, S),
    padded with config.pad_id, and target_ids (B, T), and returns the logits (B, T, V). It is checked in eval mode.
    """,
    form=_TRANSFORMER,
    kind="float",
    right=RightTransformer,
    make_probes=make_transformer_probes,
    bank=_BUGS,
    of_parts=bugs_of_parts(build_with_layers, _BUGS),
    section=WHOLE,
    build=build_transformer,
    look=_look,
)
