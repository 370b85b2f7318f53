"""What a look at a wrong layer asks: does one thing move another, and what are the statistics of a token.

A `Run` computes the learner's output with some inputs replaced. Shapes: B batch, L length, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from companion.checks._report import Table, number
from companion.checks._spec import Check, Probe, as_tensor

MOVED = 1e-6
_RIGHT: WeakKeyDictionary[Check, dict[tuple[str, str], Tensor | None]] = WeakKeyDictionary()
Run = Callable[..., "Tensor | None"]


def run_on(call: Callable[..., Tensor | None], probe: Probe) -> Run:
    """Return ``run(**changes)``: the output on a probe with some inputs replaced, names with dots as they are."""

    def run(changes: Mapping[str, Any] | None = None) -> Tensor | None:
        return call(**{**probe.inputs, **(changes or {})})

    return run


def perturbed(x: Tensor, *place: Any) -> Tensor:
    """Return a copy of `x` in which one place is another."""
    changed = x.clone()
    changed[place] = 0.5 - 1.5 * changed[place].flip(-1)
    return changed


def moves(run: Run, changes: Mapping[str, Any], yours: Tensor, *watched: Any) -> bool | None:
    """Whether the watched part of the output moves when inputs are changed; None if nothing comes back."""
    other = run(changes)
    if other is None or other.shape != yours.shape:
        return None
    return bool((other - yours)[watched].abs().max() > MOVED)


def other_item(run: Run, probe: Probe, yours: Tensor, name: str = "x") -> list[str]:
    """Say if the second item of the batch moves the first."""
    if moves(run, {name: perturbed(probe.inputs[name], 1)}, yours, 0):
        return ["Changing the second item of the batch moves the first."]
    return []


def unused(run: Run, probe: Probe, yours: Tensor, names: Iterable[str]) -> list[str]:
    """Name the inputs and parameters that do not move the output, though they should."""
    idle = [name for name in names if moves(run, {name: perturbed(probe.inputs[name], ...)}, yours) is False]
    if not idle:
        return []
    said = ", ".join(idle[:4]) + (f" and {len(idle) - 4} more" if len(idle) > 4 else "")
    return [f"Changing {said} does not move your output; it should."]


def heads_ignored(run: Run, probe: Probe, yours: Tensor) -> list[str]:
    """Say if the number of heads makes no difference."""
    sizes = dict(probe.inputs)
    few, many = sizes["num_heads"], sizes["d_model"]
    if moves(run, {"num_heads": many}, yours) is not False:
        return []
    return [f"With {few} heads and with {many} your output is the same."]


def token_statistics(run: Run, weight: str, bias: str, probe: Probe) -> list[str]:
    """Say if the tokens of a normalised output do not have mean 0 and deviation 1 once gain and shift are plain."""
    plain = {weight: torch.ones_like(probe.inputs[weight]), bias: torch.zeros_like(probe.inputs[bias])}
    yours = run(plain)
    if yours is None or yours.dim() != 3 or yours.size(-1) < 2:
        return []
    means, deviations = yours.mean(dim=-1), yours.std(dim=-1, correction=0)
    if means.abs().max() < 0.01 and (deviations - 1).abs().max() < 0.01:
        return []
    return [
        f"With weight 1 and bias 0 in the norm, your tokens have mean {spread(means)} and standard deviation "
        f"{spread(deviations)}; they should have mean 0 and deviation 1."
    ]


def influence_by_change(run: Run, x: Tensor, yours: Tensor, name: str = "x") -> Tensor | None:
    """Return (L, S): how far output t of the first item moves when token s of an input is changed."""
    columns = []
    for token in range(x.size(1)):
        other = run({name: perturbed(x, 0, token)})
        if other is None or other.shape != yours.shape:
            return None
        columns.append((other - yours)[0].abs().amax(dim=-1))
    return torch.stack(columns, dim=1)


def influence_table(
    check: Check, probe: Probe, run: Run, yours: Tensor, name: str = "x", what: str = "token", how_far: bool = True
) -> list[Table]:
    """Draw which token of an input moves which output, beside what is right; nothing where that is the same.

    Unless it matters how far, only whether it moves.
    """
    influence = influence_by_change(run, probe.inputs[name], yours, name)
    expected = _right_influence(check, probe, name)
    if influence is None or expected is None:
        return []
    if not how_far and torch.equal(influence > MOVED, expected > MOVED):
        return []
    caption = f"How far output t moves when {what} s is changed (t down, s across)"
    table = Table.compare(caption, influence, expected)
    return [table] if any(map(any, table.wrong)) else []


def _right_influence(check: Check, probe: Probe, name: str) -> Tensor | None:
    known = _RIGHT.setdefault(check, {})
    if (probe.name, name) not in known:
        right = check.adapt(check.right)

        def run(changes: Mapping[str, Any] | None = None) -> Tensor:
            return as_tensor(right(**{**probe.inputs, **(changes or {})}))

        known[probe.name, name] = influence_by_change(run, probe.inputs[name], run(), name)
    return known[probe.name, name]


def tokens_meet(run: Run, x: Tensor, yours: Tensor) -> list[Table]:
    """Draw which token moves which, where each should move itself alone; nothing where that is so."""
    influence = influence_by_change(run, x, yours)
    if influence is None or not (influence > MOVED).triu(1).any() | (influence > MOVED).tril(-1).any():
        return []
    caption = "1 where changing token s moves output t (t down, s across)"
    moved = (influence > MOVED).double()
    return [Table.compare(caption, moved, torch.eye(moved.size(0)))]


def spread(x: Tensor) -> str:
    """Write the range of some numbers."""
    low, high = number(float(x.min())), number(float(x.max()))
    return low if low == high else f"{low} to {high}"
