"""What a learner hands in, as the engine sees it: one protocol, with three implementations.

A function stands here, a class in `classes`, a function that is called many times in `steps`. Whatever it is, the
engine calls it with everything by name, ``handed_in(query=..., key=..., mask=...)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from companion.checks.engine.bank import Bug
from companion.checks.engine.calling import codes_of
from companion.checks.engine.probe import Probe
from companion.checks.engine.signatures import arguments, has_default, problem_of_function


class HandedIn(Protocol):
    """What is handed in, ready to be called.

    Attributes:
        thing: what was handed in, as it is.
        codes: the code objects in which a line of the learner's may stand.
        remark: says in a sentence what was taken for what in it; empty if nothing was.
    """

    @property
    def thing(self) -> Any: ...  # noqa: D102 - said above
    @property
    def codes(self) -> Sequence[Any]: ...  # noqa: D102 - said above
    @property
    def remark(self) -> str: ...  # noqa: D102 - said above

    def __call__(self, **values: Any) -> Any:
        """Call it, with everything by name."""

    def on(self, values: Mapping[str, Any], right: nn.Module | None) -> Any:
        """Call what is our own; where a right module is there with the values in it, that saves filling another."""

    def problem(self) -> str:
        """Say in a sentence why it cannot be called as the check calls it; empty if it can."""

    def has_default(self, name: str) -> bool:
        """Whether it can be called without a parameter."""

    def used(self) -> HandedIn | None:
        """Return the same after calls with other inputs, which it should not remember.

        None if it cannot be had anew: then what it remembers shows in the next call, with other inputs of equal shapes.
        """


class Form(Protocol):
    """What a check expects to be handed in.

    Attributes:
        what: "function" or "class".
        parameters: what is called with the probe's inputs, in order.
        told: the inputs that a sentence names: not the parameters of a class.
        call: the signature, as it is written.
        kept: what is said of one that remembers what it was called with before.
    """

    @property
    def what(self) -> str: ...  # noqa: D102 - said above
    @property
    def parameters(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def told(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def call(self) -> str: ...  # noqa: D102
    @property
    def kept(self) -> str: ...  # noqa: D102

    def hand_in(self, thing: Any, early: Sequence[Bug]) -> HandedIn:
        """Return a thing, which may be there already, so that it can be called.

        `early` are the bugs that show in what is built or kept, before there are numbers.
        """

    def fill(self, probe: Probe) -> nn.Module | None:
        """Return the right module with a probe's parameters in it, if a class is expected."""


class FunctionForm:
    """A function of the probe's inputs."""

    what = "function"
    kept = "Something is kept from one call to the next."

    def __init__(self, *parameters: str) -> None:
        self.parameters = self.told = parameters
        self.call = f"fn({', '.join(parameters)})"

    def hand_in(self, thing: Any, early: Sequence[Bug] = ()) -> HandedIn:
        """Return it, so that it can be called by name."""
        return thing if isinstance(thing, HandedInFunction) else HandedInFunction(thing, self)

    def fill(self, probe: Probe) -> None:
        """Return nothing: a function has no parameters of its own."""


class HandedInFunction:
    """A function, or an object that can be called as one.

    Args:
        function: the learner's.
        form: what the check expects.
    """

    remark = ""

    def __init__(self, function: Callable[..., Any], form: FunctionForm) -> None:
        self.thing = function
        self.form = form
        self.codes = codes_of(function)

    def __call__(self, **values: Any) -> Any:
        """Call it, by position as long as it allows that."""
        args, kwargs = arguments(self.thing, self.form.parameters, values)
        return self.thing(*args, **kwargs)

    def on(self, values: Mapping[str, Any], right: nn.Module | None) -> Any:
        """Call what is our own, whose parameters have the right names."""
        return self.thing(**values)

    def problem(self) -> str:
        """Say in a sentence why it cannot be called as the check calls it; empty if it can."""
        return problem_of_function(self.thing, self.form.parameters, self.form.call)

    def has_default(self, name: str) -> bool:
        """Whether it can be called without a parameter."""
        return has_default(self.thing, name, self.form.parameters.index(name))

    def used(self) -> None:
        """Return nothing: it was called before, and there is no other."""


def others(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs of the same shapes with other values.

    A mask is turned about, so that a query that may attend to something still may.
    """

    def other(x: Any) -> Any:
        if not isinstance(x, Tensor) or x.dim() == 0:
            return x
        if x.dtype == torch.bool:
            return x.flip(-1, -2) if x.dim() > 1 else x.flip(-1)
        return -x.flip(0) if x.is_floating_point() else x.flip(0)

    return {name: other(x) for name, x in values.items()}
