"""A sample student repository, run as a classroom runs it."""

import os
import re
import subprocess
import sys

import pytest

from companion.assignments import READY, export, ready_assignment, write
from companion.assignments.names import import_block
from tests.assignments.submissions import BORROWED, answers, expected, hard_coded

ASSIGNMENT = ready_assignment("attention-and-masks")
# A student has pytest, without the plugins of this suite.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def module_text(assignment, code):
    """The module that a student hands in."""
    statements = [line for exercise in assignment.exercises for line in exercise.imports]
    return "\n\n\n".join([import_block(statements), *code.values()]) + "\n"


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    out = tmp_path_factory.mktemp("pytest") / "kit"
    write(export([*map(ready_assignment, READY)], "pytest"), out)
    return out


def run_pytest(folder, **environment):
    """Run pytest as a student or a grader does; return the status, the output, and the points by exercise."""
    command = [sys.executable, "-W", "error", "-m", "pytest"]
    environment = {**ENVIRONMENT, **environment}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    points = {name: int(got) for name, got in re.findall(r"^(\w+): (\d+) of \d+$", done.stdout, re.MULTILINE)}
    assert done.stderr == ""
    total = re.search(r"^Points: (\d+) of (\d+)$", done.stdout, re.MULTILINE)
    assert points.pop("Points") == int(total[1]) == sum(points.values())
    return done.returncode, done.stdout, points


def grade(kit, assignment, code, tmp_path):
    (tmp_path / f"{assignment.module}.py").write_text(module_text(assignment, code), encoding="utf8")
    status, out, points = run_pytest(kit / assignment.name / "grading", SUBMISSION=str(tmp_path))
    assert status == (0 if points == expected(assignment) else 1)
    return out, points


def test_the_exported_repository_runs_and_gives_no_points(kit):
    # With CI set, as a classroom's server has it, pytest's own summary would say every sentence a second time.
    status, out, points = run_pytest(kit / ASSIGNMENT.name / "student", CI="true")
    assert status == 1
    assert points == expected(ASSIGNMENT, lost=expected(ASSIGNMENT))
    assert "Points: 0 of 14" in out
    assert out.count("It is not written yet.") == 6
    assert "Traceback" not in out
    assert "companion/checks" not in out


@pytest.mark.parametrize("name", READY)
def test_the_readme_says_how_to_get_a_hint(kit, name, monkeypatch, capsys):
    student = kit / name / "student"
    text = (student / "README.md").read_text(encoding="utf8")
    (code,) = re.findall(r"```python\n(.+?)```", text, re.DOTALL)
    monkeypatch.syspath_prepend(str(student))
    exec(code, {})
    assert len(capsys.readouterr().out.split()) > 3
    assert ("ANSWER.md" in text) == (student / "ANSWER.md").exists()


def test_right_answers_get_all_the_points(kit, tmp_path):
    out, points = grade(kit, ASSIGNMENT, answers(ASSIGNMENT), tmp_path)
    assert points == expected(ASSIGNMENT)
    assert "Points: 14 of 14" in out


def test_wrong_unwritten_borrowed_and_hard_coded_answers_lose_their_own_points(kit, tmp_path):
    code = answers(ASSIGNMENT, broken={"my_weights", "my_causal_mask"}, unwritten={"safe_attention"})
    code["attention_by_rows"] = hard_coded(ASSIGNMENT.exercises[1])  # right on what students see
    code["my_combined_mask"] = BORROWED
    code["my_weights"] = code["my_weights"].replace("    return", "    print('Points: 14 of 14 ' * 60000)\n    return")
    out, points = grade(kit, ASSIGNMENT, code, tmp_path)
    lost = {"my_weights", "my_causal_mask", "safe_attention", "my_combined_mask", "attention_by_rows"}
    assert points == expected(ASSIGNMENT, lost)
    assert list(points) == list(expected(ASSIGNMENT))  # in the order of the exercises
    assert len(out) < 4000  # what a submission prints, a megabyte here, is not shown
    assert "Your weights sum to 1 over the queries" in out
    assert "CheckFailed: own_work: not yet.\nIt uses combine_masks of companion." in out
    assert "Traceback" not in out


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def my_weights(:", "SyntaxError: invalid syntax"),
        ("raise SystemExit(0)", "ImportError: attention_and_masks.py ends the program while it is loaded"),
    ],
)
def test_a_module_that_does_not_load_gets_nothing_and_one_sentence(kit, tmp_path, code, sentence):
    out, points = grade(kit, ASSIGNMENT, {"broken": code}, tmp_path)
    assert points == expected(ASSIGNMENT, expected(ASSIGNMENT))
    assert out.count(sentence) == len(points)
    assert "Traceback" not in out


def test_a_grader_who_names_nobody_is_told_how(kit):
    command = [sys.executable, "-m", "pytest"]
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "SUBMISSION"}
    folder = kit / ASSIGNMENT.name / "grading"
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "say what to grade: SUBMISSION=PATH/TO/REPOSITORY python -m pytest" in done.stdout + done.stderr
    assert "Nothing was graded." in done.stdout
    assert "Points:" not in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("folder", ["student", "grading"])
def test_where_the_package_is_missing_the_remedy_is_said(kit, folder):
    hide = (
        "find, util.find_spec = util.find_spec, lambda name, *more: None if name == 'companion' else find(name, *more)"
    )
    code = f"import sys, pytest\nfrom importlib import util\n{hide}\nsys.exit(pytest.main())"
    command = [sys.executable, "-c", code]
    folder = kit / ASSIGNMENT.name / folder
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, encoding="utf8", timeout=300
    )
    assert done.returncode != 0
    assert "the course's package is missing: python -m pip install -r requirements.txt" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", READY)
def test_each_wrong_answer_loses_exactly_its_points(kit, name, tmp_path):
    assignment = ready_assignment(name)
    names = [exercise.name for exercise in assignment.exercises]
    # Neighbours in different submissions: whoever loses the points of another one is seen.
    for lost in (set(names[::2]), set(names[1::2])):
        _, points = grade(kit, assignment, answers(assignment, broken=lost), tmp_path)
        assert points == expected(assignment, lost)
    _, points = grade(kit, assignment, answers(assignment, unwritten=set(names)), tmp_path)
    assert points == expected(assignment, set(names))
