"""nbgrader itself: release an assignment, copy what students hand in, grade it, read the gradebook."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from companion.assignments import READY, export, ready_assignment, write
from companion.assignments.export import SEED
from companion.checks import CHECKS
from tests.assignments.submissions import answers, expected, fill_in

Gradebook = pytest.importorskip("nbgrader.api").Gradebook
ASSIGNMENT = ready_assignment("train-and-translate")


def run(folder, *command):
    # As in an activated environment: nbgrader calls alembic by its name.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": path}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def release(folder, assignment, add=lambda notebook: None):
    """Export a course, make the students' version, and return its notebook."""
    write(export([assignment], "nbgrader"), folder)
    source = folder / "source" / assignment.name / f"{assignment.name}.ipynb"
    notebook = json.loads(source.read_text(encoding="utf8"))
    add(notebook)
    source.write_text(json.dumps(notebook), encoding="utf8")
    run(folder, "-m", "nbgrader", "generate_assignment", assignment.name)
    return (folder / "release" / assignment.name / source.name).read_text(encoding="utf8")


def grade(folder, assignment, released, students):
    """Hand in each student's code; return the automatic points, by student and cell."""
    for student, code in students.items():
        path = folder / "submitted" / student / assignment.name / f"{assignment.name}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(fill_in(json.loads(released), code)), encoding="utf8")
    run(folder, "-m", "nbgrader", "autograde", assignment.name)
    scores = {student: {} for student in students}
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        (graded,) = book.assignments
        for submission in graded.submissions:
            for one in (one for notebook in submission.notebooks for one in notebook.grades):
                scores[submission.student.id][one.name] = one.auto_score
                assert one.auto_score is None or one.auto_score <= one.max_score
    return scores


def cells(points):
    """The points of the graded cells, by their names."""
    return {f"{name.replace('_', '-')}-test": value for name, value in points.items()}


def add_an_instructors_own_cells(notebook):
    """Two graded cells that do not raise: one ends with a number, one with the report itself."""
    for name, points, code in (
        ("by-score", 3, "check.schedule(my_schedule, raises=False).score(3)"),
        ("by-report", 5, "check.schedule(my_schedule, raises=False)"),
    ):
        role = {"grade_id": name, "points": points, "grade": True, "locked": True, "solution": False, "task": False}
        metadata = {"nbgrader": {**role, "schema_version": 3, "cell_type": "code"}}
        cell = {"cell_type": "code", "id": name, "metadata": metadata, "source": code}
        notebook["cells"].append({**cell, "outputs": [], "execution_count": None})


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nbgrader") / "course"
    released = release(folder, ASSIGNMENT, add_an_instructors_own_cells)
    students = {
        "right": answers(ASSIGNMENT),
        "wrong": {
            **answers(ASSIGNMENT, broken={"my_schedule"}, unwritten={"my_greedy"}),
            "my_loss": "def my_loss(:",
        },
        "nothing": {},
    }
    return released, grade(folder, ASSIGNMENT, released, students), folder


def test_what_students_get_has_no_hidden_tests_and_the_chapters_starters(course):
    released, _, _ = course
    assert "seed=" not in released
    assert "HIDDEN" not in released
    assert "BEGIN SOLUTION" not in released
    sources = {"".join(cell["source"]) for cell in json.loads(released)["cells"]}
    assert {exercise.starter for exercise in ASSIGNMENT.exercises} <= sources


def test_right_answers_get_all_the_points(course):
    _, scores, _ = course
    assert scores["right"].items() >= cells(expected(ASSIGNMENT)).items()


def test_each_wrong_answer_loses_exactly_its_points(course):
    _, scores, _ = course
    assert scores["wrong"].items() >= cells(expected(ASSIGNMENT, {"my_schedule", "my_greedy", "my_loss"})).items()


def test_an_empty_notebook_gets_nothing(course):
    _, scores, _ = course
    assert scores["nothing"].items() >= cells(expected(ASSIGNMENT, expected(ASSIGNMENT))).items()
    assert scores["nothing"]["question"] == 0


def test_the_question_waits_for_a_person(course):
    released, scores, _ = course
    assert sum(value or 0 for name, value in scores["right"].items() if not name.startswith("by-")) == 8
    assert '"points": 6' in released


def test_a_returned_report_is_no_pass(course):
    _, scores, _ = course
    assert (scores["right"]["by-score"], scores["right"]["by-report"]) == (3, 5)
    for student in ("wrong", "nothing"):
        assert (scores[student]["by-score"], scores[student]["by-report"]) == (0, 0), student


def test_feedback_shows_the_sentence_and_none_of_our_tracebacks(course):
    *_, folder = course
    graded = (folder / "autograded/wrong" / ASSIGNMENT.name / f"{ASSIGNMENT.name}.ipynb").read_text(encoding="utf8")
    for name, sentence in (
        ("my-schedule-test", "CheckFailed: schedule: not yet."),
        (
            "my-loss-test",
            "CheckFailed: own_work: not yet.\nThere is nothing to check: the code that defines it did not",
        ),
    ):
        (cell,) = [c for c in json.loads(graded)["cells"] if c["id"] == name]
        (output,) = cell["outputs"]
        assert output["output_type"] == "error"
        text = "\n".join(output["traceback"])
        assert text.startswith(sentence)
        assert "companion/checks" not in text
        assert "seed=" not in text


@pytest.mark.slow
def test_feedback_keeps_the_hidden_tests_and_their_seed(course):
    *_, folder = course
    run(folder, "-m", "nbgrader", "generate_feedback", ASSIGNMENT.name)
    for student in ("right", "wrong", "nothing"):
        (path,) = (folder / "feedback" / student).rglob("*.html")
        page = path.read_text(encoding="utf8")
        assert "own_work" in page
        assert "HIDDEN" not in page
        assert str(SEED) not in page, student


@pytest.mark.slow
@pytest.mark.parametrize("name", READY)
def test_every_ready_assignment_is_graded_right(name, tmp_path):
    assignment = ready_assignment(name)
    released = release(tmp_path / "course", assignment)
    shutil.rmtree(tmp_path / "course" / "submitted", ignore_errors=True)
    names = [exercise.name for exercise in assignment.exercises]
    lost = {"right": set(), **{f"without-{name.replace('_', '-')}": {name} for name in names}}
    students = {student: answers(assignment, broken=wrong) for student, wrong in lost.items()}
    students["nothing"], lost["nothing"] = answers(assignment, unwritten=set(names)), set(names)
    scores = grade(tmp_path / "course", assignment, released, students)
    for student, wrong in lost.items():
        assert scores[student].items() >= cells(expected(assignment, wrong)).items(), student


def test_a_failing_report_reads_as_zero_only_where_nbgrader_grades(monkeypatch):
    from IPython.lib.pretty import pretty

    one = CHECKS["schedule"]
    from companion import check

    failing = check.schedule(one.implementations(one.bank[0])[0], raises=False)
    passing = check.schedule(one.right, raises=False)
    assert pretty(failing) == repr(failing)
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert pretty(failing) == "0"
    assert repr(failing).startswith("schedule: not yet.")
    assert pretty(passing) == repr(passing)
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    assert pretty(failing) == repr(failing)
