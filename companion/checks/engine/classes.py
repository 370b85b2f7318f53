"""Checking a class: it is called as a function of its sizes, its inputs and its parameters.

For every call the class is built afresh, its parameters are replaced by those of the probe, and its forward is called.
So everything that is done with a learner's function is done with a learner's class as well: values and gradients are
compared on randomised parameters, and bugs are told by their numbers.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from companion.checks.engine.bank import Bug, recognise
from companion.checks.engine.calling import Problem, fresh, type_name
from companion.checks.engine.handed_in import HandedIn, others
from companion.checks.engine.names import Names, told
from companion.checks.engine.parameters import check_parameters, check_unchanged, names_of, replace, replaced
from companion.checks.engine.probe import Probe
from companion.checks.engine.signatures import arguments, has_default, problem_of_class
from companion.checks.engine.variants import Variant

_NO_SUPER = "Your __init__ does not call super().__init__(): it should do so first, before it makes any layer."


@dataclass(frozen=True)
class ClassForm:
    """A class, which makes a module of some sizes.

    Attributes:
        reference: the right class; its parameters have the expected names and shapes.
        sizes: what the class is built with, in order.
        inputs: what its forward takes, in order.
        around: given a probe's inputs, the context in which forward is called.
    """

    reference: Callable[..., nn.Module]
    sizes: tuple[str, ...]
    inputs: tuple[str, ...]
    around: Callable[[Mapping[str, Any]], AbstractContextManager[Any]] = nullcontext

    what = "class"
    kept = (
        "Your output depends on what the module was called with before: something is kept on self from one call to the "
        "next."
    )

    @property
    def parameters(self) -> tuple[str, ...]:
        """What forward takes."""
        return self.inputs

    @property
    def told(self) -> tuple[str, ...]:
        """The inputs that a sentence names."""
        return (*self.sizes, *self.inputs)

    @property
    def call(self) -> str:
        """The signature, as it is written."""
        return f"cls({', '.join(self.sizes)}), with forward({', '.join(self.inputs)})"

    def hand_in(self, thing: Any, early: Sequence[Bug] = ()) -> HandedIn:
        """Return a class, so that it can be called as a function."""
        return thing if isinstance(thing, HandedInClass) else HandedInClass(thing, self, early)

    def fill(self, probe: Probe) -> nn.Module:
        """Return the right module of a probe, with the probe's parameters in it."""
        module = self.reference(*(probe.inputs[size] for size in self.sizes))
        module.train(probe.inputs.get("training", False))
        parameters = self.parameters_among(probe.inputs)
        replace(module, parameters) if parameters else _begin(module, probe.inputs)
        return module

    def before(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return what a module can be called with before: other values of the same shapes, and a token less.

        Masks have the length of the inputs, so that nothing is made shorter beside one.
        """
        changed = others({key: x for key, x in values.items() if key in self.inputs})
        tensors = {key: x for key, x in changed.items() if isinstance(x, Tensor)}
        found = [tensors]
        if all(x.dtype != torch.bool and x.size(1) > 1 for x in tensors.values()):
            found.insert(0, {key: x[:, 1:] for key, x in tensors.items()})
        return [{**values, **each} for each in found]

    def parameters_among(self, values: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return those values that are parameters."""
        apart = {*self.sizes, *self.inputs, "training"}
        return {key: value for key, value in values.items() if key not in apart}

    def probe(
        self,
        name: str,
        sizes: Mapping[str, Any],
        inputs: Mapping[str, Any],
        generator: torch.Generator,
        *,
        no_gradient: tuple[str, ...] = (),
        **options: Any,
    ) -> Probe:
        """Return a probe in which every parameter is drawn: fresh layers have zero biases and unit gains.

        Args:
            name: of the probe.
            sizes: to build the class with.
            inputs: of its forward; "training" may stand among them, and is False otherwise.
            generator: draws the parameters.
            no_gradient: what has no gradient worth comparing, such as the bias of the keys (it moves all scores of
                a query alike).
            **options: of the probe, such as `omit`.
        """
        with torch.random.fork_rng(devices=[]):
            shapes = {key: p.shape for key, p in self.reference(*sizes.values()).named_parameters()}
        # Halved, so that scores stay small; and numbers that float32 holds exactly.
        parameters = {key: torch.randn(shape, generator=generator).double() / 2 for key, shape in shapes.items()}
        tensors = {key: x for key, x in inputs.items() if isinstance(x, Tensor) and x.is_floating_point()}
        gradients = tuple(key for key in (*tensors, *parameters) if key not in no_gradient)
        return Probe(name, {**sizes, **inputs, **parameters}, gradients, **options)


class HandedInClass:
    """A class as a function: ``fn(d_model=…, x=…, weight=…)``, everything by name.

    Args:
        cls: the learner's class, or anything else that makes a module of the sizes.
        form: what the check expects.
        early: the bugs that show in what it builds.
    """

    def __init__(self, cls: Any, form: ClassForm, early: Sequence[Bug]) -> None:
        self.thing = cls
        self.form = form
        self.early = early
        self.is_used = False
        self.codes = _codes_of(cls)
        self._names: dict[tuple[Any, ...], Names] = {}  # expected names by the learner's, for each set of those

    @property
    def remark(self) -> str:
        """Say in a sentence what was taken for what, if names are not the check's."""
        return told(next(reversed(self._names.values()), {}))

    def used(self) -> HandedIn:
        """Return the same, but each module has been called with other inputs before: it should not remember them."""
        other = copy.copy(self)
        other.is_used = True
        return other

    def __call__(self, **values: Any) -> Any:
        """Build the class, give it the parameters among the values, and call it with the inputs among them.

        Without any parameter it is called as it was built.
        """
        module = self.build(values)
        module.train(values.get("training", False))
        parameters = self.form.parameters_among(values)
        recognise(self.early, module)
        _begin(module, values, with_parameters=not parameters)
        if not parameters:
            return self.forward(module, values)
        names = self.names(module, values, parameters)
        check_parameters(module, parameters, names)
        own = {name: parameters[expected] for name, expected in names.items()}
        with replaced(module, own):
            output = self.forward(module, values)
            check_unchanged(module, own)
        return output

    def names(self, module: nn.Module, values: Mapping[str, Any], parameters: Mapping[str, Tensor]) -> Names:
        """Return which of the module's parameters is which: found out once, so that it stays the same."""
        names = (name for name, _ in module.named_parameters(remove_duplicate=False))
        key = (next(iter(parameters.values())).dtype, *names)  # in another precision more of it may work
        if key not in self._names:
            self._names[key] = names_of(module, parameters, partial(self._works, values))
        return self._names[key]

    def _works(self, values: Mapping[str, Any], names: Names) -> bool:
        """Whether the output is the right one if the parameters are these."""
        values = {name: fresh(value) for name, value in values.items()}
        right = HandedInClass(self.form.reference, self.form, ())(**values)
        try:
            module = self.build(values)
            module.train(values.get("training", False))
            _begin(module, values, with_parameters=False)
            with replaced(module, {name: values[expected] for name, expected in names.items()}):
                output = self.forward(module, values)
        except Exception:  # told if it comes again
            return False
        output = output[0] if isinstance(output, (tuple, list)) and output else output
        if not isinstance(output, Tensor) or output.shape != right.shape:
            return False
        return bool((output - right).abs().max() <= 1e-4 * right.abs().max())

    def build(self, values: Mapping[str, Any]) -> nn.Module:
        """Build the class of the sizes among the values."""
        args, kwargs = arguments(self.thing, self.form.sizes, values)
        try:
            module = self.thing(*args, **kwargs)
        except AttributeError as error:
            if "before Module.__init__() call" in str(error):
                raise Problem(_NO_SUPER) from None
            raise
        if not isinstance(module, nn.Module):
            made = type_name(module)
            raise Problem(f"The check needs a class, {self.form.call}; what you handed in returned {made}.")
        if "_parameters" not in vars(module):
            raise Problem(_NO_SUPER)
        return module

    def on(self, values: Mapping[str, Any], right: nn.Module | None) -> Any:
        """Do the same, quickly, for a `Variant` of the right module, which has the values in it."""
        if isinstance(self.thing, Variant) and right is not None:
            return self.forward(self.thing.of(right), values)
        return self(**values)

    def forward(self, module: nn.Module, values: Mapping[str, Any]) -> Any:
        """Call the module with the inputs among the values."""
        with self.form.around(values):
            if self.is_used:
                for before in self.form.before(values):
                    self.call(module, before)
            return self.call(module, values)

    def call(self, module: nn.Module, values: Mapping[str, Any]) -> Any:
        """Call the module once."""
        if isinstance(self.thing, Variant):  # our own, called hundreds of times: its signature is known
            return module(*(values.get(key) for key in self.form.inputs))
        args, kwargs = arguments(module.forward, self.form.inputs, values)
        return module(*args, **kwargs)

    def problem(self) -> str:
        """Say in a sentence why it cannot be called as the check calls it; empty if it can."""
        return problem_of_class(self.thing, self.form.sizes, self.form.inputs, self.form.call)

    def has_default(self, name: str) -> bool:
        """Whether forward can be called without a parameter."""
        forward: Any = getattr(self.thing, "forward", None)
        return inspect.isclass(self.thing) and has_default(forward, name, 1 + self.form.inputs.index(name))


def _codes_of(cls: Any) -> list[Any]:
    """Return the code objects in which a line of the learner's may stand, those of base classes included."""
    if not inspect.isclass(cls):
        return [getattr(cls, "__code__", None)]
    own = [base for base in cls.__mro__ if base.__module__.partition(".")[0] not in ("builtins", "companion", "torch")]
    members = [member for base in own for member in vars(base).values()]
    return [member.__code__ for member in members if inspect.isfunction(member)] or [None]


def _begin(module: nn.Module, values: Mapping[str, Any], with_parameters: bool = True) -> None:
    """Bring a module into the dtype of the inputs: all of it where it keeps what it begins with, else its buffers."""
    dtype = next(x.dtype for x in values.values() if isinstance(x, Tensor) and x.is_floating_point())
    if with_parameters:
        module.to(dtype)
        odd = [name for name, parameter in module.named_parameters() if not parameter.isfinite().all()]
        if odd:
            raise Problem(f"A fresh module's {' and '.join(odd)} should be finite numbers.")
        return
    for child in module.modules():
        for name, buffer in child._buffers.items():
            if buffer is not None and buffer.is_floating_point():
                child._buffers[name] = buffer.to(dtype)
