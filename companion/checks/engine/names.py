"""Which of a class's parameters is which, where they have other names than a check expects.

Shapes tell most of them apart: whole modules are compared before what is in them, so that a weight and its bias stay
together. Among those of equal shapes the words in a name tell (``W_q`` is of the queries, ``gamma`` is a gain), then
numbers, which stand in order. Of what remains, each way is tried, if there are few.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

Shape = tuple[int, ...]
Names = dict[str, str]  # the expected name, by the learner's

_FEW = 24  # four layers in every order

# What a word in a name can mean; of one line a name means one thing, or it says nothing.
_MEANINGS = (
    {"query": r"[wb]?q(proj)?|quer(y|ies)", "key": r"[wb]?k(proj)?|keys?", "value": r"[wb]?v(proj)?|val(ues?)?",
     "output": r"[wb]?o(proj)?|out(put)?"},
    {"weight": r"w[qkvo]?|weights?|kernel|gain|gamma|scale|alpha|g|a", "bias": r"b[qkvo]?|bias(es)?|shift|beta|offset"},
    {"source": r"src|source|enc(oder)?|cross|mem(ory)?|context", "target": r"tgt|trg|target|dec(oder)?|self|masked"},
)  # fmt: skip


def taken(own: Mapping[str, Shape], expected: Mapping[str, Shape], works: Callable[[Names], bool]) -> Names:
    """Return what a learner's parameters are taken for.

    Args:
        own: the shapes of the learner's parameters, by name.
        expected: those of the check's.
        works: says of a way to take them whether the output is the right one.

    Returns:
        the way that works, or the first one, if there are few. Where the shapes fit in no way, one in which all but the
        biases fit, or the numbers of axes: so that it can be said what is wrong. Nothing, if there is none either.
    """
    ways = list(islice(_ways(_Part("", "", own), _Part("", "", expected)), _FEW + 1))
    if len(ways) == 1:
        return ways[0]
    if ways:
        first = ways[0] if len(ways) <= _FEW else {}
        return next(filter(works, ways[:_FEW]), first)
    weights = {name: shape for name, shape in expected.items() if not name.endswith("bias")}
    axes = [{name: (len(shape),) for name, shape in shapes.items()} for shapes in (own, expected)]
    for mine, theirs in ((own, weights), axes):
        for way in _ways(_Part("", "", mine), _Part("", "", theirs)):
            return way
    return {}


def told(names: Names) -> str:
    """Say what was taken for what, where names differ; empty if none do. A whole module is named once."""
    pairs = {}
    for own, expected in names.items():
        mine, theirs = own.split("."), expected.split(".")
        while len(mine) > 1 and len(theirs) > 1 and mine[-1] == theirs[-1]:
            del mine[-1], theirs[-1]
        if mine != theirs:
            pairs[".".join(mine)] = ".".join(theirs)
    if not pairs:
        return ""
    (own, expected), *others = pairs.items()
    said = [f"{own} was taken for {expected}", *(f"{own} for {expected}" for own, expected in others)]
    more = f" and {len(said) - 12} more" if len(said) > 12 else ""
    return f"Parameters of yours have other names than in the course: {', '.join(said[:12])}{more}."


@dataclass(frozen=True)
class _Part:
    """A module, or a single parameter.

    Attributes:
        path: its name.
        label: its name in what it stands in.
        shapes: of its parameters, by name.
    """

    path: str
    label: str
    shapes: Mapping[str, Shape]

    @property
    def kind(self) -> tuple[Shape, ...]:
        """What it has in common with what it may be taken for."""
        return tuple(sorted(self.shapes.values()))

    @property
    def form(self) -> list[tuple[str, Shape]]:
        """How it is built, whatever its own name is."""
        return [(name.removeprefix(self.path), shape) for name, shape in self.shapes.items()]

    def comes_before(self, other: _Part) -> bool:
        """Whether they differ by a number alone, as norm1 and norm2 do, and this one's is the smaller."""
        mine, theirs = (re.split(r"(\d+)", part.label) for part in (self, other))
        alike = mine[::2] == theirs[::2] and sorted(map(len, self.kind)) == sorted(map(len, other.kind))
        return alike and [*map(int, mine[1::2])] < [*map(int, theirs[1::2])]

    def inside(self) -> list[_Part]:
        """Return the parts of a module."""
        before = f"{self.path}." if self.path else ""
        found: dict[str, dict[str, Shape]] = {}
        for name, shape in self.shapes.items():
            found.setdefault(name.removeprefix(before).partition(".")[0], {})[name] = shape
        return [_Part(before + label, label, shapes) for label, shapes in found.items()]


def _ways(own: _Part, expected: _Part) -> Iterator[Names]:
    """Yield the ways to take one part for another, the most likely first."""
    if own.kind != expected.kind:
        return
    if len(own.kind) == 1:
        names = dict(zip(own.shapes, expected.shapes, strict=True))
        if all(_agree(*(name.rpartition(".")[2] for name in pair)) for pair in names.items()):
            yield names
        return
    mine, theirs = _level(own.inside(), expected.inside())
    for order in _orders(mine, theirs):
        yield from _together(list(zip(order, theirs, strict=True)))


def _together(pairs: Sequence[tuple[_Part, _Part]]) -> Iterator[Names]:
    """Yield the ways to take each for its partner; what is built alike, as layers are, is taken alike."""
    if not pairs:
        yield {}
        return
    one, model = pairs[0]
    alike = [pair for pair in pairs if (pair[0].form, pair[1].form) == (one.form, model.form)]
    others = [pair for pair in pairs if pair not in alike]
    for way in _ways(one, model):
        names: Names = {}
        for own, expected in alike:
            there = dict(zip(model.shapes, expected.shapes, strict=True))
            names |= {here: there[way[name]] for name, here in zip(one.shapes, own.shapes, strict=True)}
        for rest in _together(others):
            yield names | rest


def _level(own: list[_Part], expected: list[_Part]) -> tuple[list[_Part], list[_Part]]:
    """Take modules apart, the largest first, until there are as many of each kind on both sides."""
    while (mine := Counter(part.kind for part in own)) != (theirs := Counter(part.kind for part in expected)):
        kind = max((*(mine - theirs), *(theirs - mine)), key=len)
        if mine[kind] > theirs[kind]:
            own = _opened(own, kind)
        else:
            expected = _opened(expected, kind)
    return own, expected


def _opened(parts: list[_Part], kind: tuple[Shape, ...]) -> list[_Part]:
    found: list[_Part] = []
    for part in parts:
        inner = part.inside() if part.kind == kind else []
        found += [_Part(one.path, f"{part.label}.{one.label}", one.shapes) for one in inner] or [part]
    return found


def _orders(own: list[_Part], expected: list[_Part]) -> Iterator[list[_Part]]:
    """Yield the orders in which each part may be the expected one at its place."""
    if not expected:
        yield []
        return
    fitting = [[part for part in own if _may_be(part, one)] for one in expected]
    if not all(fitting):
        return
    said = [part for part in fitting[0] if _says(part.label, expected[0].label)]
    for part in said or fitting[0]:
        if not any(other.comes_before(part) for other in own):
            for others in _orders([other for other in own if other is not part], expected[1:]):
                yield [part, *others]


def _may_be(own: _Part, expected: _Part) -> bool:
    return own.kind == expected.kind and _agree(own.label, expected.label)


def _agree(own: str, expected: str) -> bool:
    """Whether two names do not mean different things."""
    pairs = zip(_meaning(own), _meaning(expected), strict=True)
    return all(not mine or not theirs or mine == theirs for mine, theirs in pairs)


def _says(own: str, expected: str) -> bool:
    """Whether a name is the expected one, or means all that this one means."""
    pairs = [(mine, theirs) for mine, theirs in zip(_meaning(own), _meaning(expected), strict=True) if theirs]
    return own == expected or (bool(pairs) and all(mine == theirs for mine, theirs in pairs))


@cache
def _meaning(label: str) -> tuple[str, ...]:
    """Return what a name means, one thing from each line of meanings; nothing where it says nothing, or two things."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", label)]
    found = [
        {meaning for meaning, pattern in line.items() if any(re.fullmatch(pattern, word) for word in words)}
        for line in _MEANINGS
    ]
    return tuple(min(meant) if len(meant) == 1 else "" for meant in found)
