"""Wrong sinusoidal encodings: their exponents and their base."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from companion.checks.engine.bank import Bank
from companion.checks.positional.positions import BY_HAND, SINUSOIDS, WRONG, right_base

FREQUENCY_BUGS = Bank(part="exponent", section=WRONG)


def _pairs(d_model: int) -> Tensor:
    return torch.arange(d_model // 2, dtype=torch.float64)


def _without_logarithm(d_model: int) -> tuple[Tensor, Tensor]:
    """Return the exponent of 10000 in exp(-10000 * 2i / d_model)."""
    exponent = 2 * _pairs(d_model) / d_model * 10_000.0 / math.log(10_000.0)
    return exponent, exponent


# --- exponent


@FREQUENCY_BUGS.bug(
    "What does your index run over: pairs (0, 1, 2, ...) or features (0, 2, 4, ...)? Which of them needs a 2?",
    also=(lambda d_model: (4 * _pairs(d_model) / d_model, (4 * _pairs(d_model) + 2) / d_model),),
)
def exponent_doubled(d_model: int) -> tuple[Tensor, Tensor]:
    """Your exponent is doubled: it is 4i / d_model, and should be 2i / d_model. A range that counts 0, 2, 4, ...
    gives 2i already.
    """
    exponent = 4 * _pairs(d_model) / d_model
    return exponent, exponent


@FREQUENCY_BUGS.bug("The exponents should run from 0 to almost 1. How far do yours get?")
def exponent_not_doubled(d_model: int) -> tuple[Tensor, Tensor]:
    """Your exponent lacks its factor 2: it is i / d_model for pair i, and should be 2i / d_model. A base of 100
    gives the same numbers.
    """
    exponent = _pairs(d_model) / d_model
    return exponent, exponent


@FREQUENCY_BUGS.bug("sin(a)^2 + cos(a)^2 is 1. Is it, for the two features of each of your pairs?")
def cosine_with_odd_index(d_model: int) -> tuple[Tensor, Tensor]:
    """Your cosines use their own feature's index, 2i + 1, in the exponent; sine and cosine of a pair share one
    angle, with 2i. Without that, a step is no rotation.
    """
    even = 2 * _pairs(d_model)
    return even / d_model, (even + 1) / d_model


@FREQUENCY_BUGS.bug("Print the exponents 2i / d_model. Which kind of division do you use?")
def one_frequency_for_all(d_model: int) -> tuple[Tensor, Tensor]:
    """All your pairs turn at one frequency, 1: the exponent is 0 everywhere (an integer division, //, makes it so),
    or the base is 1.
    """
    exponent = 2 * _pairs(d_model) // d_model
    return exponent, exponent


@FREQUENCY_BUGS.bug("What is the exponent of the last pair when d_model is 4?", section=SINUSOIDS)
def exponents_up_to_one(d_model: int) -> tuple[Tensor, Tensor]:
    """Your exponents run from 0 to 1, both included: i / (d_model / 2 - 1), as some libraries have it. In the paper
    they are 2i / d_model, and stop before 1.
    """
    exponent = _pairs(d_model) / max(d_model // 2 - 1, 1)
    return exponent, exponent


@FREQUENCY_BUGS.bug("What is the exponent of your first pair? Feature 0 should be sin(position).", section=BY_HAND)
def pairs_from_one(d_model: int) -> tuple[Tensor, Tensor]:
    """Your pairs are counted from 1; the first pair is i = 0, with frequency 1."""
    exponent = 2 * (_pairs(d_model) + 1) / d_model
    return exponent, exponent


@FREQUENCY_BUGS.bug(
    "10000 to the power of 2 is a hundred million. How small is the frequency of your second pair?",
    section=SINUSOIDS,
    also=(_without_logarithm,),
)
def not_divided_by_d_model(d_model: int) -> tuple[Tensor, Tensor]:
    """All your frequencies but the first are nearly 0: the exponent is not divided by d_model, or exp is given 10000
    in the place of its logarithm.
    """
    exponent = 2 * _pairs(d_model)
    return exponent, exponent


# --- base


@FREQUENCY_BUGS.bug("Later pairs should turn more slowly. Which sign has your exponent?", part="base")
def frequency_inverted(exponent: Tensor, d_model: int) -> Tensor:
    """Your frequencies are inverted: the position is multiplied by 10000^(2i / d_model), and should be divided by
    it.
    """
    return 10_000.0**exponent


@FREQUENCY_BUGS.bug("Count the zeros.", part="base")
def base_1000(exponent: Tensor, d_model: int) -> Tensor:
    """Your base is 1000; it should be 10000."""
    return 1000.0**-exponent


@FREQUENCY_BUGS.bug("Count the zeros.", section=SINUSOIDS, part="base")
def base_100000(exponent: Tensor, d_model: int) -> Tensor:
    """Your base is 100000; it should be 10000."""
    return 100_000.0**-exponent


@FREQUENCY_BUGS.bug("10000^x is exp(x log(10000)). Where is log(10000) in your code?", section=SINUSOIDS, part="base")
def log_missing(exponent: Tensor, d_model: int) -> Tensor:
    """Your base is e: there is an exp, but the logarithm of 10000 is missing from its exponent."""
    return torch.exp(-exponent)


@FREQUENCY_BUGS.bug(
    "10000^x is exp(x log(10000)): exp undoes one logarithm only. Which does your log function compute?",
    part="base",
    also=(lambda exponent, d_model: torch.exp(-exponent * math.log2(10_000.0)),),
)
def log10_for_log(exponent: Tensor, d_model: int) -> Tensor:
    """You take a logarithm of 10000 to another base, log10 or log2, beside exp; exp goes with the natural logarithm."""
    return torch.exp(-exponent * math.log10(10_000.0))


@FREQUENCY_BUGS.bug(
    "Python raises to a power before it multiplies or divides. What is 10 ** 2 / 4?",
    section=SINUSOIDS,
    part="base",
    also=(
        lambda exponent, d_model: 10_000.0 ** -(exponent * d_model) / d_model,
        lambda exponent, d_model: 1 / (10_000.0**2 * (exponent * d_model / 2) / d_model),
        lambda exponent, d_model: 1 / 10_000.0**2 * (exponent * d_model / 2) / d_model,
    ),
)
def parentheses_missing(exponent: Tensor, d_model: int) -> Tensor:
    """Parentheses are missing: 10000 ** (2 * i) / d_model divides the power, not its exponent, by d_model."""
    return 1 / (10_000.0 ** (exponent * d_model) / d_model)


@FREQUENCY_BUGS.bug(
    "Feature 0 at position 1 should be sin(1) = 0.841. What is yours?",
    section=BY_HAND,
    part="base",
    also=(lambda exponent, d_model: math.pi / 180 * right_base(exponent, d_model),),
)
def turns_for_radians(exponent: Tensor, d_model: int) -> Tensor:
    """Your angles are in turns or in degrees (there is a factor such as 2 pi or pi / 180); they should be position /
    10000^(2i / d_model) as it is, in radians.
    """
    return 2 * math.pi * right_base(exponent, d_model)
