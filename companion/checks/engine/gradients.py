"""Comparing gradients: an output can be right while no gradient, or a wrong one, flows back from it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from companion.checks.engine.calling import call_with_limit, describe_error, fresh
from companion.checks.engine.check import Check
from companion.checks.engine.diagnosis import off_by
from companion.checks.engine.handed_in import HandedIn
from companion.checks.engine.probe import Probe


class _Detached(Exception):
    """The output has no gradient at all."""


def gradient_problem(check: Check, handed_in: HandedIn, probe: Probe, limit: float, dtype: torch.dtype | None) -> str:
    """Say in a sentence what is wrong with the gradients on a probe; empty if nothing is."""
    if not probe.gradients:
        return ""
    shape = check.expected(probe).shape
    weights = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float32).double()
    result = call_with_limit(lambda: _gradients(handed_in, probe, weights, dtype), limit)
    if isinstance(result.error, _Detached):
        return (
            "Your output is right, but it is detached: no gradient can flow back from it. Do not use .detach(), "
            ".data, .item(), .numpy() or torch.no_grad() on the way."
        )
    if result.timed_out:
        return f"Your output is right, but its gradient was not there after {limit:g} seconds."
    if result.error is not None:
        return f"Your output is right, but it cannot be differentiated: {describe_error(result.error, handed_in.codes)}"
    cut_off = [name for name, yours in zip(probe.gradients, result.value, strict=True) if yours is None]
    if cut_off:
        names = ", ".join(cut_off[:4]) + (f" and {len(cut_off) - 4} more" if len(cut_off) > 4 else "")
        return f"Your output is right, but no gradient reaches {names}: part of the computation is detached."
    right_ones = check.once(
        lambda: _gradients(check.hand_in(check.right), probe, weights, None), "gradients", probe.name
    )
    for name, yours, right in zip(probe.gradients, result.value, right_ones, strict=True):
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


def edge_gradient_problem(
    check: Check, handed_in: HandedIn, probe: Probe, limit: float, dtype: torch.dtype | None
) -> str:
    """Say in a sentence that gradients of an edge case are not finite, where those of the right answer are."""
    floats = tuple(name for name, x in probe.inputs.items() if isinstance(x, Tensor) and x.is_floating_point())
    asked = replace(probe, gradients=probe.gradients or floats)
    weights = torch.ones(check.expected(probe).shape, dtype=torch.float64)
    right = check.once(
        lambda: _gradients(check.hand_in(check.right), asked, weights, None), "edge gradients", probe.name
    )
    result = call_with_limit(lambda: _gradients(handed_in, asked, weights, dtype), limit)
    if result.error is not None or result.timed_out:
        return ""  # that is told of the other probes
    odd = [
        name
        for name, yours, known in zip(asked.gradients, result.value, right, strict=True)
        if yours is not None and known is not None and known.isfinite().all() and not yours.isfinite().all()
    ]
    if not odd:
        return ""
    return (
        f"On {probe.name} your output is right, but its gradient with respect to {', '.join(odd[:4])} is not finite: "
        "after a step of training the parameters are not either. nan_to_num and a product with 0 mend the output alone."
    )


def _gradients(
    handed_in: HandedIn, probe: Probe, weights: Tensor, dtype: torch.dtype | None
) -> tuple[Tensor | None, ...]:
    """Return the gradients of a fixed weighted sum of the output."""
    inputs = {name: fresh(value, dtype) for name, value in probe.inputs.items()}
    leaves = [inputs[name].requires_grad_() for name in probe.gradients]
    output = handed_in(**inputs)
    output = output[0] if isinstance(output, (tuple, list)) else output
    if not output.requires_grad:
        raise _Detached
    return torch.autograd.grad((output.double() * weights).sum(), leaves, allow_unused=True)
