"""Wrong learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable

from companion.checks.engine.bank import Bank, section

SCHEDULE = section("transformer", "The learning rate")

SCHEDULE_BUGS = Bank(section=SCHEDULE)


# --- schedule(step, d_model, warmup_steps): the paper's rate, steps counted from 1


def right_schedule(step: int, d_model: int, warmup_steps: int) -> float:
    """Rise linearly for warmup_steps, then fall with the root of the step (section 5.3 of the paper)."""
    return d_model**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)


@SCHEDULE_BUGS.bug("What should the very first rate be, beside the one at the end of the warm-up?")
def no_warm_up(step: int, d_model: int, warmup_steps: int) -> float:
    """Your rate has no warm-up: it starts at its highest value and only falls."""
    return d_model**-0.5 * step**-0.5


@SCHEDULE_BUGS.bug("Which of the two terms is the smaller one after the warm-up?")
def never_falls(step: int, d_model: int, warmup_steps: int) -> float:
    """Your rate never falls: it goes on rising after the warm-up."""
    return d_model**-0.5 * step * warmup_steps**-1.5


@SCHEDULE_BUGS.bug("Follow both terms from step 1. Which one is small there?")
def max_for_min(step: int, d_model: int, warmup_steps: int) -> float:
    """Your rate takes the larger of the two terms; it should take the smaller one."""
    return d_model**-0.5 * max(step**-0.5, step * warmup_steps**-1.5)


@SCHEDULE_BUGS.bug("Does a wider model get a larger or a smaller rate? And yours?")
def d_model_missing(step: int, d_model: int, warmup_steps: int) -> float:
    """d_model is missing from your rate: the paper multiplies by d_model ** -0.5."""
    return min(step**-0.5, step * warmup_steps**-1.5)


@SCHEDULE_BUGS.bug("Does a wider model get a larger or a smaller rate? And yours?")
def multiplied_by_root_d_model(step: int, d_model: int, warmup_steps: int) -> float:
    """Your rate is multiplied by the root of d_model; it should be divided by it."""
    return d_model**0.5 * min(step**-0.5, step * warmup_steps**-1.5)


@SCHEDULE_BUGS.bug("Look at the exponent of d_model.")
def divided_by_d_model(step: int, d_model: int, warmup_steps: int) -> float:
    """Your rate is divided by d_model; it should be divided by its root."""
    return d_model**-1.0 * min(step**-0.5, step * warmup_steps**-1.5)


@SCHEDULE_BUGS.bug("Four times as many steps should halve the rate.")
def constant_after_warm_up(step: int, d_model: int, warmup_steps: int) -> float:
    """Your rate stays at its peak after the warm-up; it should fall with the inverse root of the step."""
    return d_model**-0.5 * min(warmup_steps**-0.5, step * warmup_steps**-1.5)


@SCHEDULE_BUGS.bug(
    "Four times as many steps should halve the rate.",
    also=(lambda step, d_model, warmup_steps: d_model**-0.5 * min(1 / step, step * warmup_steps**-1.5),),
)
def falls_with_the_step(step: int, d_model: int, warmup_steps: int) -> float:
    """Your rate falls with 1 / step after the warm-up; it should fall with 1 / sqrt(step)."""
    peak = (d_model * warmup_steps) ** -0.5
    return peak * min(warmup_steps / step, step / warmup_steps)


@SCHEDULE_BUGS.bug("Four times as many steps should halve the rate, however late it is.")
def falls_exponentially(step: int, d_model: int, warmup_steps: int) -> float:
    """Your rate falls exponentially after the warm-up; it should fall with the inverse root of the step."""
    peak = (d_model * warmup_steps) ** -0.5
    if step <= warmup_steps:
        return peak * step / warmup_steps
    return peak * math.exp(1 - step / warmup_steps)


@SCHEDULE_BUGS.bug("At step = warmup_steps the two terms should be equal.")
def wrong_slope(step: int, d_model: int, warmup_steps: int) -> float:
    """Your warm-up has the wrong slope: warmup_steps ** -0.5, where ** -1.5 makes the two terms meet at its end."""
    return d_model**-0.5 * min(step**-0.5, step * warmup_steps**-0.5)


@SCHEDULE_BUGS.bug("The check calls the first step 1. What does your code make of it?")
def one_step_ahead(step: int, d_model: int, warmup_steps: int) -> float:
    """Your rate is one step ahead: it adds 1 to a step that is counted from 1 already."""
    return right_schedule(step + 1, d_model, warmup_steps)


@SCHEDULE_BUGS.bug(
    "The check calls the first step 1. What does your code make of it?",
    also=(lambda step, d_model, warmup_steps: 0.0 if step == 1 else right_schedule(step - 1, d_model, warmup_steps),),
)
def one_step_behind(step: int, d_model: int, warmup_steps: int) -> float:
    """Your rate is one step behind: it counts steps from 0, so that the first rate is 0 or an error."""
    return right_schedule(step - 1, d_model, warmup_steps)


@SCHEDULE_BUGS.bug(
    "Python raises to a power before it divides. What is 4 ** -1 / 2?",
    also=(
        lambda step, d_model, warmup_steps: d_model**-1 / 2 * min(step**-0.5, step * warmup_steps**-1.5),
        lambda step, d_model, warmup_steps: d_model**-0.5 * min(step**-1 / 2, step * warmup_steps**-1.5),
        lambda step, d_model, warmup_steps: d_model**-0.5 * min(step**-0.5, step * warmup_steps**-3 / 2),
        lambda step, d_model, warmup_steps: d_model**-0.5 * min(step**-1 / 2, step * warmup_steps**-3 / 2),
    ),
)
def powers_without_parentheses(step: int, d_model: int, warmup_steps: int) -> float:
    """Your rate has -1/2 without parentheses: Python reads d_model ** -1 / 2 as (d_model ** -1) / 2. Write ** -0.5,
    and ** -1.5.
    """
    return d_model**-1 / 2 * min(step**-1 / 2, step * warmup_steps**-3 / 2)


@SCHEDULE_BUGS.bug("Which of the two numbers does the peak come at?")
def arguments_exchanged(step: int, d_model: int, warmup_steps: int) -> float:
    """d_model and warmup_steps are exchanged: the function takes step, d_model, warmup_steps, in this order."""
    return right_schedule(step, warmup_steps, d_model)


@SCHEDULE_BUGS.bug("Follow both terms from step 1. Which one is small there?")
def sum_for_min(step: int, d_model: int, warmup_steps: int) -> float:
    """Your rate adds the two terms; it should take the smaller one."""
    return d_model**-0.5 * (step**-0.5 + step * warmup_steps**-1.5)


@SCHEDULE_BUGS.bug(
    "At step = warmup_steps the two terms should be equal. Are yours?",
    also=(
        lambda step, d_model, warmup_steps: _restarted(step, d_model, warmup_steps, first=1),
        lambda step, d_model, warmup_steps: _restarted(step, d_model, warmup_steps, first=0),
    ),
)
def decay_counted_from_the_peak(step: int, d_model: int, warmup_steps: int) -> float:
    """Your rate falls with the steps since the warm-up; it should fall with the root of step itself, counted from
    the start, so that the two halves of the curve meet.
    """
    if step < warmup_steps:
        return d_model**-0.5 * step * warmup_steps**-1.5
    return d_model**-0.5 * (step - warmup_steps + 1) ** -0.5


def _restarted(step: int, d_model: int, warmup_steps: int, first: int) -> float:
    if step <= warmup_steps:
        return d_model**-0.5 * step * warmup_steps**-1.5
    return d_model**-0.5 * (step - warmup_steps + first) ** -0.5


@SCHEDULE_BUGS.bug(
    "What is the paper's rate at step = warmup_steps?",
    also=(lambda step, d_model, warmup_steps: min(step / warmup_steps, (warmup_steps / step) ** 0.5),),
)
def peak_without_warm_up(step: int, d_model: int, warmup_steps: int) -> float:
    """Your rate has the right shape, but warmup_steps ** -0.5 is missing from its height: the peak is 1 /
    sqrt(d_model * warmup_steps).
    """
    return d_model**-0.5 * min(step / warmup_steps, (warmup_steps / step) ** 0.5)


@SCHEDULE_BUGS.bug(
    "Four times as many steps should halve the rate, however late it is.",
    also=(lambda step, d_model, warmup_steps: _until_zero(step, d_model, warmup_steps, _half_cosine),),
)
def falls_to_zero(step: int, d_model: int, warmup_steps: int) -> float:
    """Your rate falls in a straight line, or like a cosine, after the warm-up; it should fall with the inverse root
    of the step.
    """
    return _until_zero(step, d_model, warmup_steps, lambda share: 1 - share)


def _half_cosine(share: float) -> float:
    return (1 + math.cos(math.pi * share)) / 2


def _until_zero(step: int, d_model: int, warmup_steps: int, fall: Callable[[float], float]) -> float:
    """Rise to the peak, then fall to 0 in as many steps."""
    peak = (d_model * warmup_steps) ** -0.5
    if step <= warmup_steps:
        return peak * step / warmup_steps
    return peak * fall(min(1.0, step / warmup_steps - 1))


@SCHEDULE_BUGS.bug(
    "Do both d_model and warmup_steps appear in your code?",
    also=(lambda step, d_model, warmup_steps: right_schedule(step, 512, warmup_steps),),
)
def numbers_of_the_paper(step: int, d_model: int, warmup_steps: int) -> float:
    """Your function always takes 4000 for warmup_steps, or 512 for d_model, as in the paper; take what is given."""
    return right_schedule(step, d_model, 4000)
