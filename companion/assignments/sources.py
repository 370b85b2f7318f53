"""Where an assignment comes from: one of the ready files, an instructor's own, or all the exercises of a chapter."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from companion.assignments.assignment import Assignment, Question
from companion.assignments.chapters import BOOK, BookMissing, chapter_title, chapters, read_chapter
from companion.assignments.exercise import Exercise

# The assignments that are ready to hand out, in the order of the course. Each is a file in the folder `ready`.
READY = (
    "attention-and-masks",
    "multi-head-and-positions",
    "add-norm-and-encoder",
    "full-decoder",
    "train-and-translate",
)


def ready_assignment(name: str, book: Path = BOOK) -> Assignment:
    """Return one of the assignments that are ready.

    Raises:
        BookMissing: there is no notebook in the folder.
        ValueError: there is no such assignment, or the book lacks one of its exercises.
    """
    if name not in READY:
        raise ValueError(f"there is no assignment {name!r}: there are {', '.join(READY)}")
    return read_assignment(Path(__file__).parent / "ready" / f"{name}.toml", book)


def read_assignment(path: Path, book: Path = BOOK) -> Assignment:
    """Return the assignment that a TOML file describes. It is named after the file.

    Raises:
        BookMissing: there is no notebook in the folder.
        ValueError: the file is not written as it should be, or the book lacks one of its exercises.
        OSError: the file cannot be read.
    """
    try:
        return _assignment(path.stem, tomllib.loads(path.read_text(encoding="utf8")), book)
    except BookMissing:
        raise
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def chapter_assignment(stem: str, book: Path = BOOK) -> Assignment:
    """Return an assignment of all the exercises of one chapter that have a check.

    Raises:
        BookMissing: there is no notebook in the folder.
        ValueError: there is no such chapter, or it has no such exercise.
    """
    exercises = tuple(read_chapter(stem, book))
    if not exercises:
        raise ValueError(f"chapter {stem} has no exercise with a check")
    title = chapter_title(stem, book)
    text = f"All the exercises of the chapter *{title}*. Read it first: what an exercise calls above stands there."
    return Assignment(stem.replace("_", "-"), f"Exercises: {title}", text, exercises)


# What may be the value of a key: in words, and as a test.
_Kind = tuple[str, Callable[[Any], bool]]
_TEXT: _Kind = ("a text between quotes", lambda value: isinstance(value, str) and value.strip() != "")
_NUMBER: _Kind = ("a whole number from 1 up", lambda value: type(value) is int and value > 0)
_TEXTS: _Kind = ("a list of texts between quotes", lambda value: isinstance(value, list) and all(map(_TEXT[1], value)))
_TABLE: _Kind = ("a table, under [question]", lambda value: isinstance(value, dict))
_TABLES: _Kind = (
    "one table or more, each under [[exercises]]",
    lambda value: isinstance(value, list) and value != [] and all(isinstance(entry, dict) for entry in value),
)


def _assignment(name: str, table: dict[str, Any], book: Path) -> Assignment:
    if not name.replace("-", "_").isidentifier():
        raise ValueError(f"an assignment has its file's name: let it be of letters, digits and hyphens, not {name!r}")
    keys = {"title": _TEXT, "statement": _TEXT, "exercises": _TABLES, "question": _TABLE}
    _check({"question": {}, **table}, keys)  # there may be no question
    read = functools.cache(read_chapter)  # several exercises are of one chapter
    found: dict[str, Exercise] = {}
    for number, entry in enumerate(table["exercises"], 1):
        where = f" of exercise {number}"
        _check(entry, {"chapter": _TEXT, "name": _TEXT, "points": _NUMBER}, where)
        stem, written, stems = entry["chapter"], entry["name"], chapters(book)
        if stem not in stems:
            raise ValueError(f"chapter{where} is {stem!r}: there are {', '.join(stems)}")
        there = {exercise.name: exercise for exercise in read(stem, book)}
        if written not in there:
            raise ValueError(f"name{where} is {written!r}: chapter {stem} has {', '.join(there) or 'none'}")
        if written in found:
            raise ValueError(f"name{where} is {written!r}, as one before it: leave one of them out")
        found[written] = replace(there[written], points=entry["points"])
    exercises = tuple(found.values())
    return Assignment(name, table["title"], table["statement"].strip(), exercises, _question(table.get("question")))


def _question(table: dict[str, Any] | None) -> Question | None:
    if table is None:
        return None
    _check(table, {"text": _TEXT, "points": _NUMBER, "minutes": _NUMBER, "rubric": _TEXTS}, " of the question")
    return Question(table["text"].strip(), table["points"], table["minutes"], tuple(table["rubric"]))


def _check(table: dict[str, Any], keys: dict[str, _Kind], where: str = "") -> None:
    """Raise if a table lacks one of the keys, has another one, or a value that is of another kind."""
    for key in table:
        if key not in keys:
            raise ValueError(f"there is no key {key!r}{where}: there are {', '.join(keys)}")
    for key, (words, fits) in keys.items():
        if key not in table:
            raise ValueError(f"{key}{where} is missing: write {words}")
        if not fits(table[key]):
            raise ValueError(f"{key}{where} is {table[key]!r}: write {words}")
