"""Judging a learner's function: run it on the probes, compare, and say what was found.

The order is that of a patient reader: can it be called at all, does it come back, are its values right, does it
hold on edge cases, do its gradients flow. What is found first is said; the rest waits for the next run.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from companion.checks.engine.bank import Bug
from companion.checks.engine.calling import call_with_limit, fresh
from companion.checks.engine.check import Check
from companion.checks.engine.diagnosis import diagnose, diagnose_edge, diagnose_what_runs, is_right, off_by
from companion.checks.engine.evidence import Evidence
from companion.checks.engine.gradients import edge_gradient_problem, gradient_problem
from companion.checks.engine.kept import kept_by_a_function, kept_by_a_used_one
from companion.checks.engine.outcomes import Outcome, observe, read
from companion.checks.engine.probe import Probe
from companion.checks.engine.report import CheckFailed, Report
from companion.checks.engine.words import compare, name, right_and_wrong, see

_GRAVITY = ("raised", "type", "shape", "device", "dtype", "nan", "in place")  # which problem is told, of several
_GENERAL_HINT = "Compare your code with the definition, one step at a time, on inputs small enough to do by hand."
_STOPPED_HINTS = {
    "unwritten": "Replace the line that raises NotImplementedError by your own code, then run the check again.",
    "timeout": "Print something inside the loop: what should change from one round to the next, and does it?",
}
_FLOAT32_ONLY = (
    "Your function works with float32 inputs only: it makes tensors without saying dtype. "
    "Take the dtype of the inputs, as in torch.zeros(..., dtype=query.dtype)."
)


def run_check(check: Check, thing: Any, raises: bool, time_limit: float) -> Report:
    """Judge what is handed in; raise `CheckFailed` if it fails, unless told to return the report."""
    __tracebackhide__ = True
    with _undisturbed():
        report = _Judge(check, thing, time_limit).judge()
    if raises and not report.passed:
        raise CheckFailed(report) from None
    return report


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Judge the same wherever a check is called, and leave no trace there: no warning, no moved random number."""
    default = torch.get_default_dtype()
    # Asked first: a device context would slow down every call of torch.
    on_cpu = nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")
    with (
        warnings.catch_warnings(),  # what the learner's code warns of is not the check's business
        torch.random.fork_rng(devices=[]),
        torch.inference_mode(False),
        torch.enable_grad(),
        on_cpu,
    ):
        warnings.simplefilter("ignore")
        torch.default_generator.manual_seed(0)  # a report about leftover dropout is the same each time
        try:
            yield
        finally:
            torch.set_default_dtype(default)


class _Judge:
    """One run of one check."""

    def __init__(self, check: Check, thing: Any, limit: float) -> None:
        self.check = check
        self.handed_in = check.hand_in(thing)
        self.limit = limit
        self.dtype: torch.dtype | None = None  # None: the probes' own float64
        self.warnings: list[str] = []
        self.doubt = False  # wrong in a second call

    def judge(self) -> Report:
        if problem := self.handed_in.problem():
            return self.fail(problem)
        outcomes = self.observe_core()
        return (
            self.stopped(outcomes)
            or self.random(outcomes[0])
            or self.remembering(outcomes)
            or self.values(outcomes)
            or self.stale(outcomes)
            or self.without_optional()
            or self.edges()
            or self.gradients()
            or self.doubtful()
            or Report(self.check.name, True, warnings=(*self.remark(), *self.warnings))
        )

    def remark(self) -> tuple[str, ...]:
        """Return what is said in any case: what was taken for what."""
        return (self.handed_in.remark,) if self.handed_in.remark else ()

    def observe_core(self) -> list[Outcome]:
        outcomes = self.observe_until_stopped()
        raised = [outcome for outcome in outcomes if outcome.kind == "raised"]
        if any("dtype" in outcome.problem or "scalar type" in outcome.problem for outcome in raised):
            self.dtype = torch.float32
            again = self.observe_until_stopped()
            if not any(outcome.kind == "raised" for outcome in again):
                self.warnings.append(_FLOAT32_ONLY)
                return again
            self.dtype = None
        elif self.takes_floats() and any(o.value is not None and o.value.dtype == torch.float32 for o in outcomes):
            self.warnings.append("Your output is float32 for float64 inputs: keep the dtype of the inputs.")
        return outcomes

    def takes_floats(self) -> bool:
        inputs = self.check.core[0].inputs.values()
        return any(isinstance(value, Tensor) and value.is_floating_point() for value in inputs)

    def observe_until_stopped(self) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for probe in self.check.core:
            outcomes.append(self.observe(probe))
            if outcomes[-1].kind in ("timeout", "unwritten"):
                break
        return outcomes

    def observe(self, probe: Probe) -> Outcome:
        return observe(self.check, probe, self.handed_in, self.limit, self.dtype)

    # Each step below returns a failing report, or None if it has nothing to say.

    def stopped(self, outcomes: Sequence[Outcome]) -> Report | None:
        if outcomes[-1].kind in ("timeout", "unwritten"):
            return self.fail(outcomes[-1].problem, hint=_STOPPED_HINTS[outcomes[-1].kind])
        return None

    def random(self, first: Outcome) -> Report | None:
        again = self.observe(self.check.core[0])
        if first.value is None or again.value is None or not again.value.isfinite().all():
            return None
        same_shape = first.value.shape == again.value.shape
        if same_shape and off_by(again.value, first.value) <= self.check.tolerance:
            return None
        return self.fail(
            "Two calls with the same inputs give different outputs: something random, such as dropout, "
            "is still active, or something is kept from one call to the next."
            # A module is built anew for each call.
            + (" Or a tensor that __init__ draws is used beside the parameters." if self.handed_in.used() else "")
        )

    def remembering(self, outcomes: Sequence[Outcome]) -> Report | None:
        kept = kept_by_a_used_one(self.check, self.handed_in, outcomes, self.limit, self.dtype)
        return self.fail(kept) if kept else None

    def stale(self, outcomes: Sequence[Outcome]) -> Report | None:
        kept, self.doubt = kept_by_a_function(self.check, self.handed_in, outcomes, self.limit, self.dtype)
        return self.fail(kept) if kept else None

    def doubtful(self) -> Report | None:
        if not self.doubt:
            return None
        return self.fail(
            "It is right on the check's questions, and wrong where their numbers are turned about: either something is "
            "kept from one call to the next, or it is right for some numbers only."
        )

    def values(self, outcomes: Sequence[Outcome]) -> Report | None:
        expected = self.check.expected_on_core
        right = [is_right(self.check, outcome, value) for outcome, value in zip(outcomes, expected, strict=True)]
        problems = [outcome for outcome in outcomes if outcome.problem]
        if all(right):
            return self.fail(problems[0].problem) if problems else None
        built = next((outcome.bug for outcome in outcomes if outcome.bug), None)
        if built is not None:  # it shows in how things are built; nothing else can be looked at before that
            return self.fail_by_name([(built,)], Evidence(), [])
        found = diagnose(self.check, outcomes)
        evidence = self.evidence()
        if found:
            # A shape or a crash is part of the bug's signature. A dtype or a spoiled input is a second thing.
            extra = [outcome.problem for outcome in problems if outcome.kind in ("dtype", "in place")]
            return self.fail_by_name(found, evidence, extra[:1])
        if kept := self.stale(outcomes):
            return kept
        where = right_and_wrong(self.check.core, right)
        facts = [*where, *evidence.measured, *evidence.facts]
        if problems:
            worst = min(problems, key=lambda outcome: _GRAVITY.index(outcome.kind))
            partly = diagnose_what_runs(self.check, outcomes) if worst.kind == "raised" else None
            also = f". And where it runs: {partly.sentence}" if partly else ""
            return self.fail(worst.problem + also, facts, evidence)
        return self.fail(compare(outcomes, expected), facts, evidence)

    def without_optional(self) -> Report | None:
        for probe in self.check.probes:
            if not probe.omit or not self.handed_in.has_default(probe.omit):
                continue
            outcome = self.observe(probe)
            if outcome.problem or not is_right(self.check, outcome, self.check.expected(probe)):
                said = outcome.problem or probe.remedy or "Your output is not the right one."
                return self.fail(f"It is right, except when it is called with {probe.name}. {said}")
        return None

    def edges(self) -> Report | None:
        for probe in self.check.probes:
            if not probe.edge_warning:
                continue
            outcome = self.observe(probe)
            if outcome.kind == "nan":
                self.warnings.append(probe.edge_warning)
            elif outcome.problem:
                return self.fail(f"It is right, except on {probe.name}. {outcome.problem}")
            elif not is_right(self.check, outcome, self.check.expected(probe)):
                found = diagnose_edge(self.check, probe, outcome)
                if found:
                    return self.fail_by_name(tuple((entry,) for entry in found), Evidence(), [])
                return self.fail(f"It is right, except on {probe.name}. {probe.remedy}".rstrip())
            else:
                problem = edge_gradient_problem(self.check, self.handed_in, probe, self.limit, self.dtype)
                self.warnings += [problem] if problem else []
        return None

    def gradients(self) -> Report | None:
        for probe in self.check.core:
            problem = gradient_problem(self.check, self.handed_in, probe, self.limit, self.dtype)
            if problem:
                return self.fail(problem)
        return None

    def evidence(self) -> Evidence:
        def call(**inputs: Any) -> Tensor | None:
            copies = {name: fresh(x, self.dtype) for name, x in inputs.items()}
            result = call_with_limit(lambda: self.handed_in(**copies), self.limit)
            if result.error is not None or result.timed_out:
                return None
            value = read(self.check.kind, result.value, torch.empty(0), "").value
            return None if value is None else value.double()

        return self.check.look_at(call)

    def fail_by_name(self, ways: Sequence[tuple[Bug, ...]], evidence: Evidence, extra: list[str]) -> Report:
        message, bugs = name(ways)
        if not bugs:
            return self.fail(message, evidence.facts, evidence)
        hints = (" ".join(entry.hint for entry in bugs), see(*(entry.section for entry in bugs)))
        facts = (*evidence.facts[:2], *extra)
        names = tuple(entry.name for entry in bugs)
        return Report(self.check.name, False, message, names, facts, self.remark(), hints, tuple(evidence.tables))

    def fail(
        self, message: str, facts: Sequence[str] = (), evidence: Evidence | None = None, hint: str = _GENERAL_HINT
    ) -> Report:
        tables = tuple(evidence.tables) if evidence else ()
        hints = (hint, see(self.check.section))
        return Report(self.check.name, False, message, (), tuple(facts)[:5], self.remark(), hints, tables)
