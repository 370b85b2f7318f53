"""The chapters' exercises, read out of the notebooks."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from companion.assignments.exercise import Exercise
from companion.assignments.names import from_companion, imports_of, needed
from companion.assignments.starter import answer

BOOK = Path(__file__).resolve().parents[2] / "book"
POINTS = {"easy": 2, "medium": 3, "hard": 5}  # what an exercise is worth where nobody says otherwise
_HEADING = re.compile(r"^### Exercise \d+ · (.+)$", re.MULTILINE)
_TIMES = re.compile(rf"\*Difficulty: ({'|'.join(POINTS)})\. (\d+) minutes\.\*\s*")
# A link inside the book leads nowhere outside of it; one to the web is kept.
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]+\)")


class BookMissing(ValueError):
    """There are no notebooks to read the exercises from."""


def chapters(book: Path = BOOK) -> dict[str, Path]:
    """Return the notebooks of the chapters by their stems, in the book's order.

    Raises:
        BookMissing: there is no notebook in the folder.
    """
    found = {path.stem.partition("_")[2]: path for path in sorted(book.glob("[0-9][0-9]_*.ipynb"))}
    if not found:
        raise BookMissing(
            f"there are no chapters in {book}: assignments are made from the notebooks of a checkout of the course; "
            "name its book folder with --book"
        )
    return found


def read_chapter(stem: str, book: Path = BOOK) -> list[Exercise]:
    """Return the exercises of a chapter that have a check, in order.

    Raises:
        BookMissing: there is no notebook in the folder.
        ValueError: there is no such chapter, or an exercise is not written as it should be.
    """
    cells = _cells(stem, book)
    available = imports_of(_source(cell) for cell in cells if cell["cell_type"] == "code" and not _is(cell, "solution"))
    found = []
    for title, part in _parts(cells):
        if any(_is(cell, "solution") for cell in part):
            try:
                found.append(_exercise(stem, title, part, available))
            except ValueError as error:
                raise ValueError(f"{chapters(book)[stem].name}, exercise {title!r}: {error}") from error
    return found


def chapter_title(stem: str, book: Path = BOOK) -> str:
    """Return the title of a chapter.

    Raises:
        BookMissing: there is no notebook in the folder.
        ValueError: there is no such chapter.
    """
    return _source(_cells(stem, book)[0]).splitlines()[0].removeprefix("# ")


def _cells(stem: str, book: Path) -> list[Any]:
    there = chapters(book)
    if stem not in there:
        raise ValueError(f"there is no chapter {stem!r} in {book}: there are {', '.join(there)}")
    return json.loads(there[stem].read_text(encoding="utf8"))["cells"]


def _parts(cells: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Cut a notebook at the headings of its exercises."""
    title, part = "", []  # type: str, list[Any]
    for cell in cells:
        heading = _HEADING.search(_source(cell)) if cell["cell_type"] == "markdown" else None
        if heading:
            yield title, part
            title, part = heading[1].strip(), []
        part.append(cell)
    yield title, part


def _exercise(stem: str, title: str, cells: list[Any], available: dict[str, str]) -> Exercise:
    place = next(i for i, cell in enumerate(cells) if _is(cell, "starter"))
    last = next(i for i, cell in enumerate(cells) if _is(cell, "solution"))
    text = "\n\n".join(_source(cell) for cell in cells[:place] if cell["cell_type"] == "markdown")
    text = text[text.index("### Exercise") :].partition("\n")[2].strip()
    times = _TIMES.search(text)
    if times is None:
        raise ValueError("it does not say '*Difficulty: easy. 10 minutes.*'")
    given = tuple(_source(cell) for cell in cells[:place] if cell["cell_type"] == "code")
    calls = [_source(cell) for cell in cells[place + 1 : last] if "raises=False" in _source(cell)]
    if len(calls) != 1:
        raise ValueError("one cell with a check that has raises=False stands between starter and solution")
    solution = _source(cells[last])
    code = "\n\n".join([*given, answer(solution), calls[0]])
    imports = tuple(dict.fromkeys([*needed(code, available), "import torch"]))  # a learner may need torch in any case
    statement = _LINK.sub(r"\1", _TIMES.sub("", text, count=1))
    mentioned = re.findall(r"`companion\.(\w+)", statement)
    check, name = _checked(calls[0])
    return Exercise(
        chapter=stem,
        title=title,
        difficulty=times[1],
        minutes=int(times[2]),
        points=POINTS[times[1]],
        statement=statement,
        given=given,
        solution=solution,
        name=name,
        check=check,
        call=calls[0],
        imports=imports,
        allowed=tuple(sorted({*from_companion(answer(solution), imports), *mentioned})),
    )


def _checked(call: str) -> tuple[str, str]:
    """Return the check that is called, and the name of what it is called on, also inside a wrapper."""
    node = ast.parse(call, mode="eval").body
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
        raise ValueError(f"a check is called as check.name(my_function, raises=False), not {call!r}")
    argument = node.args[0]
    while isinstance(argument, ast.Call) and argument.args:
        argument = argument.args[0]
    if not isinstance(argument, ast.Name):
        raise ValueError(f"what {call!r} checks has no name")
    return node.func.attr, argument.id


def _source(cell: Any) -> str:
    return "".join(cell["source"])


def _is(cell: Any, tag: str) -> bool:
    return tag in cell["metadata"].get("tags", [])
