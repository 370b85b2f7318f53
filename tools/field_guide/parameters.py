"""What a bug does with the parameters that it is given: which it does not use, and what a fresh layer would hide."""

import torch
from torch import Tensor

from companion.checks import Check, Probe

from . import own_tests
from .answers import Call, tensor_or_error


def plain(probe: Probe) -> dict[str, Tensor]:
    """Gains of 1 and shifts of 0 for the last norm of a layer."""
    norms = [name.removesuffix("weight") for name in probe.inputs if name.endswith("norm.weight") or name == "weight"]
    last = norms[-1]
    weight, bias = probe.inputs[f"{last}weight"], probe.inputs[f"{last}bias"]
    return {f"{last}weight": torch.ones_like(weight), f"{last}bias": torch.zeros_like(bias)}


def _parameters(check: Check, probe: Probe) -> dict[str, Tensor]:
    apart = {*check.form.told, "training"}
    named = {name: value for name, value in probe.inputs.items() if name not in apart}
    if check.form.what == "function":  # it is given its parameters among its inputs
        named = {n: v for n, v in probe.inputs.items() if n.startswith(("w_", "b")) or n == "v"}
    return {name: value for name, value in named.items() if isinstance(value, Tensor) and value.is_floating_point()}


def idle(check: Check, call: Call) -> list[str]:
    """Return the parameters that never have a gradient where the right implementation gives them one."""
    asked: dict[str, bool] = {}  # by name: whether it had a gradient
    for probe in check.core:
        try:
            without = _without_gradient(check, probe, call)
        except Exception:
            continue
        right = _without_gradient(check, probe, check.hand_in(check.right))
        for name in _parameters(check, probe):
            if name not in right:
                asked[name] = asked.get(name, False) or name not in without
        if all(asked.values()):
            break
    return [name for name, used in asked.items() if not used]


def _without_gradient(check: Check, probe: Probe, call: Call) -> list[str]:
    leaves = {name: value.detach().clone().requires_grad_() for name, value in _parameters(check, probe).items()}
    return own_tests.without_gradient(call(**{**probe.inputs, **leaves}), leaves) if leaves else []


def hidden_on_a_fresh_layer(check: Check, call: Call) -> bool:
    """Whether a bug is right while gains are 1 and biases 0, as in a layer that has not learned yet."""
    for probe in check.core:
        inputs = dict(probe.inputs)
        for name, value in _parameters(check, probe).items():
            if name.endswith("bias"):
                inputs[name] = torch.zeros_like(value)
            elif name.endswith("norm.weight") or name == "weight":
                inputs[name] = torch.ones_like(value)
        yours, right = tensor_or_error(call, inputs), check.answer(inputs)
        if not isinstance(yours, Tensor) or yours.shape != right.shape:
            return False
        if not torch.allclose(yours.double(), right, rtol=1e-4, atol=1e-4 * float(right.abs().max())):
            return False
    return True
