"""What a bug does: on each question of its check, and in each test that a reader could run."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from companion.checks import Bug, Check, Table, number

from . import asking
from .answers import Answer, answer_to, tensor_or_error, without_weights


@dataclass(frozen=True)
class Shown:
    """All that a bug shows.

    Attributes:
        answers: one for each question, those on edge cases last.
        facts: what the check says that it sees, in its words.
        tables: the check's evidence, drawn.
        failed: names of the tests in `own_tests` (or of kinds of failure) that see it.
        idle: parameters that have no effect, though they should.
        structural: it shows in what is built or handed back, and not in numbers.
    """

    answers: list[Answer]
    facts: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    structural: bool = False


def show(check: Check, entry: Bug) -> Shown:
    """Run a bug's first form on everything there is to ask."""
    call = without_weights(check.implementations(entry)[0])

    def output(**inputs: Any) -> Tensor | None:
        found = tensor_or_error(call, inputs)
        return found.double() if isinstance(found, Tensor) else None

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        torch.default_generator.manual_seed(0)
        answers = [answer_to(check, probe, call) for probe in check.probes if not probe.omit]
        if any(answer.error == "Recognised" for answer in answers):
            return Shown(answers, structural=True)
        evidence = check.look_at(output)
        failed, idle = asking.ask(check, call, {answer.kind for answer in answers if answer.probe.core})
    return Shown(answers, evidence.facts, evidence.tables, failed, idle)


def in_numbers(shown: Shown) -> str:
    """Say in one or two sentences on which questions a bug is wrong, and by how much."""
    if shown.structural:
        return "The check sees it in what is built or handed back, not in the numbers."
    said = [_where(shown.answers)]
    off = [answer for answer in shown.answers if answer.kind == "off"]
    if off and off[0].right.dtype == torch.bool:
        bad, first = int((off[0].value != off[0].right).sum()), off[0]
        said.append(f"On “{first.probe.name}” {bad} of {first.right.numel()} places are wrong.")
    elif off and off[0].right.is_floating_point():
        worst = max([answer for answer in off if answer.probe.core] or off, key=lambda answer: answer.off)
        largest = float(worst.right.double().abs().max())
        said.append(f"It is off by up to {amount(worst.off)}, where the right numbers reach {amount(largest)}.")
    for kind in ("raised", "shape", "dtype", "nan"):
        if some := [answer for answer in shown.answers if answer.kind == kind]:
            said.append(_say(kind, some))
    return " ".join(said)


def amount(x: float) -> str:
    """Write how much in few digits, however much it is."""
    return f"{x:.0e}" if x >= 1e5 or 0 < x < 1e-3 else f"{x:.4f}" if x < 0.01 else number(x)


def _where(answers: list[Answer]) -> str:
    right = [answer.probe.name for answer in answers if answer.kind == "right"]
    wrong = [answer.probe.name for answer in answers if answer.kind != "right"]
    if not right:
        return f"It is wrong on all of the check's {len(wrong)} questions."
    few, what = (right, "right") if len(right) <= len(wrong) else (wrong, "wrong")
    if len(few) > 4:
        return f"It is wrong on {len(wrong)} of the check's {len(answers)} questions."
    quoted = ", ".join(f"“{name}”" for name in few)
    other = "wrong" if what == "right" else "right"
    rest = len(answers) - len(few)
    return f"It is {what} on {quoted}, and {other} on the other {rest}." if rest > 1 else f"It is {what} on {quoted}."


def _say(kind: str, some: list[Answer]) -> str:
    first = some[0]
    where = f"On “{first.probe.name}”"
    if kind == "raised":
        return f"{where} it raises {'an' if first.error[0] in 'AEIOU' else 'a'} {first.error}."
    if kind == "shape":
        if first.right.dtype == torch.int64:
            return f"{where} it gives {first.value.numel()} ids; it should give {first.right.numel()}."
        return f"{where} its shape is {tuple(first.value.shape)}; it should be {tuple(first.right.shape)}."
    if kind == "dtype":
        return f"It is {str(first.value.dtype).removeprefix('torch.')}, where bool is asked for."
    bad = int((~first.value.double().isfinite() & first.right.double().isfinite()).sum())
    return f"{where} {bad} of {first.right.numel()} numbers are NaN or infinite."
