"""Which names a piece of code uses, and which imports bring them."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterable, Iterator
from symtable import Symbol, SymbolTable, symtable

NOT_THE_ANSWER = {"check", "viz"}  # what a notebook takes from companion without being given an answer


def needed(code: str, available: dict[str, str]) -> tuple[str, ...]:
    """Return the imports that a piece of code needs, of those that are available.

    Raises:
        ValueError: it uses a name that nothing brings.
    """
    missing = _from_outside(code) - set(dir(builtins))
    unknown = sorted(missing - set(available))
    if unknown:
        raise ValueError(f"it uses {', '.join(unknown)}, which no import brings: an exercise stands alone")
    return tuple(sorted({available[name] for name in missing}, key=_order))


def imports_of(cells: Iterable[str]) -> dict[str, str]:
    """Return the import statement that brings each name, over all cells; each statement brings one name."""
    found: dict[str, str] = {}
    for cell in cells:
        try:
            tree = ast.parse(cell)
        except SyntaxError:  # a cell with a magic command
            continue
        for node in tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    node.names = [alias]
                    found.setdefault(_binds(alias), ast.unparse(node))
    return found


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


def from_companion(code: str, statements: Iterable[str]) -> set[str]:
    """Return which of the companion's names a piece of code uses, apart from its checks and pictures."""
    outside, found = _from_outside(code), set[str]()
    for node in (node for statement in statements for node in ast.parse(statement).body):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "companion":
            found |= {alias.name for alias in node.names if _binds(alias) in outside}
    for part in ast.walk(ast.parse(code)):
        if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "companion":
            found.add(part.attr)
    return found - NOT_THE_ANSWER


def definitions(code: str) -> str:
    """Return the imports, functions and classes of a piece of code, without what it does beside."""
    kept = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    pieces = [ast.get_source_segment(code, node) or "" for node in ast.parse(code).body if isinstance(node, kept)]
    return "\n\n\n".join(pieces)


def _from_outside(code: str) -> set[str]:
    """Return the names that a piece of code reads and does not bind, as its scopes have it."""
    symbols = list(_global_symbols(symtable(code, "", "exec")))
    bound = {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}
    return {symbol.get_name() for symbol in symbols if symbol.is_referenced()} - bound


def _global_symbols(table: SymbolTable) -> Iterator[Symbol]:
    """Yield the global names of a scope, and of each scope inside it."""
    yield from (symbol for symbol in table.get_symbols() if symbol.is_global())
    for inner in table.get_children():
        yield from _global_symbols(inner)


def _binds(alias: ast.alias) -> str:
    return alias.asname or alias.name.split(".")[0]


def _order(statement: str) -> tuple[int, bool, str]:
    module = statement.split()[1].split(".")[0]
    group = 0 if module in sys.stdlib_module_names else 2 if module == "companion" else 1
    return group, statement.startswith("from"), statement
