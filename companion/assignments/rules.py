"""What a grader asks beyond a passing check: that the work is the learner's own, and that there is no warning."""

from __future__ import annotations

import ast
import functools
import itertools
import linecache
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from companion.checks import Report

_HINT = "Write what the exercise asks for yourself; use the companion's function to compare with."
_UNDEFINED = "Run your cell: does it end in an error? Compare the name with the one that the exercise asks for."


def own_work(handed_in: Any, allowed: Sequence[str] = ()) -> None:
    """Raise if a function or class uses something of the companion that the exercise does not give it.

    It follows helpers, aliases, partial functions, base classes, objects, and lists and dicts of such things. It reads
    code, it does not run it: what is hidden on purpose (behind ``getattr`` with a made-up string, or a copied source)
    is not found. Code whose source is not kept, such as that of ``exec``, is judged by its names alone: one that it
    gives to an attribute counts as used if it is a global name too.

    Args:
        handed_in: what the learner wrote.
        allowed: names of the companion that may be used.

    Raises:
        CheckFailed: it uses another one, or there is nothing.
    """
    __tracebackhide__ = True
    if handed_in is None:
        message = "There is nothing to check: the code that defines it did not run, or gives it another name."
        _fail("own_work", message, _UNDEFINED, _UNDEFINED)
    written = handed_in
    while isinstance(written, functools.partial):
        written = written.func
    names = sorted(set(_borrowed(handed_in, getattr(written, "__module__", None), set())) - set(allowed))
    if names:
        may = "only " + ", ".join(sorted(allowed)) if allowed else "nothing of it"
        message = f"It uses {', '.join(names)} of companion. This exercise may use {may}."
        _fail("own_work", message, _HINT, _HINT)


def without_warning(report: Report) -> None:
    """Raise if a check passed with a warning, where an exercise asks for none.

    Raises:
        CheckFailed: there is a warning.
    """
    __tracebackhide__ = True
    if report.warnings:
        message = f"It passes the check, but with a warning, and this exercise asks for none: {report.warnings[0]}"
        _fail(report.check, message, report.warnings[0], _HINT)


def _fail(check: str, message: str, *hints: *tuple[str, str]) -> NoReturn:
    __tracebackhide__ = True
    from companion.checks import CheckFailed, Report  # on use, because the commands need none of the checks

    raise CheckFailed(Report(check, False, message, hints=hints))


def _borrowed(thing: Any, home: str | None, seen: set[int]) -> Iterator[str]:
    """Name what is ours in a thing; of the rest, follow what the learner wrote, which is what lives in `home`."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, ModuleType):
        return  # what is taken from it is looked at by its name
    module = getattr(thing, "__module__", None)
    if isinstance(module, str) and module.split(".")[0] == "companion":
        yield getattr(thing, "__name__", type(thing).__name__)
        return
    if isinstance(thing, FunctionType) and module == home:
        for name in _names(thing.__code__):
            if name.startswith("companion."):  # only an import names a module so
                yield name.removeprefix("companion.")
    for part in _parts(thing, module == home):
        yield from _borrowed(part, home, seen)


def _parts(thing: Any, own: bool) -> Iterable[Any]:
    """Return what a thing is made of: a container's and a wrapper's parts, and those of what is the learner's own."""
    match thing:
        case functools.partial():
            return thing.func, *thing.args, *thing.keywords.values()
        case MethodType() | staticmethod() | classmethod():
            return (thing.__func__,)
        case property():
            return (thing.fget,)
        case functools.cached_property():
            return (thing.func,)
        case dict():
            return thing.values()
        case list() | tuple() | set():
            return thing
        case FunctionType() if own:
            return *_read_by(thing), *(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values()
        case type() if own:
            return *thing.__bases__, *(value for name, value in vars(thing).items() if not name.startswith("__annot"))
        case _ if own:  # an object of the learner's own class, or a function in a wrapper such as functools.cache's
            return type(thing), *getattr(thing, "__dict__", {}).values()
    return ()


def _read_by(function: FunctionType) -> Iterator[Any]:
    """Yield the values, from outside of a function, that its code names."""
    code = function.__code__
    around = dict(zip(code.co_freevars, map(_content, function.__closure__ or ()), strict=True))
    scope = {"companion": sys.modules["companion"], **function.__globals__, **around}
    outside = _names(code) | set(around)  # of globals and attributes, of what is imported and closed over
    for path in _paths(function) or {*outside, *map(".".join, itertools.product(outside, outside))}:
        first, *attributes = path.split(".")
        thing = scope.get(first) if first in outside else None
        for name in attributes:
            thing = getattr(thing, name, None) if isinstance(thing, ModuleType) else None
        yield thing


def _names(code: CodeType) -> set[str]:
    """Return the names of all but local variables in a piece of code and in those inside it."""
    return set(code.co_names).union(*(_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def _paths(function: FunctionType) -> set[str]:
    """Return the dotted names that a function's source reads, those from the companion in full; none without source."""
    nodes, full = list(_nodes(function)), dict[str, str]()
    for node in nodes:
        if isinstance(node, ast.Import):
            full |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module == "companion":
            full |= {alias.asname or alias.name: f"companion.{alias.name}" for alias in node.names}
    found = set(full.values())
    for node in nodes:
        if isinstance(node, ast.Name | ast.Attribute):
            first, dot, rest = ast.unparse(node).partition(".")
            found.add(full.get(first, first) + dot + rest)
    return found


def _nodes(function: FunctionType) -> Iterator[ast.AST]:
    """Yield the syntax of a function's body; nothing where its source is not kept."""
    code = function.__code__
    linecache.checkcache(code.co_filename)
    try:
        tree = ast.parse("".join(linecache.getlines(code.co_filename, function.__globals__)))
    except SyntaxError:  # another version of the file
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            line = min(part.lineno for part in (node, *getattr(node, "decorator_list", ())))
            if (getattr(node, "name", "<lambda>"), line) == (code.co_name, code.co_firstlineno):
                for part in node.body if isinstance(node.body, list) else [node.body]:
                    yield from ast.walk(part)


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it has no value yet
        return None
