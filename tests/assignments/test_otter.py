"""otter-grader itself: make the grader of an export, and grade what students hand in."""

import json
import os
import subprocess
import sys
import zipfile

import pytest

from companion.assignments import READY, export, ready_assignment, write
from tests.assignments.submissions import BORROWED, answers, bare, expected, fill_in, hard_coded, to_be_written

pytest.importorskip("otter")
ASSIGNMENT = ready_assignment("attention-and-masks")
# Run a notebook's code where otter cannot be imported.
WITHOUT_OTTER = """
import json, sys
sys.modules["otter"] = None
scope = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1], encoding="utf8"))["cells"]:
    if cell["cell_type"] == "code":
        exec(cell["source"], scope)
assert scope["grader"] is None
"""


def run(folder, *command):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def make_grader(folder, assignment):
    """Export an assignment and run the command that its README gives."""
    write(export([assignment], "otter"), folder)
    run(folder / assignment.name / "autograder", "-m", "otter", "generate", "-o", "autograder.zip")
    return folder / assignment.name


def grade(kit, assignment, code, folder):
    """Hand in a student's notebook; return the points by exercise, and what a student is shown."""
    notebook = json.loads((kit / "student" / f"{assignment.name}.ipynb").read_text(encoding="utf8"))
    path = folder / f"{assignment.name}.ipynb"
    path.write_text(json.dumps(fill_in(notebook, code)), encoding="utf8")
    grader = kit / "autograder" / "autograder.zip"
    run(folder, "-m", "otter", "run", "-a", str(grader), "-o", str(folder), "--no-logo", path.name)
    results = json.loads((folder / "results.json").read_text(encoding="utf8"))
    tests = {test["name"]: test for test in results["tests"]}
    public = tests.pop("Public Tests")["output"]
    assert all(test["visibility"] == "hidden" for test in tests.values())
    return {name: test["score"] for name, test in tests.items()}, public


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return make_grader(tmp_path_factory.mktemp("otter") / "kit", ASSIGNMENT)


def test_each_answer_gets_or_loses_exactly_its_points(kit, tmp_path):
    code = answers(ASSIGNMENT, broken={"my_causal_mask"}, unwritten={"safe_attention"})
    code["my_weights"] = hard_coded(ASSIGNMENT.exercises[0])
    code["my_combined_mask"] = BORROWED
    points, public = grade(kit, ASSIGNMENT, code, tmp_path)
    assert points == expected(ASSIGNMENT, {"my_causal_mask", "safe_attention", "my_weights", "my_combined_mask"})
    assert public.count("All test cases passed!") == 2
    assert "CheckFailed: causal_mask: not yet." in public
    assert "It is not written yet." in public
    assert "It uses combine_masks of companion." in public
    assert "seed=" not in public
    assert "or it is right for some numbers only." in public  # my_weights knows the numbers that students see


def test_the_notebook_works_without_otter(kit):
    run(kit / "student", "-c", WITHOUT_OTTER, f"{ASSIGNMENT.name}.ipynb")


def test_a_student_checks_with_otter_and_gets_the_sentence(kit):
    code = "import otter; my_padding_mask = lambda ids, pad_id: ids == pad_id; "
    shown = run(kit / "student", "-c", f"{code}print(otter.Notebook().check('my_padding_mask'))")
    assert "CheckFailed: padding_mask: not yet." in shown
    assert "Traceback" not in shown


def test_the_grader_holds_the_hidden_tests_and_no_solution(kit):
    with zipfile.ZipFile(kit / "autograder" / "autograder.zip") as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    for exercise in ASSIGNMENT.exercises:
        assert "hidden=True" in texts[f"tests/{exercise.name}.py"]
        for name, text in texts.items():
            assert not {bare(line) for line in text.splitlines()} & set(to_be_written(exercise)), name
    assert "transformer-companion==" in texts["environment.yml"]


@pytest.mark.slow
@pytest.mark.parametrize("name", READY)
def test_every_ready_assignment_is_graded_right(name, tmp_path):
    assignment = ready_assignment(name)
    kit = make_grader(tmp_path / "kit", assignment)
    names = [exercise.name for exercise in assignment.exercises]
    # Neighbours in different submissions: whoever loses the points of another one is seen.
    for lost in (set(names[::2]), set(names[1::2])):
        points, _ = grade(kit, assignment, answers(assignment, broken=lost), tmp_path)
        assert points == expected(assignment, lost)
    points, _ = grade(kit, assignment, answers(assignment, unwritten=set(names)), tmp_path)
    assert points == expected(assignment, set(names))
