"""The student's notebook: the statement, and for each exercise a starter and a check."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from companion.assignments.assignment import Assignment
from companion.assignments.exercise import Exercise
from companion.assignments.names import import_block
from companion.assignments.requirement import first_cell
from companion.assignments.statement import exercise_text, question_text, statement

Cell = dict[str, Any]


def markdown(name: str, text: str, **metadata: Any) -> Cell:
    """Return a Markdown cell."""
    return {"cell_type": "markdown", "id": name, "metadata": metadata, "source": text.strip("\n")}


def code(name: str, text: str, **metadata: Any) -> Cell:
    """Return a code cell that has not run."""
    cell = {"cell_type": "code", "id": name, "metadata": metadata, "source": text.strip("\n")}
    return {**cell, "execution_count": None, "outputs": []}


def cell_id(name: str) -> str:
    """Return a cell's id, or nbgrader's, for an exercise: letters, digits and hyphens, at most 64."""
    return name.replace("_", "-")[:56]


def student_cells(
    assignment: Assignment,
    requirement: str,
    *,
    written: Callable[[Exercise], Cell],
    tested: Callable[[Exercise], Cell],
    given: Callable[[str, str], Cell] = code,
    question: dict[str, Any] | None = None,
) -> list[Cell]:
    """Return the cells of a student's notebook.

    Args:
        assignment: what it is about.
        requirement: what pip installs the course's package from; empty if nobody says.
        written: makes the cell in which a student writes an exercise.
        tested: makes the cell with the grader's test.
        given: makes the cells of code that the statement gives.
        question: metadata of the cell in which a student answers the question.
    """
    cells = [
        markdown("statement", statement(assignment)),
        code("first-cell", first_cell(requirement)),
        given("imports", import_block(assignment.imports)),
    ]
    for number, exercise in enumerate(assignment.exercises, 1):
        name = cell_id(exercise.name)
        cells.append(markdown(f"{name}-text", exercise_text(number, exercise)))
        cells += [given(f"{name}-given-{place}", text) for place, text in enumerate(exercise.given)]
        cells += [written(exercise), code(f"{name}-check", exercise.call), tested(exercise)]
    if assignment.question:
        cells.append(markdown("question-text", question_text(assignment)))
        cells.append(markdown("question", "*Write your answer here.*", **(question or {})))
    return cells


def dumps(cells: list[Cell]) -> str:
    """Return the notebook as text, the same for the same cells."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    whole = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
