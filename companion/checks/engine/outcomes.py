"""Reading what a learner's function did on one probe: an `Outcome`, with its problem in words if it has one."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from companion.checks.engine.bank import Bug, Recognised
from companion.checks.engine.calling import (
    Problem,
    call_with_limit,
    describe,
    describe_error,
    fresh,
    type_name,
    unfinished,
)
from companion.checks.engine.check import Check
from companion.checks.engine.handed_in import HandedIn
from companion.checks.engine.probe import Probe


@dataclass(frozen=True)
class Outcome:
    """What happened on one probe.

    Attributes:
        value: the output, if there was one that can be compared.
        problem: a sentence about what is wrong with it, apart from its values; empty if nothing is.
        kind: the kind of problem: "unwritten", "timeout", "raised", "type", "shape", "dtype", "device", "nan",
            "in place", "known".
        bug: the bug that it is, if that shows in how things are built.
    """

    value: Tensor | None = None
    problem: str = ""
    kind: str = ""
    bug: Bug | None = None


def observe(check: Check, probe: Probe, handed_in: HandedIn, limit: float, dtype: torch.dtype | None = None) -> Outcome:
    """Run what is handed in on a probe, with copies of the inputs, and read what comes back."""
    inputs = {name: fresh(value, dtype) for name, value in probe.inputs.items() if name != probe.omit}
    called_with = describe({name: value for name, value in inputs.items() if name in check.form.told})
    result = call_with_limit(lambda: handed_in(**inputs), limit)
    if result.timed_out:
        return Outcome(
            problem=f"Your function was still running after {limit:g} seconds and was stopped. "
            "Is there a loop that never ends?",
            kind="timeout",
        )
    if isinstance(result.error, Recognised):
        return Outcome(problem=result.error.bug.sentence, kind="known", bug=result.error.bug)
    if isinstance(result.error, Problem):
        return Outcome(problem=str(result.error), kind="type")
    if result.error is not None:
        if isinstance(result.error, NotImplementedError) and str(result.error) in ("", "your turn"):
            return Outcome(problem="It is not written yet.", kind="unwritten")
        return Outcome(
            problem=f"Your function raised {describe_error(result.error, handed_in.codes)} (called with {called_with})",
            kind="raised",
        )
    outcome = read(check.kind, result.value, check.expected(probe), called_with)
    changed = [
        name
        for name, value in inputs.items()
        if isinstance(value, Tensor) and not _same(value, fresh(probe.inputs[name], dtype))
    ]
    if changed and not outcome.problem:
        names = " and ".join(changed)
        return Outcome(
            outcome.value,
            f"Your function changes {names} in place: the caller's tensor is spoiled. "
            "Compute a new tensor instead of using /=, masked_fill_ and the like on an input.",
            "in place",
        )
    return outcome


def read(kind: str, value: Any, expected: Tensor, called_with: str) -> Outcome:
    """Turn a returned value into an outcome."""
    if value is None:
        return Outcome(problem="Your function returned None: does it end with a return?", kind="type")
    if problem := unfinished(value):
        return Outcome(problem=problem, kind="type")
    if kind == "number":
        return _read_number(value)
    if kind == "ids":
        return _read_ids(value)
    pair = isinstance(value, tuple) or (isinstance(value, list) and any(isinstance(part, Tensor) for part in value))
    if kind == "float" and pair and len(value) == 2:
        value = value[0]  # the output, and the weights beside it
    if not isinstance(value, Tensor):
        return Outcome(problem=f"Your function returned {_what(value)}", kind="type")
    if type(value).__module__.startswith("torch.nn.attention"):  # such as torch's causal_lower_right
        return Outcome(
            problem=f"Your function returned a {type(value).__name__}, which stands for a mask and holds no numbers; "
            "an ordinary bool tensor is expected.",
            kind="type",
        )
    return _read_tensor(kind, value, expected, called_with)


def _what(value: Any) -> str:
    """Name what came back in the place of a tensor, and how a tensor becomes that; the end of a sentence."""
    if isinstance(value, (tuple, list)) and any(isinstance(part, Tensor) for part in value):
        if isinstance(value, tuple) and len(value) == 1:
            return "a tuple that holds one tensor: is there a comma after what it returns?"
        return f"{type_name(value)} of {len(value)}; one torch tensor is expected."
    if isinstance(value, (dict, bool, type(...))):
        return f"{type_name(value)}; a torch tensor is expected."
    # .item() and .numpy() are how a tensor is most often lost.
    return (
        f"{type_name(value)}; a torch tensor is expected "
        "(.item(), .tolist() and .numpy() leave torch, and the gradient with it)."
    )


def _read_tensor(kind: str, value: Tensor, expected: Tensor, called_with: str) -> Outcome:
    if value.device.type != "cpu":
        return Outcome(
            problem=f"Your output is on {value.device}, the inputs were on cpu: "
            "make new tensors on the device of the inputs (device=query.device, say).",
            kind="device",
        )
    value = value.detach()
    if value.layout != torch.strided:
        return Outcome(problem="Your output is a sparse tensor; an ordinary, dense one is expected.", kind="type")
    if value.is_complex():
        return Outcome(problem="Your output is complex; real numbers are expected.", kind="dtype")
    name = str(value.dtype).removeprefix("torch.")
    if value.shape != expected.shape:
        return Outcome(
            value.double(),
            f"Your output has shape {tuple(value.shape)}; it should be {tuple(expected.shape)} for {called_with}.",
            "shape",
        )
    if kind == "bool":
        if value.dtype != torch.bool:
            return Outcome(
                value.double(), f"Your mask is {name}; masks here are bool, and True means 'may attend'.", "dtype"
            )
        return Outcome(value.double())
    if value.dtype not in (torch.float32, torch.float64):
        return Outcome(
            value.double(),
            f"Your output is {name}; it should keep the dtype of the inputs.",
            "dtype",
        )
    bad = ~value.isfinite() & expected.isfinite()
    if bad.any():
        what = "NaN" if value.isnan().any() else "infinite"
        return Outcome(
            value.double(), f"{int(bad.sum())} of the {bad.numel()} numbers in your output are {what}.", "nan"
        )
    return Outcome(value)  # float32 stays, so that the comparison knows


def _read_number(value: Any) -> Outcome:
    # Tensors and NumPy's scalars and arrays know how many numbers they hold, and give the one by .item().
    size = value.numel() if isinstance(value, Tensor) else getattr(value, "size", 0)
    if size == 1 and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return Outcome(problem=f"Your function returned {type_name(value)}; a number is expected.", kind="type")
    number = torch.tensor(float(value), dtype=torch.float64)
    if not number.isfinite():
        return Outcome(number, f"Your function returned {float(value)}; a finite number is expected.", "nan")
    return Outcome(number)


def _read_ids(value: Any) -> Outcome:
    if isinstance(value, Tensor) and value.dim() == 1:
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        return Outcome(problem=f"Your function returned {type_name(value)}; a list of ids is expected.", kind="type")
    ids = [item.item() if isinstance(item, Tensor) and item.numel() == 1 else item for item in value]
    wrong = [item for item in ids if isinstance(item, bool) or not isinstance(item, numbers.Integral)]
    if wrong:
        return Outcome(
            problem=f"Your list holds {type_name(wrong[0])}; each entry should be the id of a token, an int.",
            kind="type",
        )
    return Outcome(torch.tensor([int(item) for item in ids], dtype=torch.int64))


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)
