"""Checks of chapter *masks*: `causal_mask`, `padding_mask` and `combine_masks`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from companion.checks._public import public
from companion.checks._report import Table
from companion.checks._spec import Check, Evidence, Probe
from companion.checks.bank import masks_causal, masks_padding


def _causal_probes() -> tuple[Probe, ...]:
    lengths = {
        "as many queries as keys": (5, 5),
        "fewer queries than keys": (3, 7),
        "one query and five keys": (1, 5),
        "more queries than keys": (5, 2),
    }
    return tuple(Probe(name, {"query_len": q, "key_len": k}) for name, (q, k) in lengths.items())


def _padding_probes() -> tuple[Probe, ...]:
    right = torch.tensor([[5, 3, 8, 0, 0], [7, 2, 0, 0, 0], [1, 4, 6, 9, 2]])
    left = torch.tensor([[3, 3, 5, 0, 9, 1, 4], [3, 8, 2, 3, 5, 7, 0]])
    return (
        Probe("pad_id 0", {"token_ids": right, "pad_id": 0}),
        Probe("pad_id 3, with padding before and between tokens", {"token_ids": left, "pad_id": 3}),
        Probe("no padding at all", {"token_ids": torch.tensor([[4, 0, 6]]), "pad_id": 9}),
    )


def _combine_probes() -> tuple[Probe, ...]:
    padding = masks_padding.right_padding_mask(torch.tensor([[5, 3, 8, 6, 0], [7, 2, 0, 0, 0], [0, 4, 6, 9, 2]]), 0)
    return (
        Probe("as many queries as keys", {"padding": padding, "causal": masks_causal.right_causal_mask(5, 5)}),
        Probe("fewer queries than keys", {"padding": padding[:2], "causal": masks_causal.right_causal_mask(3, 5)}),
    )


def _look_at(check: Callable[[], Check]) -> Callable[[Callable[..., Tensor | None]], Evidence]:
    """Return a look that finds the first wrong place and draws the first wrong mask."""

    def look(call: Callable[..., Tensor | None]) -> Evidence:
        for probe in check().core:
            yours, right = call(**probe.inputs), check().expected(probe).double()
            if yours is None or yours.shape != right.shape or torch.equal(yours, right):
                continue
            for item in range(right[..., 0, 0].numel()):
                one, other = yours.reshape(-1, *right.shape[-2:])[item], right.reshape(-1, *right.shape[-2:])[item]
                if not torch.equal(one, other):
                    return Evidence([_first_wrong(one, other, probe)], [Table.compare("Mask", one, other)])
        return Evidence()

    return look


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
    parameters=("query_len", "key_len"),
    kind="bool",
    right=masks_causal.right_causal_mask,
    make_probes=_causal_probes,
    bank=tuple(masks_causal.CAUSAL_BUGS),
    section=masks_causal.CAUSAL,
    look=_look_at(lambda: CAUSAL_MASK),
)

PADDING_MASK: Check = Check(
    name="padding_mask",
    expects="""
    ``fn(token_ids, pad_id)``, which returns a bool mask (B, 1, 1, K) that is True on real tokens.

    token_ids is an integer tensor (B, K); pad_id may be any id, and padding may stand anywhere.
    """,
    parameters=("token_ids", "pad_id"),
    kind="bool",
    right=masks_padding.right_padding_mask,
    make_probes=_padding_probes,
    bank=tuple(masks_padding.PADDING_BUGS),
    section=masks_padding.PADDING,
    look=_look_at(lambda: PADDING_MASK),
)

COMBINE_MASKS: Check = Check(
    name="combine_masks",
    expects="""
    ``fn(padding, causal)``, which combines bool masks (B, 1, 1, K) and (Q, K) by AND into (B, 1, Q, K).
    """,
    parameters=("padding", "causal"),
    kind="bool",
    right=masks_padding.right_combined,
    make_probes=_combine_probes,
    bank=tuple(masks_padding.COMBINE_BUGS),
    section=masks_padding.COMBINING,
    look=_look_at(lambda: COMBINE_MASKS),
)

causal_mask = public(CAUSAL_MASK)
padding_mask = public(PADDING_MASK)
combine_masks = public(COMBINE_MASKS)
