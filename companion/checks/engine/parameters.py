"""A learner's layers and parameters: are they those that a check expects, and if not, why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from companion.checks.engine.calling import Problem
from companion.checks.engine.names import Names, taken


@contextmanager
def replaced(module: nn.Module, parameters: Mapping[str, Tensor]) -> Iterator[None]:
    """Put other tensors in the place of a module's parameters, for a while.

    This is `torch.func.functional_call`, several times faster: a check makes hundreds of calls of small modules.
    """
    kept = [(child._parameters, dict(child._parameters)) for child in module.modules()]
    replace(module, parameters)
    try:
        yield
    finally:
        for places, before in kept:
            places.update(before)


def replace(module: nn.Module, parameters: Mapping[str, Tensor]) -> None:
    """Put other tensors in the place of a module's parameters, for good."""
    for prefix, child in module.named_modules():
        for key, parameter in child._parameters.items():
            if parameter is not None:
                child._parameters[key] = parameters[f"{prefix}.{key}" if prefix else key]


def names_of(module: nn.Module, expected: Mapping[str, Tensor], works: Callable[[Names], bool]) -> Names:
    """Return the expected name of each parameter: its own, or that for which it is taken; nothing for what fits none.

    Args:
        module: the learner's.
        expected: the check's parameters.
        works: says of such names whether the output is the right one.
    """
    found = dict(module.named_parameters(remove_duplicate=False))
    first: dict[int, str] = {}  # of the names of one parameter
    for name in sorted(found, key=lambda name: name not in expected):
        first.setdefault(id(found[name]), name)

    def with_others(names: Names) -> Names:
        both = {name: names.get(name, names.get(first[id(value)], "")) for name, value in found.items()}
        return {name: wanted for name, wanted in both.items() if wanted}

    names = {name: name for name in found if name in expected}
    if len(names) < len(expected):
        once = list(found) if len(found) == len(expected) else first.values()
        own = {name: tuple(value.shape) for name, value in found.items() if name in once}
        right = {name: tuple(value.shape) for name, value in expected.items()}
        names = taken(own, right, lambda way: works(with_others(way))) or names
    return with_others(names)


def check_parameters(module: nn.Module, expected: Mapping[str, Tensor], names: Names) -> None:
    """Refuse a module whose parameters fit none of those expected, have other shapes, or are not each its own."""
    found = dict(module.named_parameters(remove_duplicate=False))
    own = {wanted: name for name, wanted in reversed(names.items())}
    missing = [name for name in expected if name not in own]
    unknown = [name for name in found if name not in names]
    if missing:
        raise Problem(f"Your class has no parameter {_few(missing)}{_why(module, missing, unknown, own)}")
    if unknown:
        said = f"Your class has a parameter {_few(unknown)} that this check does not expect."
        is_norm = any("norm" in name or name.startswith("ln") for name in unknown)
        raise Problem(said + (" Is there a norm more than in the formula?" if is_norm else ""))
    owners: dict[int, str] = {}
    for name, value in ((own[wanted], value) for wanted, value in expected.items()):
        if found[name].shape != value.shape:
            raise Problem(_other_shape(name, tuple(found[name].shape), tuple(value.shape)))
        first = owners.setdefault(found[name].data_ptr(), name)
        if first != name:
            raise Problem(f"Your parameter {name} is {first} under another name: each should have numbers of its own.")


def check_unchanged(module: nn.Module, parameters: Mapping[str, Tensor]) -> None:
    """Refuse a forward that makes layers or parameters: they begin anew with every call."""
    now = dict(module.named_parameters())
    made = [name for name, value in now.items() if value is not parameters.get(name)]
    if made:
        raise Problem(
            f"Your forward makes {_few(made)} anew on every call, so that it is never trained: make layers and "
            "parameters in __init__."
        )


def _why(module: nn.Module, missing: list[str], unknown: list[str], found: Mapping[str, Any]) -> str:
    """Finish the sentence about parameters that are missing: what is there instead, or where they hide."""
    hidden = list(_hidden(module))
    if hidden:
        return f". {' '.join(hidden[:2])}"
    if not found and not unknown:
        return "; it has no parameters at all. Layers and parameters are made in __init__."
    if all(name.endswith("bias") and name.removesuffix("bias") + "weight" in found for name in missing):
        return ": is bias=False said somewhere?"
    return f"; instead it has {_few(unknown)}." if unknown else "."


def _hidden(module: nn.Module) -> Iterator[str]:
    """Say what stands on a module as something that torch does not look into."""
    for child in module.modules():
        for name, value in vars(child).items():
            if isinstance(value, Tensor):
                yield f"Your {name} is a plain tensor: torch.nn.Parameter makes a tensor one that is trained."
            elif isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], nn.Module):
                yield f"Your {name} is a tuple: does its line end with a comma?"
            elif isinstance(value, (list, tuple, dict)) and not name.startswith("_") and _has_module(value):
                yield f"Your {name} is a {type(value).__name__}, and torch does not see the layers in it."
        for name in child._buffers:
            if name in ("weight", "bias"):
                yield f"Your {name} is a buffer, which is not trained: make it a torch.nn.Parameter."


def _has_module(values: Any) -> bool:
    return any(isinstance(value, nn.Module) for value in (values.values() if isinstance(values, dict) else values))


def _other_shape(name: str, shape: tuple[int, ...], right: tuple[int, ...]) -> str:
    sentence = f"Your parameter {name} has shape {shape}; it should be {right}."
    if len(right) == 2 and shape == right[::-1]:
        sentence += " torch.nn.Linear takes the number of features that go in first, then of those that come out."
    return sentence


def _few(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
