"""What is kept from one call to the next: it is seen when a call follows one with other numbers of the same shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from companion.checks.engine.check import Check
from companion.checks.engine.diagnosis import is_right
from companion.checks.engine.handed_in import HandedIn, others
from companion.checks.engine.outcomes import Outcome, observe
from companion.checks.engine.probe import Probe


def kept_by_a_used_one(
    check: Check, handed_in: HandedIn, outcomes: Sequence[Outcome], limit: float, dtype: torch.dtype | None
) -> str:
    """Say in a sentence if what was called with other inputs before is wrong where what was not is right."""
    used = handed_in.used()
    if used is None:
        return ""
    for probe in _right_ones(check, outcomes):
        again = observe(check, probe, used, limit, dtype)
        if again.value is None:
            return f"The first call works; one that comes after another does not. {again.problem}"
        if not is_right(check, again, check.expected(probe)):
            return check.form.kept
    return ""


def kept_by_a_function(
    check: Check, handed_in: HandedIn, outcomes: Sequence[Outcome], limit: float, dtype: torch.dtype | None
) -> tuple[str, bool]:
    """Call a function once more with other numbers, where it is right.

    Returns:
        a sentence that names what it keeps, if its output is the right one for an input of the call before; and whether
        its output was wrong there at all.
    """
    wrong = False
    for probe in _right_ones(check, outcomes) if handed_in.used() is None else ():
        following = replace(probe, name=f"{probe.name}, then another", inputs=others(probe.inputs))
        observe(check, probe, handed_in, limit, dtype)
        again = observe(check, following, handed_in, limit, dtype)
        if is_right(check, again, check.expected(following)):
            continue
        wrong = True
        for kept in [name for name, x in probe.inputs.items() if isinstance(x, Tensor)]:
            if is_right(check, again, check.answer({**following.inputs, kept: probe.inputs[kept]})):
                said = f"Your function keeps {kept} from one call to the next: called again with another of the same "
                return f"{said}shape, it uses the one before.", wrong
        if is_right(check, again, check.expected(probe)):
            return "Your function keeps its output: called again with other inputs, it returns that.", wrong
    return "", wrong


def _right_ones(check: Check, outcomes: Sequence[Outcome]) -> Iterator[Probe]:
    for probe, outcome in zip(check.core, outcomes, strict=True):
        if not outcome.problem and is_right(check, outcome, check.expected(probe)):
            yield probe
