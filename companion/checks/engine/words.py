"""Sentences for a diagnosis, and for what no bug in the bank explains: how far off, by what factor, where."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from companion.checks.engine.bank import Bug
from companion.checks.engine.diagnosis import off_by
from companion.checks.engine.outcomes import Outcome
from companion.checks.engine.probe import Probe
from companion.checks.engine.report import number

_ENOUGH = 5


def name(ways: Sequence[tuple[Bug, ...]]) -> tuple[str, tuple[Bug, ...]]:
    """Return a message, and the bugs that it names, from the ways in which the bank explains what was seen.

    One way is told as it is. Of several single bugs it is one; of several pairs, only what they share is certain.
    """
    if len(ways) == 1:
        bugs = ways[0]
        return ("Two things at once. " if len(bugs) == 2 else "") + " ".join(entry.sentence for entry in bugs), bugs
    if all(len(way) == 1 for way in ways):
        bugs = tuple(entry for way in ways for entry in way)
        return "One of these. " + " Or: ".join(entry.sentence for entry in bugs), bugs
    shared = tuple(entry for entry in ways[0] if all(entry in way for way in ways))
    if not shared:
        return "Your output is not the right one, and there are at least two reasons for it.", ()
    return shared[0].sentence + " And something else is wrong as well.", shared


def compare(outcomes: Sequence[Outcome], expected: Sequence[Tensor]) -> str:
    """Say in what way the outputs differ from the right ones, as far as one sentence can."""
    pairs = [(o.value, right) for o, right in zip(outcomes, expected, strict=True) if o.value is not None]
    if any(yours.shape != right.shape for yours, right in pairs):
        return "Your output is not the right one."
    if len(pairs) == len(outcomes) and not any(yours.any() for yours, _ in pairs):
        if all(right.dtype == torch.bool for _, right in pairs):
            return "Your mask is False everywhere: nobody may attend to anything."
        return "Your output is 0 everywhere."
    ratio = _ratio(pairs)
    if ratio is not None:
        return f"Your output is {number(ratio)} times the right one."
    if rounded := _rounded(pairs):
        return rounded
    if max((off_by(yours, right) for yours, right in pairs), default=1.0) < 0.02:
        return (
            "Your output is close, but not right to the last digits: is part of it computed in half precision, "
            "or a small number added somewhere?"
        )
    return "Your output is not the right one."


def right_and_wrong(probes: Sequence[Probe], right: Sequence[bool]) -> list[str]:
    """Say on which probes the outputs are right and on which they are not, if there are both."""
    good = [probe.name for probe, ok in zip(probes, right, strict=True) if ok]
    bad = [probe.name for probe, ok in zip(probes, right, strict=True) if not ok]
    return [f"Right on: {_few(good)}. Wrong on: {_few(bad)}."] if good and bad else []


def see(*sections: str) -> str:
    """Point to one or more sections of the book."""
    return "See " + ", and ".join(dict.fromkeys(sections)) + "."


def _ratio(pairs: Sequence[tuple[Tensor, Tensor]]) -> float | None:
    """Return the one factor between the outputs and the right ones, if it is the same everywhere."""
    yours = torch.cat([value.double().flatten() for value, _ in pairs])
    right = torch.cat([value.double().flatten() for _, value in pairs])
    if len(right) < 2 or not right.any():
        return None
    ratio = float((yours * right).sum() / (right * right).sum())
    return ratio if abs(ratio) > 1e-6 and off_by(yours, ratio * right) < 1e-6 else None


def _rounded(pairs: Sequence[tuple[Tensor, Tensor]]) -> str:
    """Say that all outputs have only so many digits behind the point, if they have and the right ones have not."""
    yours, right = (torch.cat([pair[side].double().flatten() for pair in pairs]) for side in (0, 1))
    # Few numbers may be round by chance, and zeros are.
    if int((yours != 0).sum()) < _ENOUGH:
        return ""
    for digits in range(6):
        if _is_round(yours, digits) and not _is_round(right, digits):
            unit = f"multiples of {10.0**-digits:g}" if digits else "whole numbers"
            return f"All numbers in your output are {unit}, as if they were rounded; the right ones are not round."
    return ""


def _is_round(x: Tensor, digits: int) -> bool:
    scaled = x * 10.0**digits
    return bool(((scaled - scaled.round()).abs() < 1e-3).all())


def _few(names: Sequence[str]) -> str:
    shown = "; ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown}; and {len(names) - 3} more"
