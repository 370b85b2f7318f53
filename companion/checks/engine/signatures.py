"""What a function, a class and its forward take: how to call them, and why they cannot be called."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from companion.checks.engine.calling import type_name

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def arguments(
    function: Callable[..., Any], names: tuple[str, ...], values: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Split the values that are there into arguments: by position as long as the function allows it."""
    parameters = _parameters(function)
    by_position = [p.name for p in parameters if p.kind in _BY_POSITION]
    by_name = _keyword_only(parameters)
    endless = not parameters or any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    args: list[Any] = []
    kwargs = {name: values[name] for name in names if name in by_name and name in values}
    for place, name in enumerate(name for name in names if name not in by_name):
        if name not in values:
            continue
        if len(args) == place and (place < len(by_position) or endless):
            args.append(values[name])
        else:  # one before it was left out, or it has to be named
            kwargs[by_position[place] if place < len(by_position) else name] = values[name]
    return tuple(args), kwargs


def has_default(function: Callable[..., Any], name: str, place: int) -> bool:
    """Whether a parameter, which may have another name at its place, can be left out."""
    parameters = _parameters(function)
    found = [p for p in parameters if p.name == name] or parameters[place : place + 1]
    return bool(found) and found[0].default is not inspect.Parameter.empty


def problem_of_function(function: Any, parameters: tuple[str, ...], call: str) -> str:
    """Say in a sentence why a function cannot be called as the check calls it; empty if it can."""
    if not callable(function):
        return f"The check needs the function itself, {call}, and got {type_name(function)}."
    if inspect.isclass(function):
        name = function.__name__
        return f"You handed in the class {name}; the check needs a function, {call}, or an object of it, {name}()."
    there = _parameters(function)
    names = [p.name for p in there]
    if names[:1] == ["self"]:
        return f"Your function takes self as well: it is no method here, so leave self out, as in {call}."
    meant = [_meant(name, parameters) for name in names[: len(parameters)]]
    all_different = None not in meant and len(set(meant)) == len(meant)
    if all_different and meant != list(parameters[: len(meant)]) and not _keyword_only(there):
        return f"Your function takes ({', '.join(names)}); the check gives them in another order, {call}."
    if _can_take(function, parameters):
        return ""
    missing = [name for name in parameters if name not in names]
    if len(names) == len(parameters) - 1 and parameters[-1] in missing:
        return f"Your function takes ({', '.join(names)}): it needs one more parameter, {parameters[-1]}, as in {call}."
    return f"Your function takes ({', '.join(names)}); the check calls {call}."


def problem_of_class(cls: Any, sizes: tuple[str, ...], inputs: tuple[str, ...], call: str) -> str:
    """Say in a sentence why a class cannot be called as the check calls it; empty if it can."""
    if isinstance(cls, nn.Module) or not callable(cls):
        return f"The check needs the class itself, {call}, and got {type_name(cls)}."
    if inspect.isclass(cls) and not issubclass(cls, nn.Module):
        return f"Your class is not a torch.nn.Module: begin it with class {cls.__name__}(torch.nn.Module)."
    if inspect.isclass(cls) and cls.__init__ is nn.Module.__init__:
        return f"Your class has no __init__{_near(cls, '__init__')}; the check calls {call}."
    if problem := _problem_with(cls, sizes, "Your class is built with"):
        return f"{problem}; the check calls {call}."
    if not inspect.isclass(cls):
        return ""
    forward = getattr(cls, "forward", None)
    if forward is None or forward is nn.Module.forward:
        return f"Your class has no forward{_near(cls, 'forward')}; the check calls {call}."
    if next(iter(_parameters(forward)), inspect.Parameter("self", _BY_POSITION[1])).name == inputs[0]:
        return f"Your forward has no self: write def forward(self, {', '.join(inputs)})."
    if problem := _problem_with(forward, ("self", *inputs), "Your forward takes"):
        return f"{problem}; the check calls {call}."
    return ""


def _meant(name: str, parameters: tuple[str, ...]) -> str | None:
    """Return the parameter that a name stands for: itself, its plural or its initial, if that is the initial of one."""
    if name in parameters:
        return name
    near = [known for known in parameters if name == f"{known}s" or (len(name) == 1 and known.startswith(name))]
    return near[0] if len(near) == 1 else None


def _problem_with(function: Callable[..., Any], names: tuple[str, ...], takes: str) -> str:
    there = _parameters(function)
    said = f"{takes} ({', '.join(p.name for p in there if p.name != 'self')})"
    if not _can_take(function, names):
        return said
    places = {p.name: place for place, p in enumerate(there) if p.kind in _BY_POSITION}
    by_name = _keyword_only(there)
    by_position = [name for name in names if name not in by_name]
    moved = any(places.get(name, place) != place for place, name in enumerate(by_position))
    other_order = {*names} - {"self"} <= {*places} and len(places) == len(names)
    return f"{said}{', in another order' if other_order else ''}" if moved else ""


def _can_take(function: Callable[..., Any], names: tuple[str, ...]) -> bool:
    args, kwargs = arguments(function, names, dict.fromkeys(names))
    try:
        _signature(function).bind(*args, **kwargs)
    except TypeError:
        return False
    except ValueError:  # some callables written in C do not tell
        return True
    return True


def _near(cls: type, wanted: str) -> str:
    """Ask whether a method of nearly that name was meant."""
    near = difflib.get_close_matches(wanted, [name for name in vars(cls) if name != wanted], 1)
    return f" (is {near[0]} meant to be it?)" if near else ""


def _keyword_only(parameters: list[inspect.Parameter]) -> set[str]:
    return {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(_signature(function).parameters.values())
    except (TypeError, ValueError):  # some callables written in C do not tell
        return []


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return what a function takes; of a module, what its forward takes."""
    return inspect.signature(function.forward if isinstance(function, nn.Module) else function)
