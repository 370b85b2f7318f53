"""The command ``python -m companion assignments list | export``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from companion.assignments.chapters import BOOK, chapters, read_chapter
from companion.assignments.export import FORMATS, SEED, export, write
from companion.assignments.requirement import named
from companion.assignments.sources import READY, chapter_assignment, read_assignment, ready_assignment


def add_assignments(commands: Any, seed: Callable[[str], int]) -> None:
    """Add the command to the subparsers of the package's; `seed` reads a seed."""
    parser = commands.add_parser("assignments", help="assignments for a class, with their grader")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    book: dict[str, Any] = {"type": Path, "default": BOOK, "metavar": "DIR", "help": "the book's folder, in a checkout"}

    show = actions.add_parser("list", help="show the ready assignments, and the chapters that have exercises")
    show.add_argument("--book", **book)
    show.set_defaults(run=_list)

    out = actions.add_parser("export", help="write assignments for otter, nbgrader or pytest, without the solutions")
    out.add_argument("--format", required=True, choices=FORMATS, help="the grader")
    out.add_argument("--out", required=True, type=Path, metavar="DIR", help="an empty folder, or one to be made")
    out.add_argument("--assignment", nargs="+", default=[], metavar="NAME", help="ready assignments (all of them)")
    like = "assignments of your own, in files like those of companion/assignments/ready"
    out.add_argument("--from", nargs="+", default=[], type=Path, metavar="FILE", dest="files", help=like)
    out.add_argument("--chapters", nargs="+", default=[], metavar="STEM", help="all the exercises of these chapters")
    out.add_argument(
        "--seed", type=seed, default=SEED, metavar="N", help="of the hidden tests; choose one and keep it to yourself"
    )
    out.add_argument("--requirement", default="", metavar="TEXT", help="what pip installs the course's package from")
    out.add_argument("--book", **book)
    out.set_defaults(run=_export)


def _list(options: argparse.Namespace) -> None:
    stems = chapters(options.book)
    for name in READY:
        try:
            assignment = ready_assignment(name, options.book)
        except ValueError as error:
            print(f"{name}: cannot be made of this book: {error}\n")
            continue
        print(f"{name}: {assignment.title}. {assignment.total} points, about {assignment.minutes} minutes")
        for exercise in assignment.exercises:
            print(f"  {exercise.points}  {exercise.title} ({exercise.chapter}, {exercise.name})")
        if assignment.question:
            print(f"  {assignment.question.points}  a question that a person grades")
        print()
    print("chapters, for --chapters:", ", ".join(stem for stem in stems if read_chapter(stem, options.book)))


def _export(options: argparse.Namespace) -> None:
    chapters(options.book)  # says that there is no book, before anything else
    names = options.assignment or ([] if options.chapters or options.files else READY)
    assignments = [ready_assignment(name, options.book) for name in names]
    assignments += [read_assignment(path, options.book) for path in options.files]
    assignments += [chapter_assignment(stem, options.book) for stem in options.chapters]
    files = export(assignments, options.format, seed=options.seed, requirement=options.requirement)
    write(files, options.out)
    print(f"{len(files)} files in {options.out}: {', '.join(assignment.name for assignment in assignments)}")
    if not options.requirement:
        print(f"Students are told to install {named('')}: --requirement TEXT says where pip finds it.")
    if options.seed == SEED:
        print("The hidden tests use the kit's own seed, which anybody can look up: --seed N gives others.")
