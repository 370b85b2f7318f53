"""An assignment as a repository for a classroom: a module to fill in, and tests that pytest runs."""

from __future__ import annotations

import textwrap

from companion.assignments.assignment import Assignment
from companion.assignments.exercise import Exercise
from companion.assignments.names import import_block
from companion.assignments.requirement import named
from companion.assignments.statement import exercise_text, question_text, rubric, statement

CONFTEST = '''\
"""A test says in a sentence what is wrong, and pytest counts the points of the tests that pass."""

from importlib.util import find_spec

import pytest

if find_spec("companion") is None:
    pytest.exit("the course's package is missing: python -m pip install -r requirements.txt", returncode=2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call" or call.excinfo:
        report.user_properties += [("points", mark.args[0]) for mark in item.iter_markers("points")]
    if call.excinfo and not report.skipped:  # the sentence, instead of a traceback through the course's files
        report.longrepr = f"{call.excinfo.typename}: {call.excinfo.value}"
    return report


def pytest_terminal_summary(terminalreporter):
    points = {}
    reports = [r for kind in ("passed", "failed", "error") for r in terminalreporter.getreports(kind)]
    reports = [r for r in reports if getattr(r, "user_properties", ())]  # a file that cannot be loaded has none
    for report in sorted(reports, key=lambda report: report.location[:2]):  # as the exercises stand
        for _, value in report.user_properties:
            points[report.nodeid.split("::test_")[-1]] = (report.passed, value)
    for name, (passed, value) in points.items():
        terminalreporter.write_line(f"{name}: {value if passed else 0} of {value}")
    total = sum(value for passed, value in points.values() if passed)
    most = sum(value for _, value in points.values())
    terminalreporter.write_line(f"Points: {total} of {most}" if points else "Nothing was graded.")
'''
INI = """\
[pytest]
addopts = -q -rN --no-header --disable-warnings{more} -p no:cacheprovider
testpaths = {testpaths}
pythonpath = .
markers =
    points(n): what a test is worth
"""
TESTS = '''\
"""{what}"""

{imports}
{loading}{helpers}{tests}'''
SEEN = """

@pytest.mark.points({points})
def test_{function}():
    from {module} import {function}

    {own}
    {seen}
"""
UNSEEN = """

@pytest.mark.points({points})
def test_{function}(work):
    {own}
    {seen}
    {unseen}
"""
LOADING = '''
if not os.environ.get("SUBMISSION"):
    pytest.exit("say what to grade: SUBMISSION=PATH/TO/REPOSITORY python -m pytest", returncode=2)


@pytest.fixture(scope="module")
def work():
    """What a student handed in: the file, or the folder with it, that SUBMISSION names."""
    path = Path(os.environ["SUBMISSION"]).resolve()
    path = path / "{module}.py" if path.is_dir() else path
    spec = importlib.util.spec_from_file_location("{module}", path)
    module = sys.modules["{module}"] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SystemExit:
        raise ImportError("{module}.py ends the program while it is loaded") from None
    return module
'''
WORKFLOW = """\
name: check
on: [push, workflow_dispatch]
permissions:
  contents: read
jobs:
  check:
    runs-on: ubuntu-latest
    timeout-minutes: 20
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: python -m pip install -r requirements.txt
      - run: python -m pytest
"""
README = """\
# {title}, as a repository

- `student/` is the repository that each student gets, as a template for GitHub Classroom or by hand: `{module}.py` with
  the starters, the tests that they see, and a workflow that runs them on each push.
- `grading/` stays with you. It holds the hidden tests. Grade one student, by naming the file or the folder with it:

```
cd grading
SUBMISSION=PATH/TO/REPOSITORY python -m pytest
```

The last lines say the points of each exercise and their sum; `--junitxml=points.xml` writes them to a file. Only
`{module}.py` of a submission is loaded: what else a student changed, tests or settings, plays no part. {question}
A program that never ends while it is loaded is stopped by nobody: run it under a time limit, such as `timeout 300`.

`conftest.py` is short, and yours to change: it replaces tracebacks by the check's sentence and adds up the points that
the marker `points` gives a test.

`requirements.txt` names what pip installs the course's package from: write there where your copy is.
Anybody can export this kit. With a seed that only you know (`--seed`) nobody else has your hidden numbers.
{rubric}"""
QUESTION = "The question is worth {points} points, is answered in `ANSWER.md` and is graded by you."


TO_DO = """\
## What to do

Write all your code into `{module}.py`: it is the only file that the grader loads.{answer}

```
python -m pip install -r requirements.txt
python -m pytest
```

The second command runs the checks. For a hint, ask the check itself, in Python:

```python
from companion import check
from {module} import {name}

print({call}.hint(1))
```
"""
ANSWER = " Answer the question in `ANSWER.md`."


def pytest_format(assignment: Assignment, seed: int, requirement: str) -> dict[str, str]:
    """Return the files of an assignment for pytest, by path."""
    name, module, question = assignment.name, assignment.module, assignment.question
    student, grading = f"{name}/student", f"{name}/grading"
    files = {
        f"{student}/README.md": _student_readme(assignment),
        f"{student}/{module}.py": _module(assignment),
        f"{student}/tests/test_{module}.py": _tests(assignment),
        f"{student}/conftest.py": CONFTEST,
        f"{student}/pytest.ini": INI.format(testpaths="tests", more=""),
        f"{student}/requirements.txt": f"{named(requirement)}\npytest>=8\n",
        f"{student}/.github/workflows/check.yml": WORKFLOW,
        f"{grading}/test_grading.py": _tests(assignment, seed),
        f"{grading}/conftest.py": CONFTEST,
        f"{grading}/pytest.ini": INI.format(testpaths=".", more=" --show-capture=no"),
        f"{grading}/requirements.txt": f"{named(requirement)}\npytest>=8\n",
    }
    if question:
        files[f"{student}/ANSWER.md"] = f"{question_text(assignment)}\n\n*Write your answer here.*\n"
    by_hand = QUESTION.format(points=question.points) if question else ""
    files[f"{name}/README.md"] = README.format(
        title=assignment.title, module=module, question=by_hand, rubric=rubric(assignment)
    )
    return files


def _student_readme(assignment: Assignment) -> str:
    """Return the statement with the exercises, whose mathematics a comment cannot show, and what to do."""
    texts = [exercise_text(number, exercise) for number, exercise in enumerate(assignment.exercises, 1)]
    plain = next((exercise for exercise in assignment.exercises if not exercise.helpers), assignment.exercises[0])
    answer = ANSWER if assignment.question else ""
    to_do = TO_DO.format(module=assignment.module, name=plain.name, call=plain.call, answer=answer)
    return "\n\n".join([statement(assignment), *texts, to_do])


def _module(assignment: Assignment) -> str:
    """Return the module that a student fills in; statements stand in comments."""
    imports = [statement for statement in assignment.imports if statement != "from companion import check"]
    pieces = [f'"""{assignment.title}."""', import_block(imports)]
    for number, exercise in enumerate(assignment.exercises, 1):
        lines = exercise_text(number, exercise).split("\n")
        comment = [f"# {part}".rstrip() for line in lines for part in textwrap.wrap(line, 86) or [""]]
        pieces += ["\n".join(comment), exercise.helpers, exercise.starter]
    return "\n\n\n".join(piece for piece in pieces if piece) + "\n"


def _tests(assignment: Assignment, seed: int | None = None) -> str:
    """Return the tests: those that a student has, or with a seed those of the grader."""
    helpers = "\n\n\n".join(exercise.helpers for exercise in assignment.exercises if exercise.helpers)
    bring = ["import pytest", "from companion import check"]
    for exercise in assignment.exercises:
        bring += [exercise.rules, *exercise.helper_imports]
    what, loading = "Run: python -m pytest.", ""
    if seed is not None:
        what = "With the hidden tests. All the points of an exercise, or none."
        bring += ["import importlib.util", "import os", "import sys", "from pathlib import Path"]
        loading = LOADING.format(module=assignment.module)
    return TESTS.format(
        what=what,
        imports=import_block(bring),
        loading=loading,
        helpers=f"\n\n{helpers}\n" if helpers else "",
        tests="".join(_test(exercise, assignment.module, seed) for exercise in assignment.exercises),
    )


def _test(exercise: Exercise, module: str, seed: int | None) -> str:
    name = exercise.name if seed is None else f"work.{exercise.name}"
    return (SEEN if seed is None else UNSEEN).format(
        function=exercise.name,
        points=exercise.points,
        module=module,
        own=exercise.own(name),
        seen=exercise.graded(name),
        unseen=exercise.graded(name, seed),
    )
