"""Mutants: the source of a module with one thing changed, made on its syntax tree.

What to change at a node is in `mutations.py`. Here: walking over the functions, what is left alone, and a new module
out of every change. Left alone are docstrings, type hints, and what only refuses bad input: raise, an if that only
raises, the calls of `check_…`.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import Any

from tests.checks.mutations import Scope, expressions, statements
from tests.checks.tracing import Trace, place, run, tracing

_HINTS = ("annotation", "returns", "decorator_list")
# What is worth showing around a change.
_WHOLE = (ast.Call, ast.BinOp, ast.Compare, ast.BoolOp, ast.IfExp, ast.Subscript, ast.List, ast.stmt)


@dataclass(frozen=True)
class Mutant:
    """A module with one thing changed.

    Attributes:
        name: the function, what stood there and what stands there now; unique in the module.
        code: the whole module, compiled.
    """

    name: str
    code: CodeType

    def module(self) -> ModuleType:
        """Return the module; it imports the rest of the package as it is."""
        return run(self.code)


class Source:
    """A module's source, from which mutants are made."""

    def __init__(self, module: ModuleType) -> None:
        self.tree = ast.parse(inspect.getsource(module))
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]

    def tracing(self) -> AbstractContextManager[tuple[ModuleType, Trace]]:
        """Give out the module as it is, and record what runs of it."""
        return tracing(self.tree)

    def functions(self) -> Iterator[tuple[str, ast.FunctionDef]]:
        """Yield the functions and methods with their qualified names."""
        for node in self.tree.body:
            members = node.body if isinstance(node, ast.ClassDef) else [node]
            for member in members:
                if isinstance(member, ast.FunctionDef):
                    yield (f"{node.name}.{member.name}" if node is not member else member.name), member

    def idle(self, lines: set[int]) -> list[str]:
        """Return the statements that are worth changing and did not run, with their functions."""
        found = []
        for where, function in self.functions():
            for statement in _statements(function.body):
                if not lines & set(_header(statement)):
                    found.append(f"{where}: {_shown(statement)}")
        return found

    def mutants(self, trace: Trace) -> list[Mutant]:
        """Return every mutant of the statements that ran."""
        made: dict[str, Mutant] = {}
        names: dict[str, int] = {}
        for where, function in self.functions():
            unchanged = ast.unparse(function)
            for change in _changes(function, Scope(trace.types.get(where, {})), trace):
                written = ast.unparse(function)  # the change is in the tree until we ask for the next
                if written == unchanged or written in made:
                    continue
                name = f"{where}: {change}"
                names[name] = names.get(name, 0) + 1
                if names[name] > 1:
                    name += f" ({names[name]})"
                made[written] = Mutant(name, compile(ast.fix_missing_locations(self.tree), "a mutant", "exec"))
        return list(made.values())


def _changes(function: ast.FunctionDef, scope: Scope, trace: Trace) -> Iterator[str]:
    """Put every change into the function, one after another, and take it out again; yield what is changed."""
    body = range(function.body[0].lineno, (function.end_lineno or 0) + 1)
    for defaults in (function.args.defaults, function.args.kw_defaults):
        for child in [child for child in defaults if child is not None]:
            if trace.lines & set(body):
                parameter = _parameter(function, child)
                for change in _change(function.args, defaults, child, (), scope, trace):
                    yield f"{parameter}={change}"
    for statement in _statements(function.body):
        if not trace.lines & set(_header(statement)):
            continue
        block = next(block for block in _blocks(function) if statement in block)
        for new in statements(statement, scope):
            with _in_place(block, block.index(statement), new):
                yield f"{_shown(statement)} -> {_shown(new)}"
        yield from _descend(statement, (statement,), scope, trace)


def _parameter(function: ast.FunctionDef, default: ast.expr) -> str:
    """Return the name of the parameter that has a default."""
    arguments = function.args
    last_first = zip(reversed(arguments.posonlyargs + arguments.args), reversed(arguments.defaults), strict=False)
    by_name = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return next(parameter.arg for parameter, value in (*last_first, *by_name) if value is default)


def _descend(node: ast.AST, above: tuple[ast.AST, ...], scope: Scope, trace: Trace) -> Iterator[str]:
    for name, value in ast.iter_fields(node):
        if isinstance(node, ast.stmt) and name in (*_HINTS, "body", "orelse", "finalbody"):
            continue  # other statements have their own turn
        for child in list(value) if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _skipped(node, child, trace):
                yield from _change(node, value if isinstance(value, list) else name, child, above, scope, trace)


def _skipped(node: ast.AST, child: ast.AST, trace: Trace) -> bool:
    """Whether a child is a branch that was never evaluated."""
    if isinstance(node, ast.IfExp) and child is not node.test:
        return place(child) not in trace.branches
    return isinstance(node, ast.BoolOp) and child in node.values[1:] and place(child) not in trace.branches


def _change(
    parent: ast.AST,
    holder: list[Any] | str,
    child: ast.AST,
    above: tuple[ast.AST, ...],
    scope: Scope,
    trace: Trace,
) -> Iterator[str]:
    # What the reader is shown: the smallest whole expression around the change.
    whole = next((node for node in reversed(above) if isinstance(node, _WHOLE)), child)
    before = _shown(whole)
    for new in expressions(child, parent, scope):
        with _in_place(holder if isinstance(holder, list) else parent, _index(holder, child), new):
            yield f"{before} -> {_shown(new if whole is child else whole)}"
    yield from _descend(child, (*above, child), scope, trace)


def _index(holder: list[Any] | str, child: ast.AST) -> int | str:
    if isinstance(holder, str):
        return holder
    return next(number for number, there in enumerate(holder) if there is child)


@contextmanager
def _in_place(holder: Any, index: Any, new: Any) -> Iterator[None]:
    """Replace a child, in a list or in an attribute of its parent, for a while."""
    fields = holder if isinstance(holder, list) else vars(holder)
    old, fields[index] = fields[index], new
    try:
        yield
    finally:
        fields[index] = old


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for there in ast.walk(node):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(there, name, None)
            if isinstance(block, list):
                yield block


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in list(body):
        if _refuses(statement):
            continue
        yield statement
        for name in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, name, []))


def _refuses(statement: ast.stmt) -> bool:
    """Whether a statement only refuses bad input, or is the usual beginning of a class."""
    if isinstance(statement, (ast.Raise, ast.Pass, ast.Import, ast.ImportFrom)):
        return True
    if isinstance(statement, (ast.If, ast.For)):
        *before, last = statement.body
        return not statement.orelse and _refuses(last) and all(_refuses(s) or isinstance(s, ast.Assign) for s in before)
    text = ast.unparse(statement)
    return isinstance(statement, ast.Expr) and text.startswith(("check_", "super().__init__"))


def _header(statement: ast.stmt) -> range:
    """Return the lines of a statement without the block under it."""
    inner = getattr(statement, "body", None)
    return range(statement.lineno, inner[0].lineno if inner else (statement.end_lineno or statement.lineno) + 1)


def _shown(node: ast.AST) -> str:
    """Write a node in one line, a block as its first line."""
    return ast.unparse(node).splitlines()[0]
