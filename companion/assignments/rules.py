"""What a grader asks beyond a passing check: that the work is the learner's own, and that there is no warning."""

from __future__ import annotations

import dis
import functools
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from companion.assignments.names import NOT_THE_ANSWER
from companion.checks import CheckFailed, Report

_HINT = "Write what the exercise asks for yourself; use the companion's function to compare with."
_UNDEFINED = "Run your cell: does it end in an error? Compare the name with the one that the exercise asks for."


def own_work(handed_in: Any, allowed: Sequence[str] = ()) -> None:
    """Raise if a function or class uses something of the companion that the exercise does not give it.

    It follows helpers, aliases, partial functions, base classes, objects, and lists and dicts of such things. It reads
    code, it does not run it: what is hidden on purpose (behind ``getattr`` with a made-up string, or a copied source)
    is not found.

    Args:
        handed_in: what the learner wrote.
        allowed: names of the companion that may be used.

    Raises:
        CheckFailed: it uses another one, or there is nothing.
    """
    __tracebackhide__ = True
    if handed_in is None:
        message = "There is nothing to check: the code that defines it did not run, or gives it another name."
        raise CheckFailed(Report("own_work", False, message, hints=(_UNDEFINED, _UNDEFINED)))
    names = sorted(set(_borrowed(handed_in, str(getattr(handed_in, "__module__", "")), set())) - set(allowed))
    if not names:
        return
    may = "nothing of it" if not allowed else "only " + ", ".join(sorted(allowed))
    message = f"It uses {', '.join(names)} of companion. This exercise may use {may}."
    raise CheckFailed(Report("own_work", False, message, hints=(_HINT, _HINT)))


def without_warning(report: Report) -> None:
    """Raise if a check passed with a warning, where an exercise asks for none.

    Raises:
        CheckFailed: there is a warning.
    """
    __tracebackhide__ = True
    if report.warnings:
        message = f"It passes the check, but with a warning, and this exercise asks for none: {report.warnings[0]}"
        raise CheckFailed(Report(report.check, False, message, hints=(report.warnings[0], _HINT)))


def _borrowed(thing: Any, home: str, seen: set[int]) -> Iterator[str]:
    """Name what is ours in a thing; of the rest, follow what the learner wrote, which is what lives in `home`."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if _is_ours(thing):
        yield getattr(thing, "__name__", type(thing).__name__)
    elif isinstance(thing, functools.partial):
        for value in (thing.func, *thing.args, *thing.keywords.values()):
            yield from _borrowed(value, str(getattr(thing.func, "__module__", "")), seen)
    elif inspect.ismethod(thing) or isinstance(thing, staticmethod | classmethod):
        yield from _borrowed(thing.__func__, home, seen)
    elif isinstance(thing, property | functools.cached_property):
        yield from _borrowed(thing.fget if isinstance(thing, property) else thing.func, home, seen)
    elif isinstance(thing, dict | list | tuple | set):
        for value in thing.values() if isinstance(thing, dict) else thing:
            yield from _borrowed(value, home, seen)
    elif getattr(thing, "__module__", None) != home:
        return
    elif isinstance(thing, FunctionType):
        around = dict(zip(thing.__code__.co_freevars, map(_content, thing.__closure__ or ()), strict=True))
        yield from _in_code(thing.__code__, {**thing.__globals__, **around}, home, seen)
        for value in (*around.values(), *(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values()):
            yield from _borrowed(value, home, seen)
    elif isinstance(thing, type):
        written = [value for name, value in vars(thing).items() if name != "__annotations__"]
        for value in (*thing.__bases__, *written):
            yield from _borrowed(value, home, seen)
    else:  # an object of the learner's own class, or a function in a wrapper such as that of functools.cache
        for value in (type(thing), *getattr(thing, "__dict__", {}).values()):
            yield from _borrowed(value, home, seen)


def _in_code(code: CodeType, scope: dict[str, Any], home: str, seen: set[int]) -> Iterator[str]:
    """Look up what a piece of code names: a global, the attributes of a module, and what it imports."""
    found: Any = None  # the module that the step before has loaded
    package, brought = "", None  # what is being imported from, and what it has given
    for operation, name in _steps(code):
        if operation == "IMPORT_NAME":
            package, brought = name, sys.modules.get("companion")
            if package.startswith("companion."):
                yield package.removeprefix("companion.")
        elif operation == "IMPORT_FROM" and package == "companion":
            brought = getattr(sys.modules["companion"], name, None)
            if name not in NOT_THE_ANSWER:
                yield name
        elif operation.startswith("STORE") and package == "companion":
            scope = {**scope, name: brought}
        else:
            package, thing = "", None
            if operation in ("LOAD_ATTR", "LOAD_METHOD"):
                thing = getattr(found, name, None) if found else None
            elif operation.startswith("LOAD") and operation != "LOAD_CONST":
                thing = scope.get(name)
            found = thing if isinstance(thing, ModuleType) else None
            if thing is not None and found is None:
                yield from _borrowed(thing, home, seen)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _in_code(constant, scope, home, seen)


def _steps(code: CodeType) -> Iterator[tuple[str, Any]]:
    """Yield what a piece of code does, step by step, and the name that it does it with."""
    for step in dis.get_instructions(code):
        pair = re.findall("LOAD|STORE", step.opname)
        if len(pair) == 2 and isinstance(step.argval, tuple):  # two steps in one, from Python 3.13 on
            yield from zip(pair, step.argval, strict=True)
        elif step.opname != "EXTENDED_ARG":
            yield step.opname, step.argval


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it has no value yet
        return None


def _is_ours(thing: Any) -> bool:
    place = getattr(thing, "__module__", None)
    return isinstance(place, str) and place.split(".")[0] == "companion"
