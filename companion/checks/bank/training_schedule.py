"""Wrong learning-rate schedules."""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong function under it.

from __future__ import annotations

import math

from companion.checks._spec import Bug, bug, section

SCHEDULE = section("transformer", "The learning rate")

SCHEDULE_BUGS: list[Bug] = []


# --- schedule(step, d_model, warmup_steps): the paper's rate, steps counted from 1


def right_schedule(step: int, d_model: int, warmup_steps: int) -> float:
    """Rise linearly for warmup_steps, then fall with the root of the step (section 5.3 of the paper)."""
    return d_model**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)


@bug(
    SCHEDULE_BUGS,
    "Your rate has no warm-up: it starts at its highest value and only falls.",
    hint="What should the very first rate be, beside the one at the end of the warm-up?",
    section=SCHEDULE,
)
def no_warm_up(step: int, d_model: int, warmup_steps: int) -> float:
    return d_model**-0.5 * step**-0.5


@bug(
    SCHEDULE_BUGS,
    "Your rate never falls: it goes on rising after the warm-up.",
    hint="Which of the two terms is the smaller one after the warm-up?",
    section=SCHEDULE,
)
def never_falls(step: int, d_model: int, warmup_steps: int) -> float:
    return d_model**-0.5 * step * warmup_steps**-1.5


@bug(
    SCHEDULE_BUGS,
    "Your rate takes the larger of the two terms; it should take the smaller one.",
    hint="Follow both terms from step 1. Which one is small there?",
    section=SCHEDULE,
)
def max_for_min(step: int, d_model: int, warmup_steps: int) -> float:
    return d_model**-0.5 * max(step**-0.5, step * warmup_steps**-1.5)


@bug(
    SCHEDULE_BUGS,
    "d_model is missing from your rate: the paper multiplies by d_model ** -0.5.",
    hint="Does a wider model get a larger or a smaller rate? And yours?",
    section=SCHEDULE,
)
def d_model_missing(step: int, d_model: int, warmup_steps: int) -> float:
    return min(step**-0.5, step * warmup_steps**-1.5)


@bug(
    SCHEDULE_BUGS,
    "Your rate is multiplied by the root of d_model; it should be divided by it.",
    hint="Does a wider model get a larger or a smaller rate? And yours?",
    section=SCHEDULE,
)
def multiplied_by_root_d_model(step: int, d_model: int, warmup_steps: int) -> float:
    return d_model**0.5 * min(step**-0.5, step * warmup_steps**-1.5)


@bug(
    SCHEDULE_BUGS,
    "Your rate is divided by d_model; it should be divided by its root.",
    hint="Look at the exponent of d_model.",
    section=SCHEDULE,
)
def divided_by_d_model(step: int, d_model: int, warmup_steps: int) -> float:
    return d_model**-1.0 * min(step**-0.5, step * warmup_steps**-1.5)


@bug(
    SCHEDULE_BUGS,
    "Your rate stays at its peak after the warm-up; it should fall with the inverse root of the step.",
    hint="Four times as many steps should halve the rate.",
    section=SCHEDULE,
)
def constant_after_warm_up(step: int, d_model: int, warmup_steps: int) -> float:
    return d_model**-0.5 * min(warmup_steps**-0.5, step * warmup_steps**-1.5)


@bug(
    SCHEDULE_BUGS,
    "Your rate falls with 1 / step after the warm-up; it should fall with 1 / sqrt(step).",
    hint="Four times as many steps should halve the rate.",
    section=SCHEDULE,
    also=(lambda step, d_model, warmup_steps: d_model**-0.5 * min(1 / step, step * warmup_steps**-1.5),),
)
def falls_with_the_step(step: int, d_model: int, warmup_steps: int) -> float:
    peak = (d_model * warmup_steps) ** -0.5
    return peak * min(warmup_steps / step, step / warmup_steps)


@bug(
    SCHEDULE_BUGS,
    "Your rate falls exponentially after the warm-up; it should fall with the inverse root of the step.",
    hint="Four times as many steps should halve the rate, however late it is.",
    section=SCHEDULE,
)
def falls_exponentially(step: int, d_model: int, warmup_steps: int) -> float:
    peak = (d_model * warmup_steps) ** -0.5
    if step <= warmup_steps:
        return peak * step / warmup_steps
    return peak * math.exp(1 - step / warmup_steps)


@bug(
    SCHEDULE_BUGS,
    "Your warm-up has the wrong slope: warmup_steps ** -0.5, where ** -1.5 makes the two terms meet at its end.",
    hint="At step = warmup_steps the two terms should be equal.",
    section=SCHEDULE,
)
def wrong_slope(step: int, d_model: int, warmup_steps: int) -> float:
    return d_model**-0.5 * min(step**-0.5, step * warmup_steps**-0.5)


@bug(
    SCHEDULE_BUGS,
    "Your rate is one step ahead: it adds 1 to a step that is counted from 1 already.",
    hint="The check calls the first step 1. What does your code make of it?",
    section=SCHEDULE,
)
def one_step_ahead(step: int, d_model: int, warmup_steps: int) -> float:
    return right_schedule(step + 1, d_model, warmup_steps)


@bug(
    SCHEDULE_BUGS,
    "Your rate is one step behind: it counts steps from 0, so that the first rate is 0 or an error.",
    hint="The check calls the first step 1. What does your code make of it?",
    section=SCHEDULE,
    also=(lambda step, d_model, warmup_steps: 0.0 if step == 1 else right_schedule(step - 1, d_model, warmup_steps),),
)
def one_step_behind(step: int, d_model: int, warmup_steps: int) -> float:
    return right_schedule(step - 1, d_model, warmup_steps)
