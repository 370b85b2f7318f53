"""Checking a class: it is called as a function of its sizes, its inputs and its parameters.

For every call the class is built afresh, its parameters are replaced by those of the probe, and its forward is called.
So everything that is done with a learner's function is done with a learner's class as well: values and gradients are
compared on randomised parameters, and bugs are told by their numbers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from companion.checks._calls import KnownBug, Problem, type_name
from companion.checks._spec import Probe


@dataclass(frozen=True)
class Module:
    """What a check expects of a class.

    Attributes:
        reference: the right class; its parameters have the expected names and shapes.
        sizes: what the class is built with, in order.
        inputs: what its forward takes, in order.
        stacked: whether layers are stacked in it, so that they may be stacked in a wrong way.
    """

    reference: Callable[..., nn.Module]
    sizes: tuple[str, ...]
    inputs: tuple[str, ...]
    stacked: bool = False
    what = "class"  # is handed in

    @property
    def call(self) -> str:
        """The signature, as it is written."""
        return f"cls({', '.join(self.sizes)}), with forward({', '.join(self.inputs)})"

    def function(self, cls: Any) -> ModuleFunction:
        """Return the class as a function."""
        return cls if isinstance(cls, ModuleFunction) else ModuleFunction(cls, self)

    def fill(self, probe: Probe) -> nn.Module:
        """Return the right module of a probe, with the probe's parameters in it."""
        module = self.reference(*(probe.inputs[size] for size in self.sizes))
        module.train(probe.inputs.get("training", False))
        parameters = self.parameters_among(probe.inputs)
        _replace(module, parameters) if parameters else _begin(module, probe.inputs)
        return module

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


class ModuleFunction:
    """A class as a function: ``fn(d_model=…, x=…, weight=…)``, everything by name.

    Args:
        cls: the learner's class, or anything else that makes a module of the sizes.
        expected: what the check expects of it.
    """

    by_name = True

    def __init__(self, cls: Any, expected: Module) -> None:
        self.cls = cls
        self.expected = expected
        members = vars(cls).values() if inspect.isclass(cls) else ()
        self.codes = [member.__code__ for member in members if inspect.isfunction(member)]

    def __call__(self, **values: Any) -> Any:
        """Build the class, give it the parameters among the values, and call it with the inputs among them.

        Without any parameter it is called as it was built.
        """
        module = self.cls(*(values[size] for size in self.expected.sizes))
        if not isinstance(module, nn.Module):
            raise Problem(f"Your class makes {type_name(module)}; it should be a torch.nn.Module.")
        module.train(values.get("training", False))
        parameters = self.expected.parameters_among(values)
        if self.expected.stacked:
            _check_stacks(module)
        if not parameters:
            _begin(module, values)
            return self.forward(module, values)
        _check_parameters(module, parameters)
        with _replaced(module, parameters):
            return self.forward(module, values)

    def on(self, filled: nn.Module, values: Mapping[str, Any]) -> Any:
        """Do the same, quickly, for a `Variant` of which a right module is there, filled with the values."""
        return self.forward(self.cls.of(filled), values)

    def forward(self, module: nn.Module, values: Mapping[str, Any]) -> Any:
        """Call the module with the inputs among the values."""
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for key in self.expected.inputs:
            if key not in values:
                continue
            if len(args) == self.expected.inputs.index(key):
                args.append(values[key])
            else:  # one before it was left out
                kwargs[key] = values[key]
        return module(*args, **kwargs)

    def signature_problem(self) -> str:
        """Say in a sentence why it cannot be called as the check calls it; empty if it can."""
        if isinstance(self.cls, nn.Module) or not callable(self.cls):
            return f"The check needs the class itself, {self.expected.call}, and got {type_name(self.cls)}."
        if problem := _cannot_take(self.cls, self.expected.sizes, "Your class is built with"):
            return f"{problem}; the check calls {self.expected.call}."
        if not inspect.isclass(self.cls):
            return ""
        forward = getattr(self.cls, "forward", None)
        if forward is None or forward is nn.Module.forward:
            return f"Your class has no forward; the check calls {self.expected.call}."
        if problem := _cannot_take(forward, ("self", *self.expected.inputs), "Your forward takes"):
            return f"{problem}; the check calls {self.expected.call}."
        return ""

    def has_default(self, name: str) -> bool:
        """Whether forward can be called without its parameter `name`."""
        if not inspect.isclass(self.cls):
            return False
        forward: Any = getattr(self.cls, "forward", None)
        parameter = inspect.signature(forward).parameters.get(name)
        return parameter is not None and parameter.default is not inspect.Parameter.empty


def _cannot_take(function: Callable[..., Any], names: tuple[str, ...], takes: str) -> str:
    try:
        signature = inspect.signature(function)
        signature.bind(*names)
    except TypeError:
        return f"{takes} ({', '.join(name for name in signature.parameters if name != 'self')})"
    except ValueError:  # some callables written in C do not tell
        pass
    return ""


def _check_stacks(module: nn.Module) -> None:
    """Refuse layers that share their parameters, hide them from torch, or begin alike."""
    for child in module.modules():
        held = [value for value in vars(child).values() if isinstance(value, (list, tuple)) and value]
        if any(isinstance(layer, nn.Module) for layers in held for layer in layers):
            raise KnownBug("layers_in_a_list")
        if not isinstance(child, nn.ModuleList) or len(child) < 2:
            continue
        if len({id(layer) for layer in child}) < len(child):
            raise KnownBug("one_layer_for_all")
        first, second = (layer.parameters() for layer in list(child)[:2])
        for one, other in zip(first, second, strict=False):
            if (one != one.flatten()[0]).any():  # drawn: a bias begins with zeros, a gain with ones
                if torch.equal(one, other):
                    raise KnownBug("layers_cloned")
                break


def _begin(module: nn.Module, values: Mapping[str, Any]) -> None:
    """Leave a module the parameters that it begins with, in the dtype of the inputs."""
    module.to(next(x.dtype for x in values.values() if isinstance(x, Tensor) and x.is_floating_point()))


@contextmanager
def _replaced(module: nn.Module, parameters: Mapping[str, Tensor]) -> Iterator[None]:
    """Put other tensors in the place of a module's parameters, for a while.

    This is `torch.func.functional_call`, several times faster: a check makes hundreds of calls of small modules.
    """
    kept = [(child._parameters, dict(child._parameters)) for child in module.modules()]
    _replace(module, parameters)
    try:
        yield
    finally:
        for places, before in kept:
            places.update(before)


def _replace(module: nn.Module, parameters: Mapping[str, Tensor]) -> None:
    for prefix, child in module.named_modules():
        for key, parameter in child._parameters.items():
            if parameter is not None:
                child._parameters[key] = parameters[f"{prefix}.{key}" if prefix else key]


def _check_parameters(module: nn.Module, expected: Mapping[str, Tensor]) -> None:
    """Refuse a module whose parameters have other names or shapes than expected."""
    found = dict(module.named_parameters())
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    if missing:
        has = f"it has {_few(list(found))}" if found else "it has no parameters at all (is a layer kept in a list?)"
        raise Problem(f"Your class has no parameter {_few(missing)}; {has}.")
    if unknown:
        raise Problem(f"Your class has a parameter {_few(unknown)} that this check does not expect.")
    for name, value in expected.items():
        if found[name].shape != value.shape:
            shapes = f"{tuple(found[name].shape)}; it should be {tuple(value.shape)}"
            raise Problem(f"Your parameter {name} has shape {shapes}.")


def _few(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
