"""The starter of an exercise, made from its solution, so that there is one source for both."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
TITLE = "# @title Solution"
TODO = 'raise NotImplementedError("your turn")'
ENDINGS = ("_solution", "Solution")  # of a function's name, of a class's


def starter(solution: str, *, marks: bool = False) -> str:
    """Return what the learner starts from: imports and definitions, with the marked part left to do.

    Args:
        solution: the source of the solution's cell.
        marks: keep the two marks around what is left to do.

    Raises:
        ValueError: the solution has no title line, or no part between the two marks.
    """
    if solution.splitlines()[:1] != [TITLE]:
        raise ValueError(f"a solution's first line is {TITLE!r}")
    if not solution.count(BEGIN) == solution.count(END) > 0:
        raise ValueError(f"the part that the learner writes stands between {BEGIN!r} and {END!r}")
    return _definitions(solution, lambda lines: _leave_to_do(lines, marks))


def answer(solution: str) -> str:
    """Return the solution as a learner would hand it in: definitions under the starter's names, without the marks."""
    return _definitions(solution, lambda lines: [line for line in lines if line.strip() not in (BEGIN, END)])


def _definitions(solution: str, edit: Callable[[list[str]], list[str]]) -> str:
    lines, names, kept = solution.splitlines(), list[str](), list[str]()
    done = end = 1
    for node in ast.parse(solution).body:
        if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
            end = node.end_lineno or 0
            while end < len(lines) and lines[end].strip() == END:  # a comment, so no part of the definition
                end += 1
            kept += lines[done:end]  # with the comments above it
            names.append(getattr(node, "name", ""))
        done = max(end, node.end_lineno or 0)
    text = "\n".join(edit(kept)).strip("\n")
    for name in names:
        for ending in ENDINGS:
            if name.removesuffix(ending) not in ("", name):
                text = re.sub(rf"\b{name}\b", name.removesuffix(ending), text)
    return text


def _leave_to_do(lines: list[str], marks: bool) -> list[str]:
    out, inside = list[str](), False
    for line in lines:
        if line.strip() == BEGIN:
            out += [line] if marks else []
            out.append(line.replace(BEGIN, TODO))
            inside = True
        elif line.strip() == END:
            out += [line] if marks else []
            inside = False
        elif not inside:
            out.append(line)
    return out
