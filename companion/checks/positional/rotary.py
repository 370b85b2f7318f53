"""Wrong rotary positions: ``fn(x, start)``, which turns the pairs of features of queries or keys.

Two parts: ``angles(length, features, start)``, (L, E / 2), and ``turn(x, angles)``.
Shapes: B batch, H heads, L length, E features of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from companion.checks import in_training
from companion.checks.engine.bank import Bank, section
from companion.checks.positional.positions import SINUSOIDS, WRONG

ROTARY = section("positional", "Rotary positions")

ROTARY_BUGS = Bank(part="turn", section=ROTARY)


def _angles(positions: Tensor, exponent: Tensor, base: float = 10_000.0) -> Tensor:
    return positions[:, None] * base**-exponent


def _positions(length: int, start: int) -> Tensor:
    return start + torch.arange(length, dtype=torch.float64)


def _exponent(features: int) -> Tensor:
    return torch.arange(0, features, 2, dtype=torch.float64) / features


def right_angles(length: int, features: int, start: int) -> Tensor:
    """Return position / 10000^(2i / E) for the positions from `start` on."""
    return _angles(_positions(length, start), _exponent(features))


def right_turn(x: Tensor, angles: Tensor) -> Tensor:
    """Turn the pairs (2i, 2i + 1) of x by the angles."""
    sin, cos = angles.sin(), angles.cos()
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)


def build_rotary(parts: Mapping[str, Callable[..., Any]]) -> Callable[..., Tensor]:
    """Return ``fn(x, start)`` made of the given parts, the rest being right."""
    angles, turn = parts.get("angles", right_angles), parts.get("turn", right_turn)

    def rotary(x: Tensor, start: int) -> Tensor:
        return turn(x, angles(x.size(-2), x.size(-1), start))

    return rotary


@ROTARY_BUGS.bug(
    "Where in your function does start appear?",
    section=WRONG,
    part="angles",
    derived="Derived: not at all, since start is 0 while training. It shows when a cache decodes.",
)
def start_ignored(length: int, features: int, start: int) -> Tensor:
    """start is ignored: your first token always stands at position 0. A step with a cache then gets the wrong
    position.
    """
    return right_angles(length, features, 0)


@ROTARY_BUGS.bug("How many different angles does your first pair get?", part="angles")
def one_position_for_all(length: int, features: int, start: int) -> Tensor:
    """All tokens are turned as the first one, by the position start; the following ones stand at start + 1, start +
    2, and so on.
    """
    return right_angles(1, features, start)


@ROTARY_BUGS.bug(
    "By which angle is the first token turned when start is 0?",
    part="angles",
    derived="Derived: not at all in attention. Queries and keys are turned by one step more alike, and their "
    "products stay.",
)
def rotary_positions_from_one(length: int, features: int, start: int) -> Tensor:
    """Your positions are one too large: the first token stands at position start, and at position 0 nothing turns."""
    return right_angles(length, features, start + 1)


@ROTARY_BUGS.bug(
    "What does your index run over: pairs (0, 1, 2, ...) or features (0, 2, 4, ...)? Which of them needs a 2?",
    section=WRONG,
    part="angles",
)
def rotary_exponent_doubled(length: int, features: int, start: int) -> Tensor:
    """Your exponent is doubled: it is 4i / E, and should be 2i / E."""
    return _angles(_positions(length, start), 2 * _exponent(features))


@ROTARY_BUGS.bug("The exponents should run from 0 to almost 1. How far do yours get?", section=WRONG, part="angles")
def rotary_exponent_not_doubled(length: int, features: int, start: int) -> Tensor:
    """Your exponent lacks its factor 2: it is i / E for pair i, and should be 2i / E. A base of 100 gives the same
    numbers.
    """
    return _angles(_positions(length, start), _exponent(features) / 2)


@ROTARY_BUGS.bug("Later pairs should turn more slowly. Which sign has your exponent?", section=WRONG, part="angles")
def rotary_frequency_inverted(length: int, features: int, start: int) -> Tensor:
    """Your frequencies are inverted: the position is multiplied by 10000^(2i / E), and should be divided by it."""
    return _angles(_positions(length, start), -_exponent(features))


@ROTARY_BUGS.bug("Print the exponents. Is there an integer division among them?", section=WRONG, part="angles")
def rotary_one_frequency(length: int, features: int, start: int) -> Tensor:
    """All your pairs turn at one frequency; pair i has the frequency 1 / 10000^(2i / E)."""
    return _angles(_positions(length, start), 0 * _exponent(features))


@ROTARY_BUGS.bug(
    "Count the zeros, and look for the logarithm that belongs to an exp.",
    section=SINUSOIDS,
    part="angles",
    also=(lambda length, features, start: _angles(_positions(length, start), _exponent(features), 2.718281828459045),),
)
def rotary_other_base(length: int, features: int, start: int) -> Tensor:
    """Your base is not 10000 (it is 1000, or e)."""
    return _angles(_positions(length, start), _exponent(features), 1000.0)


@ROTARY_BUGS.bug("With which feature is feature 0 turned?", section=WRONG, derived=in_training.RENUMBERED)
def halves_for_pairs(x: Tensor, angles: Tensor) -> Tensor:
    """Your pairs are (i, i + E / 2), one feature of each half; they should be neighbours, (2i, 2i + 1). Both are in
    use: it is a convention, which weights of others bring with them.
    """
    one, other = x.chunk(2, dim=-1)
    sin, cos = angles.sin(), angles.cos()
    return torch.cat([one * cos - other * sin, one * sin + other * cos], dim=-1)


@ROTARY_BUGS.bug(
    "At position 0 nothing turns. Is your output x there?",
    derived="Derived: not at all in attention. Queries and keys are put in another order alike, and their "
    "products stay.",
)
def pairs_not_put_back(x: Tensor, angles: Tensor) -> Tensor:
    """The turned pairs are not put back in their places: all first features come before all second ones. Pair i goes
    back to features 2i and 2i + 1.
    """
    return right_turn(x, angles).unflatten(-1, (-1, 2)).transpose(-2, -1).flatten(-2)


@ROTARY_BUGS.bug("Turn (1, 0) by a small angle. Should the second feature become positive or negative?")
def turned_backwards(x: Tensor, angles: Tensor) -> Tensor:
    """You turn the other way: the minus sign belongs to the first feature of a pair, (a cos - b sin, a sin + b cos)."""
    return right_turn(x, -angles)


@ROTARY_BUGS.bug(
    "A rotation keeps the length of a pair. Does yours?", also=(lambda x, angles: _both_signs(x, angles, -1.0),)
)
def minus_missing(x: Tensor, angles: Tensor) -> Tensor:
    """Both features of a pair have a plus (or both a minus), which is no rotation: (a cos - b sin, a sin + b cos)."""
    return _both_signs(x, angles, 1.0)


def _both_signs(x: Tensor, angles: Tensor, sign: float) -> Tensor:
    even, odd = x[..., 0::2], x[..., 1::2]
    sin, cos = sign * angles.sin(), angles.cos()
    return torch.stack([even * cos + odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)


@ROTARY_BUGS.bug("What are the sine and the cosine of 0?")
def rotary_sine_and_cosine_swapped(x: Tensor, angles: Tensor) -> Tensor:
    """Sine and cosine are swapped: at position 0 nothing should turn."""
    even, odd = x[..., 0::2], x[..., 1::2]
    sin, cos = angles.cos(), angles.sin()
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)


@ROTARY_BUGS.bug("What should come out when x is 0?")
def added_for_turned(x: Tensor, angles: Tensor) -> Tensor:
    """You add sines and cosines to x; rotary positions turn it, and add nothing."""
    return x + torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


@ROTARY_BUGS.bug(
    "At position 1, does feature 0 of the input reach feature 1 of the output?",
    also=(lambda x, angles: x * angles.cos().repeat_interleave(2, dim=-1),),
)
def features_not_mixed(x: Tensor, angles: Tensor) -> Tensor:
    """You multiply each feature by a cosine or a sine of its own; a turn mixes the two features of a pair."""
    return x * torch.stack([angles.cos(), angles.sin()], dim=-1).flatten(-2)


@ROTARY_BUGS.bug("Which value has the even feature when your code computes the odd one?")
def overwritten_too_early(x: Tensor, angles: Tensor) -> Tensor:
    """The second feature of a pair is computed from the first one's new value: keep the old one until both are done."""
    sin, cos = angles.sin(), angles.cos()
    even = x[..., 0::2] * cos - x[..., 1::2] * sin
    return torch.stack([even, even * sin + x[..., 1::2] * cos], dim=-1).flatten(-2)


@ROTARY_BUGS.bug("Which axis of x do your positions run along?", part="")
def heads_counted(x: Tensor, start: int) -> Tensor:
    """The position is read from the wrong axis: the heads are counted, not the tokens. x is (B, H, L, E)."""
    return build_rotary({})(x.transpose(1, 2), start).transpose(1, 2)


@ROTARY_BUGS.bug(
    "Which angle does feature 1 get, and with which feature is it turned?",
    section=WRONG,
    also=(lambda x, angles: _with(x, torch.cat([angles, angles], dim=-1), _neighbours_turned(x)),),
)
def conventions_mixed(x: Tensor, angles: Tensor) -> Tensor:
    """Two conventions are mixed: your angles take neighbours (2i, 2i + 1) for a pair and your turned copy of x one
    feature of each half, or the other way round. Both should take neighbours.
    """
    one, other = x.chunk(2, dim=-1)
    return _with(x, angles.repeat_interleave(2, dim=-1), torch.cat([-other, one], dim=-1))


def _neighbours_turned(x: Tensor) -> Tensor:
    return torch.stack([-x[..., 1::2], x[..., 0::2]], dim=-1).flatten(-2)


def _with(x: Tensor, angles: Tensor, turned: Tensor) -> Tensor:
    return x * angles.cos() + turned * angles.sin()


@ROTARY_BUGS.bug("What becomes of the pairs that you have turned?")
def nothing_turned(x: Tensor, angles: Tensor) -> Tensor:
    """Nothing turns: your function returns x as it is."""
    return x.clone()
