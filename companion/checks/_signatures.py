"""What a class and its forward take: how to call them, and why they cannot be called."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from companion.checks._calls import type_name

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def arguments(
    function: Callable[..., Any], names: tuple[str, ...], values: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Split the values that are there into arguments: by position as long as the function allows it."""
    parameters = _parameters(function)
    by_position = [p.name for p in parameters if p.kind in _BY_POSITION]
    by_name = {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    endless = not parameters or any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for place, name in enumerate(names):
        if name not in values:
            continue
        fits = place < len(by_position) or (endless and name not in by_name)
        if fits and len(args) == place:
            args.append(values[name])
        else:  # one before it was left out, or it has to be named
            kwargs[by_position[place] if place < len(by_position) else name] = values[name]
    return tuple(args), kwargs


def default_of(function: Callable[..., Any], name: str, place: int) -> Any:
    """Return the default of a parameter, which may have another name at its place; empty if there is none."""
    parameters = {p.name: p for p in _parameters(function)}
    by_position = [p for p in parameters.values() if p.kind in _BY_POSITION]
    found = parameters.get(name) or next(iter(by_position[place : place + 1]), None)
    return inspect.Parameter.empty if found is None else found.default


def signature_problem(cls: Any, sizes: tuple[str, ...], inputs: tuple[str, ...], call: str) -> str:
    """Say in a sentence why a class cannot be called as the check calls it; empty if it can."""
    if isinstance(cls, nn.Module) or not callable(cls):
        return f"The check needs the class itself, {call}, and got {type_name(cls)}."
    if inspect.isclass(cls) and not issubclass(cls, nn.Module):
        return f"Your class is not a torch.nn.Module: begin it with class {cls.__name__}(torch.nn.Module)."
    if inspect.isclass(cls) and cls.__init__ is nn.Module.__init__:
        return f"Your class has no __init__{_near(cls, '__init__')}; the check calls {call}."
    if problem := _cannot_take(cls, sizes, "Your class is built with"):
        return f"{problem}; the check calls {call}."
    if not inspect.isclass(cls):
        return ""
    forward = getattr(cls, "forward", None)
    if forward is None or forward is nn.Module.forward:
        return f"Your class has no forward{_near(cls, 'forward')}; the check calls {call}."
    if next(iter(_parameters(forward)), inspect.Parameter("self", _BY_POSITION[1])).name == inputs[0]:
        return f"Your forward has no self: write def forward(self, {', '.join(inputs)})."
    if problem := _cannot_take(forward, ("self", *inputs), "Your forward takes"):
        return f"{problem}; the check calls {call}."
    return ""


def _cannot_take(function: Callable[..., Any], names: tuple[str, ...], takes: str) -> str:
    args, kwargs = arguments(function, names, dict.fromkeys(names))
    given = _parameters(function)
    said = f"{takes} ({', '.join(p.name for p in given if p.name != 'self')})"
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return said
    except ValueError:  # some callables written in C do not tell
        return ""
    places = {p.name: place for place, p in enumerate(given) if p.kind in _BY_POSITION}
    moved = any(places.get(name, place) != place for place, name in enumerate(names))
    other_order = {*names} - {"self"} <= {*places} and len(places) == len(names)
    return f"{said}{', in another order' if other_order else ''}" if moved else ""


def _near(cls: type, wanted: str) -> str:
    """Ask whether a method of nearly that name was meant."""
    near = difflib.get_close_matches(wanted, [name for name in vars(cls) if name != wanted], 1)
    return f" (is {near[0]} meant to be it?)" if near else ""


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some callables written in C do not tell
        return []
