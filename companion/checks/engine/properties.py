"""Properties of what is handed in, which need no right answer beside it. The first of them: what moves what.

`how_far` is that property, for every check and for the field guide. Most of what follows asks it for one change: does
the future move the past, does one item of a batch move another, is there a parameter that moves nothing?

Shapes: B batch, T and S tokens, D features.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from companion.checks.engine.check import Check
from companion.checks.engine.evidence import Call, NoAnswer
from companion.checks.engine.probe import Probe
from companion.checks.engine.report import Table, number

MOVED = 1e-6


def how_far(layer, x, others):  # type: ignore[no-untyped-def] # the field guide shows it, as one would write it
    """Say how far each output of a layer moves if x is another.

    There is one row for each of the others; the last axis, that of the
    features, is gone.
    """
    before = layer(x)
    moves = [(layer(other) - before).abs().amax(dim=-1) for other in others]
    return torch.stack(moves)


class Run:
    """Runs what is handed in on a probe of a check, with some inputs replaced: ``run({"x": other})``.

    Args:
        check: gives the right output, `right`.
        call: calls what is handed in.
        probe: a probe of the check.
        changes: inputs that are always replaced.
    """

    def __init__(self, check: Check, call: Call, probe: Probe, changes: Mapping[str, Any] | None = None) -> None:
        self.call = call
        self.inputs = {**probe.inputs, **(changes or {})}
        self.right = check.answer(self.inputs) if changes else check.expected(probe)

    @cached_property
    def yours(self) -> Tensor:
        """The output without a change.

        Raises:
            NoAnswer: if nothing of the right shape comes back.
        """
        return self._run({})

    def __call__(self, changes: Mapping[str, Any]) -> Tensor:
        """Return the output with some inputs replaced; raises `NoAnswer` as `yours` does."""
        return self._run(changes) if changes else self.yours

    def maybe(self, changes: Mapping[str, Any]) -> Tensor | None:
        """Return the output with some inputs replaced; None if nothing of the right shape comes back."""
        try:
            return self(changes)
        except NoAnswer:
            return None

    def far(self, changes: Mapping[str, Any]) -> Tensor | None:
        """Return how far each output moves when some inputs are replaced; None if nothing comes back."""
        try:
            moved: Tensor = how_far(self, {}, [changes])[0]
        except NoAnswer:
            return None
        return moved

    def moves(self, changes: Mapping[str, Any], *watched: Any) -> bool | None:
        """Whether the watched part of the output moves when inputs are replaced; None if nothing comes back."""
        moved = self.far(changes)
        return None if moved is None else bool(moved[watched].max() > MOVED)

    def influence(self, name: str = "x") -> Tensor | None:
        """Return (T, S): how far output t of the first item moves when token s of an input is another."""
        x = self.inputs[name]
        try:
            moved: Tensor = how_far(self, {}, [{name: perturbed(x, 0, token)} for token in range(x.size(1))])
        except NoAnswer:
            return None
        return moved[:, 0].T

    def _run(self, changes: Mapping[str, Any]) -> Tensor:
        output = self.call(**{**self.inputs, **changes})
        if output is None or output.shape != self.right.shape:
            raise NoAnswer
        return output


def perturbed(x: Tensor, *place: Any) -> Tensor:
    """Return a copy of `x` in which one place is another."""
    changed = x.clone()
    changed[place] = 0.5 - 1.5 * changed[place].flip(-1)
    return changed


def other_item(run: Run, name: str = "x") -> list[str]:
    """Say if the second item of the batch moves the first."""
    if run.moves({name: perturbed(run.inputs[name], 1)}, 0):
        return ["Changing the second item of the batch moves the first."]
    return []


def unused(run: Run, names: Iterable[str]) -> list[str]:
    """Name the inputs and parameters that do not move the output, though they should."""
    idle = [name for name in names if run.moves({name: perturbed(run.inputs[name], ...)}) is False]
    if not idle:
        return []
    said = ", ".join(idle[:4]) + (f" and {len(idle) - 4} more" if len(idle) > 4 else "")
    return [f"Changing {said} does not move your output; it should."]


def heads_ignored(run: Run) -> list[str]:
    """Say if the number of heads makes no difference."""
    few, many = run.inputs["num_heads"], run.inputs["d_model"]
    if run.moves({"num_heads": many}) is not False:
        return []
    return [f"With {few} heads and with {many} your output is the same."]


def token_statistics(run: Run, norm: str) -> list[str]:
    """Say if the tokens of a normalised output do not have mean 0 and deviation 1 once gain and shift are plain."""
    weight, bias = f"{norm}weight", f"{norm}bias"
    yours = run.maybe({weight: torch.ones_like(run.inputs[weight]), bias: torch.zeros_like(run.inputs[bias])})
    if yours is None or yours.dim() != 3 or yours.size(-1) < 2:
        return []
    means, deviations = yours.mean(dim=-1), yours.std(dim=-1, correction=0)
    if means.abs().max() < 0.01 and (deviations - 1).abs().max() < 0.01:
        return []
    return [
        f"With weight 1 and bias 0 in the norm, your tokens have mean {spread(means)} and standard deviation "
        f"{spread(deviations)}; they should have mean 0 and deviation 1."
    ]


def influence_table(
    check: Check, probe: Probe, run: Run, name: str = "x", what: str = "token", only_whether: bool = False
) -> list[Table]:
    """Draw which token of an input moves which output, beside what is right; nothing where that is the same.

    Unless it matters how far, only whether it moves.
    """
    influence = run.influence(name)
    expected = check.once(lambda: right_run(check, probe).influence(name), "influence", probe.name, name)
    if influence is None or expected is None:
        return []
    if only_whether and torch.equal(influence > MOVED, expected > MOVED):
        return []
    caption = f"How far output t moves when {what} s is changed (t down, s across)"
    table = Table.compare(caption, influence, expected)
    return [table] if any(map(any, table.wrong)) else []


def right_run(check: Check, probe: Probe) -> Run:
    """Return a run of what is right."""
    return Run(check, lambda **inputs: check.answer(inputs), probe)


def tokens_meet(run: Run) -> list[Table]:
    """Draw which token moves which, where each should move itself alone; nothing where that is so."""
    influence = run.influence()
    if influence is None or not (influence > MOVED).triu(1).any() | (influence > MOVED).tril(-1).any():
        return []
    caption = "1 where changing token s moves output t (t down, s across)"
    moved = (influence > MOVED).double()
    return [Table.compare(caption, moved, torch.eye(moved.size(0)))]


def spread(x: Tensor) -> str:
    """Write the range of some numbers."""
    low, high = number(float(x.min())), number(float(x.max()))
    return low if low == high else f"{low} to {high}"
