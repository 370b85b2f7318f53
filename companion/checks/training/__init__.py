"""Checks of training: `schedule` and `loss`."""

from __future__ import annotations

import math
import random
from typing import Any

import torch

from companion.checks.engine.check import Check
from companion.checks.engine.evidence import Call, Evidence
from companion.checks.engine.handed_in import FunctionForm
from companion.checks.engine.probe import Probe
from companion.checks.engine.report import number
from companion.checks.training import loss as losses
from companion.checks.training import means
from companion.checks.training import schedule as schedules

_LARGE_LOGITS = (
    "With large logits your loss is not finite: a probability becomes 0, and its logarithm minus infinity. "
    "log_softmax and cross_entropy never compute that 0."
)
_CAPPED = (
    "There a probability rounds to 0, and your loss caps its logarithm, as a small number added to it or a clamp does. "
    "Take log_softmax of the logits."
)


def make_schedule_probes(seed: int | None = None) -> tuple[Probe, ...]:
    """Return the probes for the learning rate; with a seed, at other steps."""
    wide, long, short = 512, 4000, 7
    if seed is not None:
        numbers = random.Random(seed)
        wide, long, short = (
            numbers.choice((128, 256, 768, 1024)),
            4 * numbers.randint(500, 2000),
            numbers.randint(7, 13),
        )
    steps = [(step, wide, long) for step in (1, 2, long // 4, long, long + 1, 4 * long, 25 * long)]
    steps += [(step, 64, short) for step in (1, short - 2, short, short + 1, 4 * short, 300)]
    return tuple(
        Probe(f"step {step} (d_model {d}, warmup_steps {w})", {"step": step, "d_model": d, "warmup_steps": w})
        for step, d, w in steps
    )


def make_loss_probes(seed: int = 20170612) -> tuple[Probe, ...]:
    """Return the probes for the loss; in each, the sentences and the paddings differ in length."""
    generator = torch.Generator().manual_seed(seed)

    def inputs(lengths: list[int], positions: int, vocabulary: int, pad_id: int, spread: float) -> dict[str, Any]:
        logits = torch.randn(len(lengths), positions, vocabulary, generator=generator).double() * spread
        targets = torch.randint(0, vocabulary - 1, (len(lengths), positions), generator=generator)
        targets += targets >= pad_id  # a real target is never pad_id
        targets[torch.arange(positions) >= torch.tensor(lengths)[:, None]] = pad_id
        return {"logits": logits, "targets": targets, "pad_id": pad_id}

    return (
        Probe("a padded batch with pad_id 0", inputs([5, 3, 2], 5, 11, 0, 1.0), ("logits",)),
        Probe("a padded batch with pad_id 4", inputs([2, 7], 7, 13, 4, 2.0), ("logits",)),
        Probe("a batch without padding", inputs([3, 3], 3, 7, 6, 1.0), ("logits",)),
        Probe("large logits", inputs([5, 3, 2], 5, 11, 0, 512.0), edge_warning=_LARGE_LOGITS, remedy=_CAPPED),
    )


def _look_at_schedule(check: Check, call: Call) -> Evidence:
    """Compare the shape of the curve: how it rises, where it peaks, how it falls."""
    warmup = 100

    def rate(step: int) -> float:
        value = call(step=step, d_model=512, warmup_steps=warmup)
        return float("nan") if value is None else float(value)

    facts = []
    rates = {step: rate(step) for step in (1, 2, 50, warmup, 2 * warmup, 3 * warmup, 4 * warmup)}
    if not all(0 <= value < float("inf") for value in rates.values()):
        return Evidence()
    if zero := next((step for step, value in rates.items() if value == 0), None):
        return Evidence([f"With {warmup} warm-up steps your rate is 0 at step {zero}; it never is."])
    rise, fall = rates[2] / rates[1], rates[4 * warmup] / rates[warmup]
    if abs(rise - 2) > 1e-3:
        facts.append(f"From step 1 to step 2 your rate is multiplied by {number(rise)}; it should be by 2.")
    fall_by_hundreds = [rates[(n + 1) * warmup] / rates[n * warmup] for n in (2, 3)]
    if fall_by_hundreds[0] < 1 - 1e-6 and math.isclose(*fall_by_hundreds, rel_tol=1e-6):
        facts.append(
            "After the warm-up your rate falls exponentially, by the same factor over every 100 steps; it should fall "
            "with the root of the step, ever more slowly."
        )
    if abs(fall - 0.5) > 5e-3:  # closer than that, both numbers would look the same
        facts.append(f"At four times the warm-up your rate is {number(fall)} of the peak's; it should be 0.50.")
    highest = max(rates, key=lambda step: rates[step])
    if highest != warmup:
        facts.append(f"With {warmup} warm-up steps your rate is higher at step {highest} than at step {warmup}.")
    return Evidence(facts, measured=_measure_height(check, call))


def _measure_height(check: Check, call: Call) -> list[str]:
    """Say by what factor a rate is off whose shape is right, for each curve that the check asks for."""
    factors: dict[str, list[float]] = {}
    for probe in check.core:
        yours = call(**probe.inputs)
        if yours is not None:
            curve = f"d_model {probe.inputs['d_model']} and warmup_steps {probe.inputs['warmup_steps']}"
            factors.setdefault(curve, []).append(float(yours) / float(check.expected(probe)))
    if not factors or not all(math.isclose(min(each), max(each), rel_tol=1e-4) for each in factors.values()):
        return []
    said = [f"{number(each[0])} times the right one with {curve}" for curve, each in factors.items()]
    return [f"Your rate is {', and '.join(said)}, at every step: its shape is right, and its height is not."]


def _look_at_loss(check: Check, call: Call) -> Evidence:
    """Move one logit at a time and see whether the loss should have noticed."""
    inputs = check.core[0].inputs
    yours = call(**inputs)
    if yours is None or yours.numel() != 1:
        return Evidence()
    facts = _first_wrong_loss(check, call)
    padded, real = inputs["logits"].clone(), inputs["logits"].clone()
    padded[2, -1, 0] += 1.0  # the last position of the shortest sentence
    real[2, 0, int(inputs["targets"][2, 0])] += 1.0
    moved = call(**{**inputs, "logits": padded})
    if moved is not None and abs(float(moved - yours)) > 1e-4:
        facts.append("Changing the logits at a padded position moves your loss; it should not.")
    moved = call(**{**inputs, "logits": real})
    if moved is not None and float(moved - yours) > -1e-6:
        facts.append("Raising the logit of a right target does not lower your loss; it should.")
    return Evidence(facts)


def _first_wrong_loss(check: Check, call: Call) -> list[str]:
    for probe in check.core:
        yours, right = call(**probe.inputs), float(check.expected(probe))
        if yours is not None and yours.numel() == 1 and abs(float(yours) - right) > 1e-4:
            digits = number if number(float(yours)) != number(right) else "{:.4f}".format
            return [f"On {probe.name} your loss is {digits(float(yours))}; it should be {digits(right)}."]
    return []


SCHEDULE = Check(
    name="schedule",
    expects="""
    ``fn(step, d_model, warmup_steps)``, which returns the paper's learning rate (section 5.3) as a number.

    Steps are counted from 1: the function is never called with step 0, where the formula divides by zero.
    """,
    form=FunctionForm("step", "d_model", "warmup_steps"),
    kind="number",
    right=schedules.right_schedule,
    make_probes=make_schedule_probes,
    bank=tuple(schedules.SCHEDULE_BUGS),
    section=schedules.SCHEDULE,
    look=_look_at_schedule,
)

LOSS = Check(
    name="loss",
    expects="""
    ``fn(logits, targets, pad_id)``, which returns the mean cross-entropy in nats over the real targets.

    logits are (B, T, vocabulary), targets (B, T) ids that stand at the same positions; targets equal to pad_id do
    not count, and each real target counts the same. The result is a tensor without dimensions that gradients can
    flow back from.
    """,
    form=FunctionForm("logits", "targets", "pad_id"),
    kind="tensor",
    right=losses.right_loss,
    make_probes=make_loss_probes,
    bank=(*losses.LOSS_BUGS, *means.MEAN_BUGS),
    section=losses.LOSS,
    look=_look_at_loss,
)
