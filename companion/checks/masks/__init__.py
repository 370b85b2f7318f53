"""Checks of chapter *masks*: `causal_mask`, `padding_mask` and `combine_masks`."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from companion.checks.engine.check import Check
from companion.checks.engine.evidence import Call, Evidence
from companion.checks.engine.handed_in import FunctionForm
from companion.checks.engine.probe import Probe
from companion.checks.engine.report import Table
from companion.checks.masks import causal, padding


def make_causal_probes(seed: int | None = None) -> tuple[Probe, ...]:
    """Return the probes for a causal mask; with a seed, of other lengths."""
    square, fewer, one, more = 5, (3, 7), 5, (5, 2)
    if seed is not None:
        draw = random.Random(seed).randint
        square, one, few = draw(4, 9), draw(4, 9), draw(2, 4)
        fewer, more = (few, few + draw(2, 5)), (few + draw(2, 5), few)
    lengths = {
        "as many queries as keys": (square, square),
        "fewer queries than keys": fewer,
        "one query and several keys": (1, one),
        "more queries than keys": more,
    }
    return tuple(Probe(name, {"query_len": q, "key_len": k}) for name, (q, k) in lengths.items())


def make_padding_probes(seed: int | None = None) -> tuple[Probe, ...]:
    """Return the probes for a padding mask; with a seed, of other ids."""
    pad_id, none, names = 3, 9, list(range(10))  # how each id is called
    if seed is not None:
        numbers = random.Random(seed)
        pad_id = numbers.randint(2, 7)
        rest = [number for number in range(1, 10) if number != pad_id]
        numbers.shuffle(rest)
        names = [0, *rest[:2], pad_id, *rest[2:]]
        none = numbers.choice([number for number in range(1, 10) if number not in (names[4], names[6])])
    right = [[5, 3, 8, 0, 0], [7, 2, 0, 0, 0], [1, 4, 6, 9, 2]]
    left = [[3, 3, 5, 0, 9, 1, 4], [3, 8, 2, 3, 5, 7, 0]]

    def ids(rows: list[list[int]]) -> Tensor:
        return torch.tensor([[names[number] for number in row] for row in rows])

    return (
        Probe("pad_id 0", {"token_ids": ids(right), "pad_id": 0}),
        Probe(f"pad_id {pad_id}, with padding before and between tokens", {"token_ids": ids(left), "pad_id": pad_id}),
        Probe("no padding at all", {"token_ids": ids([[4, 0, 6]]), "pad_id": none}),
    )


def make_combine_probes(seed: int | None = None) -> tuple[Probe, ...]:
    """Return the probes for combining masks; with a seed, of other lengths."""
    length, real, queries = (5, 4, 3)
    if seed is not None:
        draw = random.Random(seed).randint
        length = draw(5, 9)
        real, queries = draw(3, length - 1), draw(2, length - 2)
    places = torch.arange(length)
    padding = torch.stack([places < real, places < 2, places > 0])[:, None, None, :]
    square, low = (causal.right_causal_mask(number, length) for number in (length, queries))
    return (
        Probe("as many queries as keys", {"padding": padding, "causal": square}),
        Probe("fewer queries than keys", {"padding": padding[:2], "causal": low}),
    )


def _look(check: Check, call: Call) -> Evidence:
    """Find the first wrong place, and draw the first wrong mask."""
    for probe in check.core:
        yours, right = call(**probe.inputs), check.expected(probe).double()
        if yours is None or yours.shape != right.shape or torch.equal(yours, right):
            continue
        for item in range(right[..., 0, 0].numel()):
            one, other = yours.reshape(-1, *right.shape[-2:])[item], right.reshape(-1, *right.shape[-2:])[item]
            if not torch.equal(one, other):
                return Evidence([_first_wrong(one, other, probe)], [Table.compare("Mask", one, other)])
    return Evidence()


def _first_wrong(yours: Tensor, right: Tensor, probe: Probe) -> str:
    row, column = (int(i) for i in (yours != right).nonzero()[0])
    who = f"query {row}" if right.size(0) > 1 else "a query"
    allowed, given = ("may", "False") if right[row, column] else ("may not", "True")
    if yours[row, column] not in (0, 1):
        return (
            f"On {probe.name}, {who} {allowed} attend to key {column}; your mask holds {float(yours[row, column]):g}."
        )
    return f"On {probe.name}, {who} {allowed} attend to key {column}; your mask says {given}."


CAUSAL_MASK: Check = Check(
    name="causal_mask",
    expects="""
    ``fn(query_len, key_len)``, which returns a bool mask (Q, K), True = may attend, aligned bottom-right.

    The last query sees every key; with fewer keys than queries the first queries see nothing.
    """,
    form=FunctionForm("query_len", "key_len"),
    kind="bool",
    right=causal.right_causal_mask,
    make_probes=make_causal_probes,
    bank=tuple(causal.CAUSAL_BUGS),
    section=causal.CAUSAL,
    look=_look,
)

PADDING_MASK: Check = Check(
    name="padding_mask",
    expects="""
    ``fn(token_ids, pad_id)``, which returns a bool mask (B, 1, 1, K) that is True on real tokens.

    token_ids is an integer tensor (B, K); pad_id may be any id, and padding may stand anywhere.
    """,
    form=FunctionForm("token_ids", "pad_id"),
    kind="bool",
    right=padding.right_padding_mask,
    make_probes=make_padding_probes,
    bank=tuple(padding.PADDING_BUGS),
    section=padding.PADDING,
    look=_look,
)

COMBINE_MASKS: Check = Check(
    name="combine_masks",
    expects="""
    ``fn(padding, causal)``, which combines bool masks (B, 1, 1, K) and (Q, K) by AND into (B, 1, Q, K).
    """,
    form=FunctionForm("padding", "causal"),
    kind="bool",
    right=padding.right_combined,
    make_probes=make_combine_probes,
    bank=tuple(padding.COMBINE_BUGS),
    section=padding.COMBINING,
    look=_look,
)
