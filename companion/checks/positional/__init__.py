"""Checks of chapter *positional*: `positional` and `rotary`."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from companion.checks.engine.check import Check
from companion.checks.engine.evidence import Call, Evidence
from companion.checks.engine.handed_in import FunctionForm
from companion.checks.engine.probe import Probe
from companion.checks.engine.properties import spread
from companion.checks.engine.report import Table, number
from companion.checks.positional.frequencies import FREQUENCY_BUGS
from companion.checks.positional.layout import LAYOUT_BUGS
from companion.checks.positional.positions import POSITION_BUGS, SINUSOIDS, build_positional
from companion.checks.positional.rotary import ROTARY as TURNING
from companion.checks.positional.rotary import ROTARY_BUGS, build_rotary

_STEP = 3
_CLOSE = 1e-3


def make_positional_probes(seed: int | None = None) -> tuple[Probe, ...]:
    """Return the probes: tables longer than wide, and wider than long; with a seed, of other sizes."""
    tables, pair, position = [(5, 16), (11, 6), (37, 10)], 7, 4
    if seed is not None:
        draw = random.Random(seed).randint
        tables = [(draw(4, 8), 2 * draw(6, 9)), (draw(9, 15), 2 * draw(3, 4)), (draw(31, 43), 2 * draw(4, 6))]
        pair, position = draw(5, 9), 2 * draw(2, 3)
    named = {f"a table of {length} positions and {width} features": (length, width) for length, width in tables}
    named |= {"a single pair of features": (pair, 2), "a single position": (1, position)}
    return tuple(Probe(name, {"length": length, "d_model": width}) for name, (length, width) in named.items())


def _look_at_table(check: Check, call: Call) -> Evidence:
    """Say what a table of sines and cosines has and this one has not."""
    length, d_model = 11, 6
    yours = call(length=length, d_model=d_model)
    right = build_positional({})(length, d_model)
    if yours is None or yours.shape != right.shape:
        return Evidence()
    facts = []
    if (yours[0] - right[0]).abs().max() > _CLOSE:
        row = ", ".join(number(float(value)) for value in yours[0])
        facts.append(f"Your row 0 is {row}; at position 0 sines are 0 and cosines 1.")
    if (largest := float(yours.abs().max())) > 1 + _CLOSE:
        facts.append(f"Your table reaches {number(largest)}; sines and cosines stay between -1 and 1.")
    products = (yours[:-_STEP] * yours[_STEP:]).sum(dim=-1)
    if products.max() - products.min() > _CLOSE:
        facts.append(
            f"The products of positions t and t + {_STEP} run from {spread(products)}; "
            "they should be the same for every t."
        )
    off = ((yours - right).abs() > _CLOSE).any(dim=0)
    if off.any() and not off.all():
        features = ", ".join(str(int(feature)) for feature in off.nonzero())
        facts.append(f"With {d_model} features, these are not right: {features}.")
    apart = torch.cdist(yours[None], yours[None])[0] + torch.eye(length)
    if apart.min() < _CLOSE:
        one, other = (int(i) for i in (apart < _CLOSE).nonzero()[0])
        facts.append(f"Positions {one} and {other} have the same encoding.")
    table = Table.compare("Encoding, rows are positions", yours[:5], right[:5])
    return Evidence(facts, [table], _measure_frequencies(yours, right))


def _measure_frequencies(yours: Tensor, right: Tensor) -> list[str]:
    """Read the frequencies off a table whose pairs are sines and cosines of something, if they are wrong."""
    turns = _turns(torch.tensor([0.0, 1.0]).repeat(yours.size(-1) // 2), yours[:2])
    if turns is None or turns[0].abs().max() > _CLOSE:
        return []
    steps = turns[1] - turns[0]
    # If they are frequencies, the second step is as long as the first.
    again = torch.stack([(2 * steps).sin(), (2 * steps).cos()], dim=-1).flatten()
    return _frequencies(steps, right.size(-1)) if (yours[2] - again).abs().max() < _CLOSE else []


def _turns(before: Tensor, after: Tensor) -> Tensor | None:
    """Return by how much the pairs (sine, cosine) of `after` (L, D) are ahead of those of `before`; None if no turn."""
    (b, a), (d, c) = (x.double().unflatten(-1, (-1, 2)).unbind(-1) for x in (before, after))
    if ((c**2 + d**2) - (a**2 + b**2)).abs().max() > _CLOSE:
        return None
    return torch.atan2(a * d - b * c, a * c + b * d)


def _same_angle(one: Tensor, other: Tensor) -> bool:
    return bool(((one - other).cos() > 1 - _CLOSE**2).all())


def _frequencies(yours: Tensor, features: int) -> list[str]:
    right = 10_000.0 ** -(torch.arange(0, features, 2, dtype=torch.float64) / features)
    mine, theirs = (", ".join(f"{float(x):.3g}" for x in numbers) for numbers in (yours, right))
    if mine == theirs:
        return []
    return [f"From one position to the next your {len(right)} pairs turn by {mine}; it should be by {theirs}."]


def make_rotary_probes(seed: int = 2104) -> tuple[Probe, ...]:
    """Return the probes for rotary positions."""
    generator = torch.Generator().manual_seed(seed)

    def probe(name: str, start: int, *shape: int) -> Probe:
        return Probe(name, {"x": torch.randn(shape, generator=generator).double(), "start": start}, ("x",))

    return (
        probe("a sequence from its start", 0, 2, 3, 7, 10),
        probe("a sequence that begins at position 5", 5, 3, 2, 4, 6),
        probe("one step at position 11", 11, 2, 5, 1, 8),
        probe("a single pair of features", 3, 2, 3, 5, 2),
    )


def _look_at_rotation(check: Check, call: Call) -> Evidence:
    """Say which property of a rotation is missing."""
    x = check.core[0].inputs["x"]
    yours, right = call(x=x, start=0), build_rotary({})(x, 0)
    if yours is None or yours.shape != right.shape:
        return Evidence()
    facts = []
    if (yours[:, :, 0] - x[:, :, 0]).abs().max() > _CLOSE:
        facts.append("Your token at position 0 changes; nothing turns there.")
    lengths = (yours.norm(dim=-1) / x.norm(dim=-1)).flatten()
    if (lengths - 1).abs().max() > _CLOSE:
        facts.append(f"The lengths of your tokens become {spread(lengths)} times what they were; a turn keeps them.")
    same = call(x=x[:, :, :1].repeat(1, 1, x.size(2), 1), start=0)
    if same is not None and same.shape == x.shape:
        products = (same[:, :, :-_STEP] * same[:, :, _STEP:]).sum(dim=-1)
        if (products - products[..., :1]).abs().max() > _CLOSE:
            facts.append(
                f"Of a token repeated at all positions, the products at t and t + {_STEP} differ with t; they should "
                "depend on the distance alone."
            )
    later = call(x=x, start=5)
    if later is not None and later.shape == x.shape and torch.allclose(later, yours):
        facts.append("Your output is the same for start 0 and start 5.")
    table = Table.compare("One head, rows are positions", yours[0, 0, :5], right[0, 0, :5])
    return Evidence(facts, [table], _measure_turns(call))


def _measure_turns(call: Call) -> list[str]:
    """Read off what is turned by how much: the frequencies if they are wrong, else the positions."""
    features, start = 6, 5
    x = torch.tensor([1.0, 2.0]).double().repeat(1, 1, 3, features // 2)  # three tokens, all alike
    first, later = call(x=x, start=0), call(x=x, start=start)
    if first is None or later is None or not first.shape == later.shape == x.shape:
        return []
    # Swapped, because a pair of x is (cosine, sine).
    first, later = (_turns(x[0, 0].flip(-1), y[0, 0].flip(-1)) for y in (first, later))
    if first is None or later is None:
        return []
    first, later = first.flip(-1), later.flip(-1)
    steps = first.diff(dim=0), later.diff(dim=0)
    even = all(_same_angle(step, steps[0][0]) for step in torch.cat(steps))
    if even and (wrong := _frequencies(steps[0][0], features)):
        return wrong
    slowest = 10_000.0 ** -((features - 2) / features)
    facts = []
    for turns, begin in ((first, 0), (later, start)):
        places = [round(float(turn) / slowest, 2) for turn in turns[:, -1]]
        if places != [begin, begin + 1, begin + 2]:
            mine, theirs = (", ".join(f"{x:g}" for x in each) for each in (places, range(begin, begin + 3)))
            facts.append(f"With start {begin} your tokens are turned as at positions {mine}; they stand at {theirs}.")
    return facts


POSITIONAL: Check = Check(
    name="positional",
    expects="""
    ``fn(length, d_model)``, which returns the sinusoidal encoding, a tensor (length, d_model).

    Feature 2i of position t is sin(t / 10000^(2i / d_model)), feature 2i + 1 the cosine of the same angle; d_model is
    even. float32 is enough.
    """,
    form=FunctionForm("length", "d_model"),
    kind="tensor",
    right=build_positional({}),
    make_probes=make_positional_probes,
    bank=(*POSITION_BUGS, *FREQUENCY_BUGS, *LAYOUT_BUGS),
    section=SINUSOIDS,
    build=build_positional,
    look=_look_at_table,
)

ROTARY: Check = Check(
    name="rotary",
    expects="""
    ``fn(x, start)``, which turns queries or keys x (B, H, L, E) by their positions.

    The first token stands at position start. At position t the pair of features (2i, 2i + 1) of each token is turned
    by the angle t / 10000^(2i / E): (a, b) becomes (a cos - b sin, a sin + b cos). E is even.
    """,
    form=FunctionForm("x", "start"),
    kind="tensor",
    right=build_rotary({}),
    make_probes=make_rotary_probes,
    bank=tuple(ROTARY_BUGS),
    section=TURNING,
    build=build_rotary,
    look=_look_at_rotation,
)
