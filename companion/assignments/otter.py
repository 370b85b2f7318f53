"""An assignment for otter-grader 7: a notebook with its tests, and what ``otter generate`` makes a grader of."""

from __future__ import annotations

import json

from companion.assignments.assignment import Assignment
from companion.assignments.exercise import Exercise
from companion.assignments.names import import_block
from companion.assignments.notebook import Cell, cell_id, code, dumps, student_cells
from companion.assignments.requirement import named
from companion.assignments.statement import rubric, statement

START = """\
# Otter is a grader. The notebook works without it: each exercise has the course's own check, too.
try:
    import otter

    grader = otter.Notebook("{name}.ipynb")
except ModuleNotFoundError:
    grader = None
"""
TEST = '''\
"""Tests of {function}, for otter-grader. All of its points, or none."""

{imports}

OK_FORMAT = False
name = "{function}"
points = {points}
all_or_nothing = True
{helpers}

@test_case()
def own({function}):
    {own}


@test_case()
def seen({function}):
    {seen}
'''
HIDDEN = """

@test_case(hidden=True)
def unseen({function}):
    {unseen}
"""
README = """\
# {title}, for otter-grader 7

- `student/` goes to the students: the notebook, the tests that they see, the statement.
- `autograder/` stays with you: the same tests and the hidden ones. Make the grader of it, and grade:

```
cd autograder
otter generate -o autograder.zip
otter run -a autograder.zip PATH/TO/{name}.ipynb
```

`otter generate` reads `tests/`, `otter_config.json` and `requirements.txt`, and `autograder.zip` is also what
Gradescope takes. `otter grade -n {name} -a autograder.zip SUBMISSIONS` grades a folder of submissions in containers.

A student who writes the exercise gets all of its points, otherwise none (`all_or_nothing`). {question}
`requirements.txt` names what pip installs the course's package from: write there where your copy is.
Anybody can export this kit. With a seed that only you know (`--seed`) nobody else has your hidden numbers.
{rubric}"""
CONFIG = json.dumps({"show_stdout": False, "show_hidden": False}, indent=2) + "\n"
QUESTION = "The question is worth {points} points and is graded by you; otter's total is {auto}."


def otter(assignment: Assignment, seed: int, requirement: str) -> dict[str, str]:
    """Return the files of an assignment for otter-grader, by path."""
    name = assignment.name
    files = {
        f"{name}/student/{name}.ipynb": _notebook(assignment, requirement),
        f"{name}/student/STATEMENT.md": statement(assignment),
        f"{name}/student/requirements.txt": f"{named(requirement)}\notter-grader>=7,<8\n",
        f"{name}/autograder/otter_config.json": CONFIG,
        f"{name}/autograder/requirements.txt": f"{named(requirement)}\n",
    }
    for exercise in assignment.exercises:
        files[f"{name}/student/tests/{exercise.name}.py"] = _tests(exercise)
        files[f"{name}/autograder/tests/{exercise.name}.py"] = _tests(exercise, seed)
    question = assignment.question
    by_hand = QUESTION.format(points=question.points, auto=assignment.points) if question else ""
    files[f"{name}/README.md"] = README.format(
        title=assignment.title, name=name, question=by_hand, rubric=rubric(assignment)
    )
    return files


def _notebook(assignment: Assignment, requirement: str) -> str:
    def written(exercise: Exercise) -> Cell:
        return code(cell_id(exercise.name), exercise.starter)

    def tested(exercise: Exercise) -> Cell:
        test = f'if grader is not None:\n    print(grader.check("{exercise.name}"))'
        return code(f"{cell_id(exercise.name)}-otter", test)

    cells = student_cells(assignment, requirement, written=written, tested=tested)
    cells.insert(2, code("otter", START.format(name=assignment.name)))
    return dumps(cells)


def _tests(exercise: Exercise, seed: int | None = None) -> str:
    bring = ["from companion import check", exercise.rules, "from otter.test_files import test_case"]
    values = {
        "function": exercise.name,
        "points": exercise.points,
        "imports": import_block([*bring, *exercise.helper_imports]),
        "own": exercise.own(),
        "helpers": f"\n\n{exercise.helpers}\n" if exercise.helpers else "",
        "seen": exercise.graded(),
        "unseen": exercise.graded(seed=seed),
    }
    return TEST.format(**values) + (HIDDEN.format(**values) if seed is not None else "")
