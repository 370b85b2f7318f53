"""Running a module and recording what ran of it: its lines, the branches within a line, the types of its names."""

from __future__ import annotations

import ast
import copy
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType, ModuleType
from typing import Any


@dataclass
class Trace:
    """What ran: the lines of a module, the branches within its lines, and the types that its names had."""

    lines: set[int] = field(default_factory=set)
    branches: set[int] = field(default_factory=set)
    types: dict[str, dict[str, set[type]]] = field(default_factory=dict)  # by function, then by name


@contextmanager
def tracing(tree: ast.Module) -> Iterator[tuple[ModuleType, Trace]]:
    """Give out the module as it is, and record what runs of it, in all threads."""
    trace = Trace()

    def on_line(frame: FrameType, event: str, value: Any) -> Any:
        trace.lines.add(frame.f_lineno)
        if event == "return":
            types = trace.types.setdefault(frame.f_code.co_qualname, {})
            for name, there in {**frame.f_locals, **_attributes(frame.f_locals.get("self"))}.items():
                types.setdefault(name, set()).add(type(there))
        return on_line

    def on_call(frame: FrameType, event: str, value: Any) -> Any:
        return on_line if frame.f_code.co_filename == "the module" else None

    def ran(place: int, value: Any) -> Any:
        trace.branches.add(place)
        return value

    wrapped = _Branches().visit(copy.deepcopy(tree))
    module = run(compile(ast.fix_missing_locations(wrapped), "the module", "exec"), ran)
    before = sys.gettrace()
    sys.settrace(on_call)
    threading.settrace(on_call)
    try:
        yield module, trace
    finally:
        sys.settrace(before)
        threading.settrace(None)


class _Branches(ast.NodeTransformer):
    """Wraps what may not be evaluated, the branches of ``a if b else c`` and all but the first of ``a and b``."""

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:  # noqa: N802
        """Wrap both branches."""
        self.generic_visit(node)
        return ast.IfExp(node.test, self._wrap(node.body), self._wrap(node.orelse))

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:  # noqa: N802
        """Wrap all but the first."""
        self.generic_visit(node)
        return ast.BoolOp(node.op, [node.values[0], *(self._wrap(value) for value in node.values[1:])])

    def _wrap(self, node: ast.expr) -> ast.expr:
        return ast.Call(ast.Name("__ran__", ast.Load()), [ast.Constant(place(node)), node], [])


def _attributes(owner: Any) -> dict[str, Any]:
    """Return what hangs on self, as the names "self.x"."""
    if owner is None:
        return {}
    there = dict(vars(owner))
    for registry in ("_parameters", "_modules", "_buffers"):
        there |= there.get(registry, {})
    return {f"self.{name}": value for name, value in there.items() if not name.startswith("_")}


def place(node: ast.AST) -> int:
    """Return a number for where an expression begins and ends in the source; a changed one has none."""
    return hash(tuple(getattr(node, name, 0) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")))


def run(code: CodeType, ran: Any = None) -> ModuleType:
    module = ModuleType("mutant")
    module.__dict__["__ran__"] = ran
    exec(code, module.__dict__)
    return module
