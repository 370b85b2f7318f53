"""Wrong layers whose feed-forward network or add & norms are wrong: the bugs that the checks of these parts know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from companion.checks.add_norm.order import ORDER_BUGS
from companion.checks.add_norm.residual import ADD_NORM_BUGS, build_add_norm
from companion.checks.encoder.feed_forward import FEED_FORWARD_BUGS, build_feed_forward
from companion.checks.encoder.linear import LINEAR_BUGS
from companion.checks.engine.bank import Bug, Function

Parts = Mapping[str, Function]


def bugs_of_parts(build: Callable[[Parts], Function], bank: Iterable[Bug]) -> tuple[Bug, ...]:
    """Return the bugs of a layer's parts, as bugs of every layer of a whole.

    Args:
        build: makes the whole of a layer's wrong methods.
        bank: of the whole; what has a name there is not returned.
    """
    bugs = [_in_layers(build, bug, "In the feed-forward network", _feed) for bug in (*FEED_FORWARD_BUGS, *LINEAR_BUGS)]
    bugs += [_in_layers(build, bug, "In your add & norm", _around) for bug in (*ORDER_BUGS, *ADD_NORM_BUGS)]
    names = {bug.name for bug in bank}
    return tuple(bug for bug in bugs if bug.name not in names)


def _feed(parts: Parts) -> Parts:
    network = build_feed_forward(parts)
    return {"feed": lambda self, x: network.of(self.feed_forward)(x)}


def _around(parts: Parts) -> Parts:
    wrong = build_add_norm(parts)
    return {"around": lambda self, add_norm, x, sublayer: wrong.of(add_norm)(x, sublayer)}


def _in_layers(build: Callable[[Parts], Function], bug: Bug, where: str, plant: Callable[[Parts], Parts]) -> Bug:
    wrong, *also = (build(plant({bug.part: each})) for each in (bug.wrong, *bug.also))
    sentence = f"{where}: {bug.sentence[0].lower()}{bug.sentence[1:]}"
    return replace(bug, sentence=sentence, wrong=wrong, part="", also=tuple(also))
