"""Assignments for nbgrader 0.9: the source notebooks of a course, and its configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from companion.assignments.assignment import Assignment
from companion.assignments.exercise import Exercise
from companion.assignments.notebook import Cell, cell_id, code, dumps, student_cells
from companion.assignments.requirement import named
from companion.assignments.starter import TODO
from companion.assignments.statement import rubric, statement

CONFIG = """\
# A course for nbgrader 0.9. `nbgrader generate_assignment NAME` makes the students' version of source/NAME in release/.
from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
from nbgrader.preprocessors import ClearHiddenTests, GetGrades

c = get_config()

c.CourseDirectory.course_id = "transformer"
# What stands in a starter between the two marks, so that releasing changes nothing there.
c.ClearSolutions.code_stub = {{"python": {todo!r}}}
# Checks have a time limit of their own, ten seconds a call; a cell may hold several.
c.ExecutePreprocessor.timeout = 120
# Feedback shows the graded cells to the students: without the hidden tests, whose seed is yours to keep.
c.GenerateFeedback.preprocessors = [GetGrades, ClearHiddenTests, CSSHTMLHeaderPreprocessor]
"""
TEST = """\
from companion import check
{rules}

# Nothing is found where the cell above ended in an error.
{own}
{seen};
### BEGIN HIDDEN TESTS
{unseen};
### END HIDDEN TESTS
"""
README = """\
# A course for nbgrader 0.9

Run these in this folder; `NAME` is one of {names}:

```
nbgrader generate_assignment NAME
```

It writes `release/NAME/`, without the hidden tests: that goes to the students. Put what they hand in under
`submitted/STUDENT/NAME/NAME.ipynb`, then grade and write the feedback:

```
nbgrader autograde NAME
nbgrader generate_feedback NAME
nbgrader export
```

Each exercise has one graded cell, which is locked: nbgrader undoes what a student changes in it before it grades, and
Jupyter does not let it be deleted; where it is missing all the same, its points are lost. It calls the checks in their
raising form. A check that passes gives all the points, one that raises none. If you write cells of your own, keep it
so: nbgrader takes a cell that ends without an error for a full score, unless its last line is a number, as that of
`check.attention(f, raises=False).score(3)` is. The question at the end is a manually graded cell.
The feedback shows neither the hidden tests nor their seed.

A notebook may take as long as its checks' time limits: ten seconds for a call that never ends.
Students need the course's package: `pip install "{requirement}"`.
Anybody can export this kit. With a seed that only you know (`--seed`) nobody else has your hidden numbers.
{rubrics}"""


def nbgrader(assignments: Sequence[Assignment], seed: int, requirement: str) -> dict[str, str]:
    """Return the files of a course for nbgrader, by path."""
    files = {"nbgrader_config.py": CONFIG.format(todo=TODO)}
    names = ", ".join(f"`{assignment.name}`" for assignment in assignments)
    files["README.md"] = README.format(
        names=names, requirement=named(requirement), rubrics="".join(map(rubric, assignments))
    )
    for assignment in assignments:
        folder = f"source/{assignment.name}"
        files[f"{folder}/{assignment.name}.ipynb"] = _notebook(assignment, seed, requirement)
        files[f"{folder}/STATEMENT.md"] = statement(assignment)
    return files


def _notebook(assignment: Assignment, seed: int, requirement: str) -> str:
    def graded(exercise: Exercise) -> Cell:
        name = f"{cell_id(exercise.name)}-test"
        # With get, a missing name is a sentence; a NameError would show the lines around it, and so the hidden seed.
        text = TEST.format(
            rules=exercise.rules,
            own=exercise.own(f'globals().get("{exercise.name}")'),
            seen=exercise.graded(),
            unseen=exercise.graded(seed=seed),
        )
        return code(name, text, nbgrader=_role(name, "code", points=exercise.points, grade=True, locked=True))

    def written(exercise: Exercise) -> Cell:
        name = cell_id(exercise.name)
        return code(name, exercise.starter_with_marks, nbgrader=_role(name, "code", solution=True))

    def given(name: str, text: str) -> Cell:
        return code(name, text, nbgrader=_role(name, "code", locked=True))

    points = assignment.question.points if assignment.question else None
    question = {"nbgrader": _role("question", "markdown", points=points, grade=True, solution=True)}
    return dumps(student_cells(assignment, requirement, written=written, tested=graded, given=given, question=question))


def _role(
    name: str,
    cell_type: str,
    *,
    points: int | None = None,
    grade: bool = False,
    solution: bool = False,
    locked: bool = False,
) -> dict[str, Any]:
    """Return what nbgrader writes into a cell's metadata."""
    role = {"grade_id": name, "cell_type": cell_type, "grade": grade, "solution": solution, "locked": locked}
    return {**role, "schema_version": 3, "task": False, **({} if points is None else {"points": points})}
