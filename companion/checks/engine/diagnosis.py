"""Naming the bug: the known bug whose outputs are those of the learner, number by number, on every probe.

A name is only given to a match; where nothing matches, the facts must do. Where a known bug gives NaN there is
nothing to compare (another way of writing it gives another number there), so those places are left out, and a
bug counts only if enough is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations, compress, repeat
from typing import Any

import torch
from torch import Tensor

from companion.checks.engine.bank import Bug
from companion.checks.engine.check import Check, as_tensor
from companion.checks.engine.handed_in import HandedIn
from companion.checks.engine.outcomes import Outcome
from companion.checks.engine.probe import Probe

Assemble = Callable[[], HandedIn]
_USABLE = 0.1  # share of the numbers that a bug's outputs must leave to compare


def diagnose(check: Check, outcomes: Sequence[Outcome]) -> tuple[tuple[Bug, ...], ...]:
    """Return the ways to explain the outcomes: each is one bug, or two at once. No way: nothing known matches."""
    for bugs in (check.bank, check.of_parts):
        singles = tuple((entry,) for entry in bugs if _explains_one_way(check, entry, outcomes))
        if singles:
            return singles
    if not any(outcome.value is None or outcome.value.any() for outcome in outcomes):
        return ()  # two bugs can cancel everything, but zeros say nothing about how they came about
    pairs = (
        (one, other) for one, other in combinations(check.bank, 2) if one.part and other.part and one.part != other.part
    )
    found = tuple(pair for pair in pairs if _explains_together(check, pair, outcomes))
    # What stands around every sublayer shows only in part beside a bug around one of them: that one's own bug is told.
    return tuple(pair for pair in found if "around" not in {entry.part for entry in pair}) or found


def diagnose_edge(check: Check, probe: Probe, outcome: Outcome) -> tuple[Bug, ...]:
    """Return the bugs that are right on every core probe and explain what happened on this one."""
    found = []
    for entry in check.bank:
        for implementation in check.implementations(entry):
            output = _run(check, implementation, probe)
            if output is None or output.isnan().any() or not _matches(output, outcome, check.expected(probe)):
                continue
            if _right_on_core(check, implementation):
                found.append(entry)
                break
    return tuple(found)


def diagnose_what_runs(check: Check, outcomes: Sequence[Outcome]) -> Bug | None:
    """Return the one bug that explains what came back, where some probes raised and at least half of them did not."""
    ran = [outcome.value is not None for outcome in outcomes]
    if all(ran) or 2 * sum(ran) < len(ran):
        return None
    found = [entry for entry in check.bank if _explains_one_way(check, entry, outcomes, ran)]
    return found[0] if len(found) == 1 else None


def is_right(check: Check, outcome: Outcome, right: Tensor) -> bool:
    """Whether an outcome is as close to the right output as the check asks."""
    if outcome.value is None or outcome.value.shape != right.shape:
        return False
    return off_by(outcome.value, right) <= check.tolerance


def off_by(value: Tensor, right: Tensor) -> float:
    """Return the largest difference as a share of the largest right value; infinite where NaN meets a number."""
    value, right = value.double(), right.double()
    if value.numel() == 0:
        return 0.0
    return float(_difference(value, right).max()) / _scale(right)


def _explains_one_way(check: Check, entry: Bug, outcomes: Sequence[Outcome], ran: Sequence[bool] = ()) -> bool:
    return any(
        _explains(check, partial(check.assemble, {entry.part: wrong}), outcomes, (entry.name, number), ran)
        for number, wrong in enumerate((entry.wrong, *entry.also))
    )


def _explains_together(check: Check, pair: tuple[Bug, Bug], outcomes: Sequence[Outcome]) -> bool:
    one, other = pair
    parts = {one.part: one.wrong, other.part: other.wrong}
    return _explains(check, partial(check.assemble, parts), outcomes, (one.name, other.name))


def _explains(
    check: Check, assemble: Assemble, outcomes: Sequence[Outcome], key: tuple[str, Any], ran: Sequence[bool] = ()
) -> bool:
    """Whether the implementation does what the learner's does on every probe, and shows a bug in doing so.

    With `ran`, on every probe that it says.
    """
    shows, usable, total = False, 0, 0
    asked = compress(zip(check.core, outcomes, check.expected_on_core, strict=True), ran or repeat(True))
    for probe, outcome, right in asked:
        # Kept, since a learner runs a check many times.
        output = check.once(partial(_run_made, check, assemble, probe), "bug", *key, probe.name)
        if not _matches(output, outcome, right):
            return False  # most bugs leave here, on the first probe
        total += right.numel()
        if output is not None:
            known = ~output.isnan()
            usable += int(known.sum())
            shows = shows or output.shape != right.shape or off_by(output[known], right[known]) > check.tolerance
            shows = shows or _nan_at_the_same_places(output, outcome, right)
    return shows and usable >= _USABLE * total


def _matches(output: Tensor | None, outcome: Outcome, right: Tensor) -> bool:
    if output is None or outcome.value is None:
        return output is None and outcome.value is None and outcome.kind == "raised"
    if output.shape != outcome.value.shape:
        return False
    # A learner who computes in float32 is as close as float32 allows.
    tolerance = 1e-4 if outcome.value.dtype == torch.float32 else 1e-6
    # Hundreds of pairs of bugs are told apart here already; a NaN is not far off anything.
    if ((outcome.value.double() - output).abs() > tolerance * (output.abs() + _scale(right))).any():
        return False
    known = ~output.isnan()
    allowed = tolerance * (output[known].abs().nan_to_num(posinf=0.0) + _scale(right))
    return bool((_difference(outcome.value[known].double(), output[known]) <= allowed).all())


def _nan_at_the_same_places(output: Tensor, outcome: Outcome, right: Tensor) -> bool:
    """Whether a bug and the learner's code both give NaN, in just the same places, where there should be numbers."""
    bad = output.isnan() & ~right.isnan()
    return outcome.value is not None and bool(bad.any()) and torch.equal(output.isnan(), outcome.value.isnan())


def _right_on_core(check: Check, implementation: HandedIn) -> bool:
    for probe, right in zip(check.core, check.expected_on_core, strict=True):
        output = _run(check, implementation, probe)
        if output is None or output.shape != right.shape or off_by(output, right) > check.tolerance:
            return False
    return True


def _run_made(check: Check, assemble: Assemble, probe: Probe) -> Tensor | None:
    return _run(check, assemble(), probe)


def _run(check: Check, implementation: HandedIn, probe: Probe) -> Tensor | None:
    try:
        return as_tensor(implementation.on(probe.inputs, check.filled(probe))).double()
    except Exception:  # a bug may well crash on some shapes; that is part of its signature
        return None


def _difference(one: Tensor, other: Tensor) -> Tensor:
    # inf and inf are equal, though their difference is NaN; NaN meeting a number is infinitely far off.
    return torch.where(one == other, 0.0, (one - other).abs().nan_to_num(float("inf"), float("inf")))


def _scale(right: Tensor) -> float:
    return float(right.double().abs().nan_to_num(0.0, 0.0, 0.0).max()) or 1.0 if right.numel() else 1.0
