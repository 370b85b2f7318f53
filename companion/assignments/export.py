"""Writing assignments out, in the format of a grader."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from companion.assignments.assignment import Assignment
from companion.assignments.nbgrader import nbgrader
from companion.assignments.otter import otter
from companion.assignments.pytest_format import pytest_format

FORMATS = ("otter", "nbgrader", "pytest")
SEED = 20231117  # of the hidden tests; an instructor's own is better
UNFINISHED = "unfinished"


def export(assignments: Sequence[Assignment], kind: str, *, seed: int = SEED, requirement: str = "") -> dict[str, str]:
    """Return the files of assignments in one format, by path; the same for the same book, byte for byte.

    Args:
        assignments: what to export.
        kind: "otter", "nbgrader" or "pytest".
        seed: decides on which numbers the hidden tests run.
        requirement: what pip installs the course's package from; this version of it if empty.

    Raises:
        ValueError: there is no such format, or two assignments have one name.
    """
    if kind not in FORMATS:
        raise ValueError(f"there is no format {kind!r}: there are {', '.join(FORMATS)}")
    names = [assignment.name for assignment in assignments]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is named twice")
    if kind == "nbgrader":
        return nbgrader(assignments, seed, requirement)
    one = otter if kind == "otter" else pytest_format
    return {path: text for assignment in assignments for path, text in one(assignment, seed, requirement).items()}


def write(files: dict[str, str], out: Path) -> None:
    """Write files below a folder: all of them, or none.

    They are written into a folder `unfinished` and moved when the last one is there, so that what a stop leaves behind
    does not look finished.

    Raises:
        ValueError: the folder is there and holds something.
        OSError: they cannot be written; nothing is left.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not empty: nothing is overwritten, choose another --out")
    is_new, names = not out.exists(), sorted({path.partition("/")[0] for path in files})
    out.mkdir(parents=True, exist_ok=True)
    try:
        for path, text in sorted(files.items()):
            place = out / UNFINISHED / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf8", newline="\n")
        for name in names:
            (out / UNFINISHED / name).rename(out / name)
        (out / UNFINISHED).rmdir()
    except BaseException:  # a full disk, Ctrl-C
        for name in (UNFINISHED, *names):
            _remove(out / name)
        if is_new:
            out.rmdir()
        raise


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
