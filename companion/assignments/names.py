"""Which names a piece of code uses, and which imports bring them."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterable

NOT_THE_ANSWER = {"check", "viz"}  # what a notebook takes from companion without being given an answer


def used(code: str) -> set[str]:
    """Return the names that a piece of code reads."""
    nodes = ast.walk(ast.parse(code))
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def bound(code: str) -> set[str]:
    """Return the names that a piece of code defines anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {_binds(alias) for alias in node.names}
    return names


def imports_of(cells: Iterable[str]) -> dict[str, str]:
    """Return the import statement that brings each name, over all cells; each statement brings one name."""
    found: dict[str, str] = {}
    for cell in cells:
        try:
            tree = ast.parse(cell)
        except SyntaxError:  # a cell with a magic command
            continue
        for node in tree.body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found.setdefault(_binds(alias), ast.unparse(ast.Import([alias])))
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    found.setdefault(_binds(alias), ast.unparse(ast.ImportFrom(node.module, [alias], node.level)))
    return found


def needed(code: str, available: dict[str, str]) -> tuple[str, ...]:
    """Return the imports that a piece of code needs, of those that are available.

    Raises:
        ValueError: it uses a name that nothing brings.
    """
    missing = used(code) - bound(code) - set(dir(builtins))
    unknown = sorted(missing - set(available))
    if unknown:
        raise ValueError(f"it uses {', '.join(unknown)}, which no import brings: an exercise stands alone")
    return tuple(sorted({available[name] for name in missing}, key=_order))


def import_block(statements: Iterable[str]) -> str:
    """Return import statements in order: the standard library, others, the companion; one line for each module."""
    plain: set[str] = set()
    parts: dict[str, set[str]] = {}
    for statement in statements:
        node = ast.parse(statement).body[0]
        if isinstance(node, ast.ImportFrom):
            parts.setdefault(node.module or "", set()).update(ast.unparse(alias) for alias in node.names)
        else:
            plain.add(statement)
    lines = [*plain, *(f"from {module} import {', '.join(sorted(names))}" for module, names in parts.items())]
    groups: dict[int, list[str]] = {}
    for line in sorted(lines, key=_order):
        groups.setdefault(_order(line)[0], []).append(line)
    return "\n\n".join("\n".join(group) for group in groups.values())


def from_companion(code: str, statements: Iterable[str]) -> tuple[str, ...]:
    """Return which of the companion's names a piece of code uses, apart from its checks and pictures."""
    found: set[str] = set()
    for statement in statements:
        node = ast.parse(statement).body[0]
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "companion":
            found |= {alias.name for alias in node.names if _binds(alias) in used(code)}
    for part in ast.walk(ast.parse(code)):
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "companion":
            found.add(part.attr)
    return tuple(sorted(found - NOT_THE_ANSWER))


def definitions(code: str) -> str:
    """Return the imports, functions and classes of a piece of code, without what it does beside."""
    kept = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    pieces = [ast.get_source_segment(code, node) or "" for node in ast.parse(code).body if isinstance(node, kept)]
    return "\n\n\n".join(pieces)


def _binds(alias: ast.alias) -> str:
    return alias.asname or alias.name.split(".")[0]


def _order(statement: str) -> tuple[int, bool, str]:
    module = statement.split()[1].split(".")[0]
    group = 0 if module in sys.stdlib_module_names else 2 if module == "companion" else 1
    return group, statement.startswith("from"), statement
