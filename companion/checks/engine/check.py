"""What a check is made of: probes to run on, a right answer, and a bank of wrong ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from companion.checks.engine.bank import Bug, Function
from companion.checks.engine.evidence import Call, Evidence, NoAnswer
from companion.checks.engine.handed_in import Form, HandedIn
from companion.checks.engine.probe import Probe

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Check:
    """One check: everything the judge needs to know.

    Attributes:
        name: as in ``check.name(fn)``.
        expects: what is to be handed in, for the docstring of the public function: "``fn(x)``, which ...".
        form: what is to be handed in, for the engine: a function, a class, or a step.
        kind: what it returns: "float" or "bool" for a tensor, "number", or "ids" for a list of ids; "tensor" is
            "float" with nothing beside it.
        right: what is right, as it would be handed in.
        make_probes: makes the probes (on first use, so that importing the package costs nothing); with a seed, others.
        bank: the known bugs.
        section: where to read when no bug is recognised.
        build: makes what would be handed in from some wrong parts; needed if a bug in the bank has a part.
        look: given the check and a way to call what is handed in, returns facts about it.
        tolerance: a value is right if it is off by at most this share of the largest right value of the probe.
            The default lets float32 pass and stops half precision.
        of_parts: the bugs of its parts, whose own checks have them in their banks: one of them is named where nothing
            in the bank explains what was seen, and it is not combined with others.
    """

    name: str
    expects: str
    form: Form
    kind: str
    right: Function
    make_probes: Callable[..., tuple[Probe, ...]]
    bank: tuple[Bug, ...]
    section: str
    build: Callable[[Mapping[str, Function]], Function] | None = None
    look: Callable[[Check, Call], Evidence] | None = None
    tolerance: float = 1e-4
    of_parts: tuple[Bug, ...] = ()

    def hand_in(self, thing: Any) -> HandedIn:
        """Return what a learner hands in, or what is in the bank, so that it can be called."""
        return self.form.hand_in(thing, self._early)

    def with_seed(self, seed: int) -> Check:
        """Return the same check on probes with other numbers; probes without drawn numbers stay as they are."""
        if "seed" not in inspect.signature(self.make_probes).parameters:
            return self
        return _seeded(self, seed)

    @cached_property
    def probes(self) -> tuple[Probe, ...]:
        """The probes, made once."""
        return self.make_probes()

    @cached_property
    def core(self) -> tuple[Probe, ...]:
        """The probes of the diagnosis."""
        return tuple(probe for probe in self.probes if probe.core)

    def once(self, make: Callable[[], T], *key: Any) -> T:
        """Compute what stays the same for this check once, and keep it under a key."""
        if key not in self._kept:
            self._kept[key] = make()
        kept: T = self._kept[key]
        return kept

    @cached_property
    def _kept(self) -> dict[tuple[Any, ...], Any]:
        return {}

    @cached_property
    def _early(self) -> tuple[Bug, ...]:
        return tuple(bug for bug in self.bank if bug.shows_in)

    def answer(self, inputs: Mapping[str, Any]) -> Tensor:
        """Return the right output on any inputs."""
        return as_tensor(self.hand_in(self.right)(**inputs))

    def expected(self, probe: Probe) -> Tensor:
        """Return the right output on one of the check's own probes."""
        return self.once(partial(self.answer, probe.inputs), "output", probe.name)

    def filled(self, probe: Probe) -> nn.Module | None:
        """Return the right module with the parameters of one of the check's own probes; None if it is no class."""
        return self.once(partial(self.form.fill, probe), "module", probe.name)

    @cached_property
    def expected_on_core(self) -> tuple[Tensor, ...]:
        """The right outputs on the probes of the diagnosis."""
        return tuple(self.expected(probe) for probe in self.core)

    def look_at(self, call: Call) -> Evidence:
        """Take a closer look at what can be called so; nothing is found where nothing comes back."""
        try:
            return self.look(self, call) if self.look else Evidence()
        except NoAnswer:
            return Evidence()

    def implementations(self, bug: Bug) -> list[HandedIn]:
        """Return the bug as it would be handed in: its main form first, then the other ways of writing it."""
        return [self.assemble({bug.part: wrong}) for wrong in (bug.wrong, *bug.also)]

    def assemble(self, parts: Mapping[str, Function]) -> HandedIn:
        """Put together what would be handed in, from wrong parts; the part "" is the whole."""
        if "" in parts:
            return self.hand_in(parts[""])
        assert self.build is not None, f"{self.name} has bugs in parts, but does not say how to build from parts"
        return self.hand_in(self.build(parts))


@lru_cache(maxsize=32)  # what a check has computed is kept with it
def _seeded(check: Check, seed: int) -> Check:
    look = check.look
    # A closer look is taken at the usual probes: its sentences are about them.
    closer = None if look is None else lambda _, call: look(check, call)
    return replace(check, make_probes=partial(check.make_probes, seed), look=closer)


def as_tensor(output: Any) -> Tensor:
    """Return an output of our own functions as a tensor."""
    if isinstance(output, Tensor):
        return output.detach()
    if isinstance(output, list):
        return torch.tensor(output, dtype=torch.int64)
    return torch.tensor(float(output), dtype=torch.float64)
