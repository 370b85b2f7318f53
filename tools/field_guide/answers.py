"""Calling a bug on the questions of its check, and sorting what it answers.

The bugs are our own: they need none of the engine's care with what learners hand in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from companion.checks import Check, HandedIn, Probe, off_by

Call = Callable[..., Any]


def without_weights(handed_in: HandedIn) -> Call:
    """Return a function that calls what is handed in, and of output and weights returns the output."""

    def call(**inputs: Any) -> Any:
        value = handed_in(**inputs)
        return value[0] if isinstance(value, tuple) else value

    return call


def tensor_or_error(call: Call, inputs: Mapping[str, Any]) -> Tensor | Exception:
    """Return the output as a tensor; a bug may well crash on some sizes, and that is part of what it shows."""
    try:
        return torch.as_tensor(call(**inputs)).detach()
    except Exception as error:
        return error


@dataclass(frozen=True)
class Answer:
    """What a bug gives on one question.

    Attributes:
        probe: the question.
        kind: "right", "off", "nan", "shape", "dtype" or "raised".
        right: the right output.
        value: the output; empty if an exception was raised.
        error: name of the exception, if one was raised.
    """

    probe: Probe
    kind: str
    right: Tensor
    value: Tensor
    error: str = ""

    @property
    def off(self) -> float:
        """The largest difference, as a number."""
        return float((self.value.double() - self.right.double()).abs().nan_to_num(0.0).max())


def answer_to(check: Check, probe: Probe, call: Call) -> Answer:
    """Ask one question."""
    right, value = check.expected(probe), tensor_or_error(call, probe.inputs)
    if isinstance(value, Exception):
        return Answer(probe, "raised", right, torch.empty(0), type(value).__name__)
    return Answer(probe, _kind(check, value, right), right, value)


def _kind(check: Check, value: Tensor, right: Tensor) -> str:
    if value.shape != right.shape:
        return "shape"
    if check.kind == "bool" and value.dtype != torch.bool:
        return "dtype"
    if (~value.double().isfinite() & right.double().isfinite()).any():
        return "nan"
    return "right" if off_by(value, right) <= check.tolerance else "off"
