"""What can be changed at one node of a syntax tree: a generator of new nodes for each kind of node.

Every change is one that a learner could make by mistake: another operator, another dimension, an argument forgotten
or in another's place, another tensor of the same type, a line left out, a condition the other way round.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add, ast.Mult),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult, ast.Sub),
    ast.FloorDiv: (ast.Mult,),
    ast.MatMult: (ast.Mult, ast.Add),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr, ast.BitXor),
    ast.BitOr: (ast.BitAnd, ast.BitXor),
}
_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq, ast.Gt, ast.Lt),
    ast.Lt: (ast.LtE, ast.Gt, ast.GtE),
    ast.LtE: (ast.Lt, ast.GtE, ast.Eq),
    ast.Gt: (ast.GtE, ast.Lt, ast.LtE),
    ast.GtE: (ast.Gt, ast.LtE, ast.Eq),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
}
_METHODS = {
    "softmax": ("log_softmax", "sigmoid"),
    "sin": ("cos",),
    "cos": ("sin",),
    "any": ("all",),
    "all": ("any",),
    "mean": ("sum", "std", "amax"),
    "sum": ("mean",),
    "square": ("abs",),
    "tril": ("triu",),
    "argmax": ("argmin",),
    "zeros_like": ("ones_like",),
    "ones": ("zeros",),
    "zeros": ("ones",),
    "exp": ("exp2", "log"),
    "sqrt": ("square",),
    "eval": ("train",),
    "stack": ("cat",),
    "append": ("remove",),
}
_MODULES = ("torch", "F", "math", "nn")


@dataclass(frozen=True)
class Scope:
    """The names in a function with the types they were seen to have."""

    types: dict[str, set[type]]

    def alike(self, name: str) -> list[str]:
        """Return the other names of the same type."""
        own = self.types.get(name, set())
        there = [
            other
            for other, types in self.types.items()
            if other not in (name, "self") and types & own and other.startswith("self.") == name.startswith("self.")
        ]
        return sorted(there)


def expressions(node: ast.AST, parent: ast.AST, scope: Scope) -> Iterator[Any]:
    """Yield what could stand in the place of an expression."""
    if isinstance(node, ast.BinOp):
        yield from _binary(node)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        yield from node.values
    elif isinstance(node, ast.UnaryOp):
        yield from _numbers(node) if isinstance(node.operand, ast.Constant) else [node.operand]
    elif isinstance(node, ast.Compare):
        for other in _COMPARISONS.get(type(node.ops[0]), ()):
            yield ast.Compare(node.left, [other()], node.comparators)
    elif isinstance(node, ast.Constant) and not isinstance(parent, ast.UnaryOp):
        yield from _constants(node, parent)
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse, ast.IfExp(node.test, node.orelse, node.body))
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        yield node.value
    elif isinstance(node, ast.Slice):
        yield from _slices(node)
    elif isinstance(node, (ast.Tuple, ast.List)) and isinstance(node.ctx, ast.Load):
        yield from _rows(node, in_order=not isinstance(parent, ast.Compare))
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield from (ast.Name(name, ast.Load()) for name in scope.alike(node.id))
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        yield from (ast.parse(name, mode="eval").body for name in scope.alike(ast.unparse(node)))
    if isinstance(parent, (ast.If, ast.While, ast.IfExp)) and node is parent.test:
        yield from (ast.Constant(True), ast.Constant(False))
        if not isinstance(node, (ast.Compare, ast.UnaryOp)):  # those are turned round above
            yield ast.UnaryOp(ast.Not(), node)


def statements(node: ast.stmt, scope: Scope) -> Iterator[ast.stmt]:
    """Yield what could stand in the place of a statement; a pass leaves it out."""
    if isinstance(node, (ast.Assign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        value_names = {inner.id for inner in ast.walk(node.value) if isinstance(inner, ast.Name)}
        # Without its only assignment a name would be missing, which any run finds.
        if isinstance(node, ast.AugAssign) or any(ast.unparse(target) in value_names for target in targets):
            yield ast.Pass()
    if isinstance(node, ast.AugAssign):
        yield ast.Assign([node.target], node.value, lineno=node.lineno)
        for other in _OPERATORS.get(type(node.op), ()):
            yield ast.AugAssign(node.target, other(), node.value)
    if isinstance(node, (ast.Expr, ast.Break, ast.Continue)) and not isinstance(
        getattr(node, "value", None), ast.Yield
    ):
        yield ast.Pass()
    if isinstance(node, ast.With):
        yield ast.If(ast.Constant(True), node.body, [])
    if isinstance(node, ast.Return) and node.value is not None:
        for inner in ast.walk(node.value):
            if isinstance(inner, (ast.Call, ast.BinOp, ast.Subscript)) and inner is not node.value:
                yield ast.Return(inner)
        for name, types in sorted(scope.types.items()):
            if "Tensor" in {kind.__name__ for kind in types} and not name.startswith("self"):
                yield ast.Return(ast.Name(name, ast.Load()))


def _binary(node: ast.BinOp) -> Iterator[ast.expr]:
    for other in _OPERATORS.get(type(node.op), ()):
        yield ast.BinOp(node.left, other(), node.right)
    yield from (node.left, node.right)
    if isinstance(node.op, (ast.Sub, ast.Div, ast.MatMult, ast.Pow)):
        yield ast.BinOp(node.right, node.op, node.left)


def _numbers(node: ast.UnaryOp | ast.Constant) -> Iterator[ast.expr]:
    value = ast.literal_eval(node)
    if isinstance(value, int):
        others: set[float] = {value + 1, value - 1, -value, 0 if value == 1 else 1}
    else:
        others = {0.0, 1.0, -value, value * 10, value / 10, value * 2}
    for other in sorted(others - {value}):
        yield ast.parse(repr(other), mode="eval").body


def _constants(node: ast.Constant, parent: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, (int, float)):
        yield from _numbers(node)
    elif node.value == "-inf":
        yield from (ast.Constant(text) for text in ("inf", "0", "-1e9", "-1"))


def _calls(node: ast.Call) -> Iterator[ast.expr]:
    function = node.func
    owner = function.value if isinstance(function, ast.Attribute) else None
    is_method = owner is not None and ast.unparse(owner) not in _MODULES
    if is_method:
        yield owner
    elif node.args and not isinstance(node.args[0], (ast.Starred, ast.GeneratorExp)):
        yield node.args[0]
    if isinstance(function, ast.Attribute):
        for other in _METHODS.get(function.attr, ()):
            yield ast.Call(ast.Attribute(function.value, other, ast.Load()), node.args, node.keywords)
    for number in range(len(node.args)):
        yield ast.Call(function, node.args[:number] + node.args[number + 1 :], node.keywords)
        for other in range(number if ast.unparse(function).split(".")[-1] != "transpose" else 0):
            swapped = list(node.args)
            swapped[number], swapped[other] = swapped[other], swapped[number]
            yield ast.Call(function, swapped, node.keywords)
    for number in range(len(node.keywords)):
        yield ast.Call(function, node.args, node.keywords[:number] + node.keywords[number + 1 :])


def _slices(node: ast.Slice) -> Iterator[ast.expr]:
    if node.lower is not None:
        yield ast.Slice(None, node.upper, node.step)
    else:
        yield ast.Slice(ast.Constant(1), node.upper, node.step)
    if node.upper is not None:
        yield ast.Slice(node.lower, None, node.step)
    else:
        yield ast.Slice(node.lower, ast.UnaryOp(ast.USub(), ast.Constant(1)), node.step)
    if node.step is not None:
        yield ast.Slice(node.lower, node.upper, None)


def _rows(node: ast.Tuple | ast.List, in_order: bool) -> Iterator[ast.expr]:
    kind = type(node)
    for number in range(len(node.elts)):
        if len(node.elts) > 1:
            yield kind(node.elts[:number] + node.elts[number + 1 :], ast.Load())
        if number and in_order:
            swapped = list(node.elts)
            swapped[number - 1], swapped[number] = swapped[number], swapped[number - 1]
            yield kind(swapped, ast.Load())
