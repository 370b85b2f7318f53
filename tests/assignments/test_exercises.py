import json

import pytest
import torch

from companion import check
from companion.assignments import READY, BookMissing, chapter_assignment, read_chapter, ready_assignment
from companion.assignments.chapters import BOOK, chapters
from companion.assignments.names import import_block, needed
from companion.assignments.starter import answer, starter
from companion.checks import CHECKS
from tests.assignments.submissions import WRONG, hard_coded, run_cell, wrong

STEMS = list(chapters())


def run(exercise, code):
    """Run what a student wrote, with nothing but the exercise's imports; return what is handed in."""
    scope = {"__name__": "__main__"}
    for cell in ("\n".join(exercise.imports), exercise.helpers, code):
        run_cell(cell, scope)
    return scope


@pytest.mark.parametrize("stem", STEMS)
def test_each_exercise_of_a_chapter_is_read_and_stands_alone(stem):
    for exercise in read_chapter(stem):
        assert exercise.check in CHECKS
        assert exercise.difficulty in ("easy", "medium", "hard")
        assert 5 <= exercise.minutes <= 30
        assert exercise.statement
        assert "](" not in exercise.statement.replace("](http", "")
        assert "raises" not in exercise.graded(seed=7)
        scope = run(exercise, exercise.answer)
        exec("from companion.assignments import own_work, without_warning\n", scope)
        exec(f"own_work({exercise.name}, {exercise.allowed})", scope)
        exec(exercise.graded(), scope)


@pytest.mark.parametrize("stem", STEMS)
def test_a_starter_is_not_written_yet(stem):
    for exercise in read_chapter(stem):
        scope = run(exercise, exercise.starter)
        report = eval(exercise.call, scope)
        assert not report.passed
        assert "not written yet" in report.message or exercise.given, report


@pytest.mark.parametrize("name", READY)
def test_right_answers_pass_with_the_hidden_numbers_and_wrong_ones_do_not(name):
    for exercise in ready_assignment(name).exercises:
        judge = f"check.CHECKS[{exercise.check!r}]; {exercise.graded(seed=4)}"
        exec("from companion.assignments import without_warning", scope := run(exercise, exercise.answer))
        exec(judge, scope)
        exec("from companion.assignments import without_warning", scope := run(exercise, wrong(exercise)))
        with pytest.raises(check.CheckFailed):
            exec(judge, scope)


@pytest.mark.parametrize("name", ["my_weights", "attention_by_rows", "my_loss"])
def test_what_is_right_on_the_numbers_that_students_see_only_is_told_at_once_and_fails_on_the_hidden_ones(name):
    exercises = [e for stem in ("attention", "transformer") for e in read_chapter(stem)]
    (exercise,) = [e for e in exercises if e.name == name]
    scope = run(exercise, hard_coded(exercise))
    report = eval(exercise.call, scope)
    assert not report.passed
    assert report.message.endswith("or it is right for some numbers only.")
    with pytest.raises(check.CheckFailed):
        exec(exercise.graded(seed=4), scope)


def test_every_exercise_of_the_ready_assignments_has_a_wrong_answer():
    assert {e.name for name in READY for e in ready_assignment(name).exercises} <= set(WRONG)


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_other_numbers_reject_what_the_usual_ones_reject(name):
    one = CHECKS[name].with_seed(20231117)
    torch.manual_seed(0)
    for entry in one.bank[:2]:
        assert not getattr(check, name)(one.implementations(entry)[0], raises=False, seed=20231117).passed, entry.name


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CHECKS))
def test_other_numbers_reject_every_bug(name):
    one = CHECKS[name].with_seed(20231117)
    for entry in one.bank:
        assert not getattr(check, name)(one.implementations(entry)[0], raises=False, seed=20231117).passed, entry.name


def test_a_nan_costs_the_points_where_the_exercise_asks_for_no_warning():
    exercises = {exercise.name: exercise for exercise in read_chapter("masks")}
    exercise = exercises["safe_attention"]
    code = read_chapter("attention")[1].answer.replace("attention_by_rows", "safe_attention")  # gives NaN
    scope = run(exercise, code)
    assert eval(exercise.call, scope).passed
    exec(exercise.rules, scope)
    with pytest.raises(check.CheckFailed, match="asks for none"):
        exec(exercise.graded(), scope)


def test_answer_is_the_solution_under_the_starters_name():
    written = "    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION"
    solution = f"# @title Solution\ndef f_solution(x):\n{written}\n\n\nf_solution(1)"
    assert answer(solution) == "def f(x):\n    return x"
    assert starter(solution) == 'def f(x):\n    raise NotImplementedError("your turn")'
    kept = 'def f(x):\n    ### BEGIN SOLUTION\n    raise NotImplementedError("your turn")\n    ### END SOLUTION'
    assert starter(solution, marks=True) == kept


def test_only_what_is_used_is_imported():
    available = {"torch": "import torch", "F": "import torch.nn.functional as F", "math": "import math"}
    assert needed("def f(x):\n    return F.relu(math.exp(x))", available) == (
        "import math",
        "import torch.nn.functional as F",
    )
    with pytest.raises(ValueError, match="it uses helper, which no import brings: an exercise stands alone"):
        needed("helper(3)", available)


def test_imports_stand_in_groups():
    block = import_block(["from companion import check", "import torch", "from companion import a", "import math"])
    assert block == "import math\n\nimport torch\n\nfrom companion import a, check"


def test_a_folder_without_notebooks_is_said(tmp_path):
    with pytest.raises(BookMissing, match="there are no chapters in .* name its book folder with --book"):
        read_chapter("attention", tmp_path)


def test_a_missing_chapter_is_said():
    with pytest.raises(ValueError, match="there is no chapter 'nothing' in .*: there are recurrent, additive"):
        read_chapter("nothing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("*Difficulty: easy. 10 minutes.* ", ""), r"03_attention.ipynb, exercise 'The weights': it does not say"),
        (("check.attention_weights(my_weights, raises=False)", "1"), "one cell with a check that has raises=False"),
        (("check.attention_weights(my_weights, raises", "check.attention_weights(3, raises"), "has no name"),
    ],
)
def test_an_exercise_that_is_not_written_as_it_should_be_is_said(tmp_path, change, message):
    notebook = json.loads((BOOK / "03_attention.ipynb").read_text(encoding="utf8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"]).replace(*change)
    (tmp_path / "03_attention.ipynb").write_text(json.dumps(notebook), encoding="utf8")
    with pytest.raises(ValueError, match=message):
        read_chapter("attention", tmp_path)


def test_a_chapters_points_go_by_difficulty():
    masks = chapter_assignment("masks")
    assert [exercise.points for exercise in masks.exercises] == [2, 2, 2, 5]
    assert masks.total == 11
    assert masks.question is None
    assert chapter_assignment("encoder").title == "Exercises: The encoder"
    assert "the chapter *The encoder*. Read it first" in chapter_assignment("encoder").statement
