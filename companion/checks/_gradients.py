"""Comparing gradients: an output can be right while no gradient, or a wrong one, flows back from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from companion.checks._calls import arrange, call_with_limit, describe_error, fresh
from companion.checks._diagnosis import off_by
from companion.checks._spec import Check, Probe

_RIGHT: WeakKeyDictionary[Check, dict[str, tuple[Tensor | None, ...]]] = WeakKeyDictionary()


class _Detached(Exception):
    """The output has no gradient at all."""


def gradient_problem(
    check: Check, function: Callable[..., Any], probe: Probe, limit: float, dtype: torch.dtype | None
) -> str:
    """Say in a sentence what is wrong with the gradients on a probe; empty if nothing is."""
    if not probe.gradients:
        return ""
    shape = check.expected(probe).shape
    weights = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float32).double()
    result = call_with_limit(_gradients, (function, probe, weights, dtype), {}, limit)
    if isinstance(result.error, _Detached):
        return (
            "Your output is right, but it is detached: no gradient can flow back from it. Do not use .detach(), "
            ".data, .item(), .numpy() or torch.no_grad() on the way."
        )
    if result.timed_out:
        return f"Your output is right, but its gradient was not there after {limit:g} seconds."
    if result.error is not None:
        return f"Your output is right, but it cannot be differentiated: {describe_error(result.error, function)}"
    cut_off = [name for name, yours in zip(probe.gradients, result.value, strict=True) if yours is None]
    if cut_off:
        names = ", ".join(cut_off[:4]) + (f" and {len(cut_off) - 4} more" if len(cut_off) > 4 else "")
        return f"Your output is right, but no gradient reaches {names}: part of the computation is detached."
    for name, yours, right in zip(probe.gradients, result.value, _right_gradients(check, probe, weights), strict=True):
        if not yours.any():
            return f"Your output is right, but no gradient reaches {name}: part of the computation is detached."
        if not yours.isfinite().all():
            return f"Your output is right, but its gradient with respect to {name} is not finite."
        if right is not None and off_by(yours, right) > check.tolerance:
            return (
                f"Your output is right, but its gradient with respect to {name} is not: "
                "part of the computation is detached, or done in low precision."
            )
    return ""


def _right_gradients(check: Check, probe: Probe, weights: Tensor) -> tuple[Tensor | None, ...]:
    known = _RIGHT.setdefault(check, {})
    if probe.name not in known:
        known[probe.name] = _gradients(check.adapt(check.right), probe, weights, None)
    return known[probe.name]


def _gradients(
    function: Callable[..., Any], probe: Probe, weights: Tensor, dtype: torch.dtype | None
) -> tuple[Tensor | None, ...]:
    """Return the gradients of a fixed weighted sum of the output."""
    inputs = {name: fresh(value, dtype) for name, value in probe.inputs.items()}
    leaves = [inputs[name].requires_grad_() for name in probe.gradients]
    args, kwargs = arrange(function, inputs)
    output = function(*args, **kwargs)
    output = output[0] if isinstance(output, (tuple, list)) else output
    if not output.requires_grad:
        raise _Detached
    return torch.autograd.grad((output.double() * weights).sum(), leaves, allow_unused=True)
