"""The exercises of a chapter, read out of its notebook."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from companion.assignments.names import definitions, from_companion, imports_of, needed
from companion.assignments.starter import answer, starter

BOOK = Path(__file__).resolve().parents[2] / "book"
_HEADING = re.compile(r"^### Exercise \d+ · (.+)$", re.MULTILINE)
_TIMES = re.compile(r"\*Difficulty: (\w+)\. (\d+) minutes\.\*\s*")
# A link inside the book leads nowhere outside of it; one to the web is kept.
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]+\)")


class BookMissing(ValueError):
    """There are no notebooks to read the exercises from."""


@dataclass(frozen=True)
class Exercise:
    """One exercise that a check judges.

    Attributes:
        chapter: the chapter's stem.
        title: its title, without the number.
        difficulty: easy, medium or hard.
        minutes: how long it takes, about.
        statement: Markdown, without heading, difficulty and minutes.
        given: code that the statement gives, one piece for each cell.
        solution: the source of the solution's cell. Nothing that is exported holds it.
        name: the function or class that the learner writes.
        check: name of the check that judges it.
        call: how the chapter calls the check, with ``raises=False``.
        imports: the import statements that it needs, and ``import torch``.
        allowed: what it may use of the companion.
    """

    chapter: str
    title: str
    difficulty: str
    minutes: int
    statement: str
    given: tuple[str, ...]
    solution: str
    name: str
    check: str
    call: str
    imports: tuple[str, ...]
    allowed: tuple[str, ...]

    @property
    def starter(self) -> str:
        """What the learner starts from."""
        return starter(self.solution)

    @property
    def starter_with_marks(self) -> str:
        """The same with the marks that nbgrader looks for; between them stands what is left to do."""
        return starter(self.solution, marks=True)

    @property
    def answer(self) -> str:
        """The solution as a learner would hand it in: to test a grader with, never to be exported."""
        return answer(self.solution)

    @property
    def helpers(self) -> str:
        """The definitions among the given code, which the call may need."""
        return "\n\n\n".join(text for text in map(definitions, self.given) if text)

    @property
    def no_warning(self) -> bool:
        """Whether the statement asks for a check without a warning."""
        return "without a warning" in self.statement

    @property
    def rules(self) -> str:
        """The import of what a graded cell calls beside the check."""
        return f"from companion.assignments import own_work{', without_warning' if self.no_warning else ''}"

    def graded(self, handed_in: str = "", seed: int | None = None) -> str:
        """Return the call that raises if the code is wrong; with a seed, on other numbers.

        Where the statement asks for a check without a warning, a warning raises, too.

        Args:
            handed_in: how to write what is judged; its name if empty.
            seed: as the check takes it.
        """
        call = ast.parse(self.call, mode="eval").body
        assert isinstance(call, ast.Call)
        call.keywords = [word for word in call.keywords if word.arg != "raises"]
        if seed is not None:
            call.keywords.append(ast.keyword("seed", ast.Constant(seed)))
        for node in ast.walk(call):
            if isinstance(node, ast.Name) and node.id == self.name and handed_in:
                node.id = handed_in
        return f"without_warning({ast.unparse(call)})" if self.no_warning else ast.unparse(call)


def chapter_stems(book: Path = BOOK) -> list[str]:
    """Return the stems of the chapters, in the book's order.

    Raises:
        BookMissing: there is no notebook in the folder.
    """
    stems = [path.stem.partition("_")[2] for path in sorted(book.glob("[0-9][0-9]_*.ipynb"))]
    if not stems:
        raise BookMissing(
            f"there are no chapters in {book}: assignments are made from the notebooks of a checkout of the course; "
            "name its book folder with --book"
        )
    return stems


def read_chapter(stem: str, book: Path = BOOK) -> list[Exercise]:
    """Return the exercises of a chapter that have a check, in order.

    Raises:
        BookMissing: there is no notebook in the folder.
        ValueError: there is no such chapter, or an exercise is not written as it should be.
    """
    path = _path(stem, book)
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    available = imports_of(_source(cell) for cell in cells if cell["cell_type"] == "code" and not _is(cell, "solution"))
    found = []
    for title, part in _parts(cells):
        if any(_is(cell, "solution") for cell in part):
            try:
                found.append(_exercise(stem, title, part, available))
            except ValueError as error:
                raise ValueError(f"{path.name}, exercise {title!r}: {error}") from error
    return found


def chapter_title(stem: str, book: Path = BOOK) -> str:
    """Return the title of a chapter.

    Raises:
        BookMissing: there is no notebook in the folder.
        ValueError: there is no such chapter.
    """
    first = json.loads(_path(stem, book).read_text(encoding="utf8"))["cells"][0]
    return _source(first).splitlines()[0].removeprefix("# ")


def _path(stem: str, book: Path) -> Path:
    stems = chapter_stems(book)
    if stem not in stems:
        raise ValueError(f"there is no chapter {stem!r} in {book}: there are {', '.join(stems)}")
    (path,) = book.glob(f"[0-9][0-9]_{stem}.ipynb")
    return path


def _parts(cells: Iterable[Any]) -> Iterable[tuple[str, list[Any]]]:
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
    allowed = tuple(sorted({*from_companion(answer(solution), imports), *mentioned}))
    return Exercise(
        stem, title, times[1], int(times[2]), statement, given, solution, name, check, calls[0], imports, allowed
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
