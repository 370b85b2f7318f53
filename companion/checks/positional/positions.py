"""Wrong sinusoidal encodings from parts, and wrong positions.

A table of sines and cosines takes four decisions, and a bug is one of them taken wrongly:

- ``positions(length)``: the numbers of the positions, (L,)
- ``exponent(d_model)``: what the base is raised to, for the sine and for the cosine of each pair, (D / 2,) each
- ``base(exponent, d_model)``: the frequencies made of them; both in `positional_frequencies`
- ``layout(sine, cosine)``: the table (L, D) made of the angles, (L, D / 2) each (in `positional_layout`)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from companion.checks.engine.bank import Bank, section

SINUSOIDS = section("positional", "Sinusoidal positions")
BY_HAND = section("positional", "By hand")
WRONG = section("positional", "What goes wrong")

POSITION_BUGS = Bank(part="positions", section=BY_HAND)


def right_positions(length: int) -> Tensor:
    """Count the positions from 0."""
    return torch.arange(length, dtype=torch.float64)


def right_exponent(d_model: int) -> tuple[Tensor, Tensor]:
    """Return 2i / d_model, the same for the sine and the cosine of pair i."""
    exponent = torch.arange(0, d_model, 2, dtype=torch.float64) / d_model
    return exponent, exponent


def right_base(exponent: Tensor, d_model: int) -> Tensor:
    """Return the frequencies 1 / 10000^exponent."""
    return 10_000.0**-exponent


def right_layout(sine: Tensor, cosine: Tensor) -> Tensor:
    """Put the sine of pair i at feature 2i and its cosine at 2i + 1."""
    return torch.stack([sine.sin(), cosine.cos()], dim=-1).flatten(-2)


RIGHT: dict[str, Callable[..., Any]] = {
    "positions": right_positions,
    "exponent": right_exponent,
    "base": right_base,
    "layout": right_layout,
}


def build_positional(parts: Mapping[str, Callable[..., Any]]) -> Callable[..., Tensor]:
    """Return ``fn(length, d_model)`` made of the given parts, the rest being right."""
    chosen = {**RIGHT, **parts}

    def positional(length: int, d_model: int) -> Tensor:
        positions = chosen["positions"](length)[:, None]
        for_sine, for_cosine = (chosen["base"](exponent, d_model) for exponent in chosen["exponent"](d_model))
        return chosen["layout"](positions * for_sine, positions * for_cosine)

    return positional


@POSITION_BUGS.bug("What are the sine and the cosine of the first token's angle?")
def positions_from_one(length: int) -> Tensor:
    """Your positions start at 1; the first token stands at position 0."""
    return right_positions(length) + 1


@POSITION_BUGS.bug(
    "Should row 1 of the table change when the table gets longer?",
    section=SINUSOIDS,
    also=(lambda length: right_positions(length) / max(length - 1, 1),),
)
def positions_divided_by_length(length: int) -> Tensor:
    """Your positions are divided by the length: the same position gets another encoding in a longer sequence.
    Positions are counted 0, 1, 2, ...
    """
    return right_positions(length) / length


@POSITION_BUGS.bug("Which row of your table is 0, 1, 0, 1, ...?")
def positions_reversed(length: int) -> Tensor:
    """Your positions are counted from the end; the first token stands at position 0."""
    return right_positions(length).flip(0)
