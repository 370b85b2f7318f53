"""What a check is made of: probes to run on, a right answer, and a bank of wrong ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from companion.checks._report import Table

if TYPE_CHECKING:
    from companion.checks._modules import Module
    from companion.checks._steps import Steps

Function = Callable[..., Any]


@dataclass(frozen=True)
class Bug:
    """A wrong implementation that learners write, and what to say about it.

    Attributes:
        name: a few words joined by underscores, unique in its bank.
        sentence: what is wrong, and what would be right.
        hint: a push in the right direction, without the code.
        section: where the book explains it.
        wrong: the wrong code. With `part`, only the part that is wrong; the rest of the function is right.
        part: which part of the function `wrong` stands for; empty for the whole function.
        also: other ways of writing the same bug, whose numbers differ.
    """

    name: str
    sentence: str
    hint: str
    section: str
    wrong: Function
    part: str = ""
    also: tuple[Function, ...] = ()


def bug(
    bank: list[Bug], sentence: str, *, hint: str, section: str, part: str = "", also: tuple[Function, ...] = ()
) -> Callable[[Function], Bug]:
    """Put the decorated wrong function into a bank, under its own name."""

    def add(wrong: Function) -> Bug:
        entry = Bug(wrong.__name__, sentence, hint, section, wrong, part, also)
        bank.append(entry)
        return entry

    return add


def section(chapter: str, heading: str) -> str:
    """Point to a section of the book, by the chapter's stem and the heading."""
    return f"chapter {chapter}, section '{heading}'"


@dataclass(frozen=True)
class Probe:
    """One set of inputs.

    Attributes:
        name: finishes the sentence "wrong on ...".
        inputs: by parameter name, in order.
        gradients: the inputs whose gradients are compared.
        edge_warning: if not empty, an edge case, judged once everything else is right; a result that is not
            finite then gets this warning instead of a failure.
        omit: a parameter that is left out of the call; the probe is skipped where it has no default.
        remedy: what is said of a wrong value on a probe that takes no part in the diagnosis.
    """

    name: str
    inputs: Mapping[str, Any]
    gradients: tuple[str, ...] = ()
    edge_warning: str = ""
    omit: str = ""
    remedy: str = ""

    @property
    def core(self) -> bool:
        """Whether the probe takes part in the diagnosis."""
        return not self.edge_warning and not self.omit


@dataclass(frozen=True)
class Evidence:
    """What a check sees when it looks at a wrong function more closely.

    Attributes:
        facts: what is odd, most telling first.
        tables: matrices beside the right ones.
        measured: what could be read off the output, such as a scale; it says no more than a name does, and is shown
            first where there is none.
    """

    facts: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    measured: list[str] = field(default_factory=list)


Look = Callable[[Callable[..., Tensor | None]], Evidence]


@dataclass(frozen=True, eq=False)
class Check:
    """One check: everything the harness needs to judge a function.

    Attributes:
        name: as in ``check.name(fn)``.
        expects: what is to be handed in, for the docstring of the public function: "``fn(x)``, which ...".
        parameters: what the function is called with, in order.
        kind: what it returns: "float" or "bool" for a tensor, "number", or "ids" for a list of ids; "tensor" is
            "float" with nothing beside it.
        right: the right function.
        make_probes: makes the probes (on first use, so that importing the package costs nothing); with a seed, others.
        bank: the known bugs.
        section: where to read when no bug is recognised.
        build: makes a whole function from some wrong parts; needed if a bug in the bank has a part.
        look: given a way to call the function, returns facts about it.
        module: for a check of a class, or of a function that is called many times, how to make one function of it;
            `parameters` are then those of its forward, `right`, the bank and `build` give what is handed in or
            functions made of it.
        tolerance: a value is right if it is off by at most this share of the largest right value of the probe.
            The default lets float32 pass and stops half precision.
    """

    name: str
    parameters: tuple[str, ...]
    kind: str
    right: Function
    make_probes: Callable[..., tuple[Probe, ...]]
    bank: tuple[Bug, ...]
    section: str
    build: Callable[[Mapping[str, Function]], Function] | None = None
    look: Look | None = None
    module: Module | Steps | None = None
    tolerance: float = 1e-4
    expects: str = ""

    @property
    def call(self) -> str:
        """The signature, as it is written."""
        return self.module.call if self.module else f"fn({', '.join(self.parameters)})"

    @property
    def told(self) -> tuple[str, ...]:
        """The inputs that a sentence names: not the parameters of a class."""
        return (*self.module.sizes, *self.parameters) if self.module else self.parameters

    def adapt(self, handed_in: Any) -> Function:
        """Return what a learner hands in, or what is in the bank, as a function."""
        return self.module.function(handed_in) if self.module else handed_in

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

    def expected(self, probe: Probe) -> Tensor:
        """Return the right output on a probe; on the check's own it is computed once."""
        if id(probe) not in self._expected:
            output = as_tensor(self.adapt(self.right)(**probe.inputs))
            if not any(probe is own for own in self.probes):
                return output
            self._expected[id(probe)] = output
        return self._expected[id(probe)]

    @cached_property
    def _expected(self) -> dict[int, Tensor]:
        return {}

    def filled(self, probe: Probe) -> nn.Module | None:
        """Return the right module with the probe's parameters in it, made once; None if it is not a class's check."""
        fill = getattr(self.module, "fill", None)
        if fill is None:
            return None
        if id(probe) not in self._filled:
            self._filled[id(probe)] = fill(probe)
        return self._filled[id(probe)]

    @cached_property
    def _filled(self) -> dict[int, nn.Module]:
        return {}

    @cached_property
    def expected_on_core(self) -> tuple[Tensor, ...]:
        """The right outputs on the probes of the diagnosis."""
        return tuple(self.expected(probe) for probe in self.core)

    def implementations(self, entry: Bug) -> list[Function]:
        """Return the bug as whole functions: its main form first, then the other ways of writing it."""
        return [self.assemble({entry.part: wrong}) for wrong in (entry.wrong, *entry.also)]

    def assemble(self, parts: Mapping[str, Function]) -> Function:
        """Return a whole function from wrong parts."""
        if "" in parts:
            return self.adapt(parts[""])
        assert self.build is not None, f"{self.name} has bugs in parts, but does not say how to build from parts"
        return self.adapt(self.build(parts))


@lru_cache(maxsize=32)  # what a check has computed is kept with it
def _seeded(check: Check, seed: int) -> Check:
    return replace(check, make_probes=partial(check.make_probes, seed))


def as_tensor(output: Any) -> Tensor:
    """Return an output of our own functions as a tensor."""
    if isinstance(output, Tensor):
        return output.detach()
    if isinstance(output, list):
        return torch.tensor(output, dtype=torch.int64)
    return torch.tensor(float(output), dtype=torch.float64)
