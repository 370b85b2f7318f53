import ast
import functools
import importlib
import io
import json
import re
import sys
import tokenize

import pytest
import yaml

import companion.__main__ as command
from companion.assignments import FORMATS, READY, chapter_assignment, export, read_chapter, ready_assignment, write
from companion.assignments.chapters import BOOK, chapter_title, chapters
from companion.assignments.statement import INTEGRITY
from companion.checks import CHECKS
from tests.assignments.submissions import bare, to_be_written


def run(capsys, *arguments):
    """Run a command; return its status, and what it wrote to stdout and stderr."""
    try:
        status = command.main(["assignments", *map(str, arguments)])
    except SystemExit as stop:  # argparse
        status = stop.code
    return status, *capsys.readouterr()


@functools.cache
def everything():
    return [*map(ready_assignment, READY), *map(chapter_assignment, chapters())]


@functools.cache
def all_files(kind):
    return export(everything(), kind)


def texts(files):
    for path, text in files.items():
        if path.endswith(".ipynb"):
            text = "\n".join(cell["source"] for cell in json.loads(text)["cells"])
        yield path, text


@pytest.mark.parametrize("kind", FORMATS)
def test_no_exported_file_holds_a_line_of_a_solution(kind):
    exercises = [exercise for stem in chapters() for exercise in read_chapter(stem)]
    secrets = {line: exercise.name for exercise in exercises for line in to_be_written(exercise)}
    assert len(secrets) > 60
    assert all(to_be_written(exercise) for exercise in exercises)
    # Another exercise may be given what this one has to write.
    given = {bare(line) for e in exercises for text in (e.starter, *e.given) for line in text.splitlines()}
    for path, text in texts(all_files(kind)):
        found = {bare(line) for line in text.splitlines()} & set(secrets) - given
        assert not found, f"{path} holds {found}"


def test_the_search_for_solutions_finds_one():
    (exercise, *_) = read_chapter("attention")
    lines = {bare(line) for line in exercise.answer.splitlines()}
    assert set(to_be_written(exercise)) <= lines


@pytest.mark.parametrize("kind", FORMATS)
def test_two_exports_are_equal(kind):
    assert export(everything.__wrapped__(), kind) == all_files(kind)


def test_another_seed_changes_the_hidden_tests_alone():
    one = [ready_assignment("attention-and-masks")]
    for kind, changed in (
        ("otter", r".*/autograder/tests/\w+\.py"),
        ("nbgrader", r"source/.*\.ipynb"),
        ("pytest", r".*/grading/test_grading\.py"),
    ):
        first, second = export(one, kind, seed=1), export(one, kind, seed=2)
        for path in first:
            assert (first[path] != second[path]) == bool(re.fullmatch(changed, path)), path


@pytest.mark.parametrize("kind", FORMATS)
def test_students_get_no_hidden_numbers(kind):
    for path, text in texts(all_files(kind)):
        if "/student/" in path or path.endswith(".md"):
            assert "seed=" not in text, path
            assert "hidden=True" not in text, path


@pytest.mark.parametrize("kind", FORMATS)
def test_graded_code_raises_and_can_be_parsed(kind):
    for path, text in all_files(kind).items():
        if path.endswith(".ipynb"):
            cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
            for cell in cells:
                ast.parse(cell["source"])
            graded = [cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("grade")]
            assert not any("raises" in cell["source"] for cell in graded), path
            assert bool(graded) == (kind == "nbgrader")
        elif path.endswith(".py"):
            ast.parse(text)
            assert "raises" not in text or not re.search(r"tests?[/_]", path), path


def test_lines_of_code_are_short():
    for kind in FORMATS:
        for path, text in texts(all_files(kind)):
            if path.endswith((".py", ".ipynb")) and not path.endswith("_config.py"):
                code = text if path.endswith(".py") else ""
                assert max(map(len, code.splitlines()), default=0) <= 120, path


@pytest.mark.parametrize("name", READY)
def test_a_student_reads_points_minutes_rubric_and_what_the_checks_tell(name):
    assignment = ready_assignment(name)
    files = export([assignment], "pytest")
    text = files[f"{name}/student/README.md"]
    for exercise in assignment.exercises:
        assert f"`{exercise.name}` | {exercise.difficulty} | {exercise.minutes} | {exercise.points} |" in text
    assert f"| Together | | | {assignment.minutes} | {assignment.total} |" in text
    assert "## Rubric" in text
    assert INTEGRITY.splitlines()[0] in text
    assert "The course's book is public, with its solutions." in text
    assert "{" not in re.sub(r"\$[^$\n]+\$", "", text)
    for exercise in assignment.exercises:
        assert exercise.statement in text
    # What earns the question's points is for the one who grades it.
    for line in assignment.question.rubric:
        assert line in files[f"{name}/README.md"]
        assert not any(line in text for path, text in files.items() if "/student/" in path)


@pytest.mark.parametrize("name", READY)
def test_the_chapters_to_be_read_first_have_these_titles(name):
    assignment = ready_assignment(name)
    named = re.findall(r"(?<!\w)\*([^*]+)\*", " ".join(assignment.statement.split()))
    assert set(named) == {chapter_title(exercise.chapter) for exercise in assignment.exercises}


def test_a_check_that_draws_no_numbers_is_named():
    text = export([ready_assignment("attention-and-masks")], "pytest")["attention-and-masks/student/README.md"]
    fixed = [
        f"`{exercise.name}`"
        for exercise in ready_assignment("attention-and-masks").exercises
        if CHECKS[exercise.check].with_seed(1) is CHECKS[exercise.check]
    ]
    assert all(name in text.partition("no numbers")[0] for name in fixed)


def test_comments_of_the_module_fit_and_code_starts_with_its_imports():
    files = export([ready_assignment("train-and-translate")], "pytest")
    module = files["train-and-translate/student/train_and_translate.py"]
    tokens = tokenize.generate_tokens(io.StringIO(module).readline)
    assert all(len(token.line) <= 90 for token in tokens if token.type == tokenize.COMMENT)
    assert [type(node) for node in ast.parse(module).body[1:3]] == [ast.Import, ast.FunctionDef]


def test_every_ready_assignment_can_be_made():
    for assignment in map(ready_assignment, READY):
        assert 60 <= assignment.minutes <= 120
        assert 8 <= assignment.total <= 20


def test_command_lists_and_exports(capsys, tmp_path):
    status, out, err = run(capsys, "list")
    assert (status, err) == (0, "")
    assert "attention-and-masks: Attention and masks. 17 points, about 75 minutes" in out
    assert "  2  The weights (attention, my_weights)" in out
    assert "chapters, for --chapters: recurrent, additive, attention" in out

    target = tmp_path / "kit"
    arguments = ["export", "--format", "pytest", "--out", target, "--chapters", "masks", "--requirement", "my-copy"]
    status, out, err = run(capsys, *arguments, "--assignment", "train-and-translate", "--seed", 5)
    assert (status, err) == (0, "")
    assert out.startswith("25 files in ")
    assert "train-and-translate, masks" in out
    assert "anybody can look up" not in out
    assert "are told to install" not in out
    assert (target / "masks/student/requirements.txt").read_text() == "my-copy\npytest>=8\n"
    assert "seed=5)" in (target / "masks/grading/test_grading.py").read_text()


def test_command_overwrites_nothing(capsys, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    status, out, err = run(capsys, "export", "--format", "otter", "--out", tmp_path, "--chapters", "masks")
    assert (status, out) == (2, "")
    assert err == f"companion: {tmp_path} is not empty: nothing is overwritten, choose another --out\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chapters", "nothing"], "there is no chapter 'nothing'"),
        (["--assignment", "nothing"], "there is no assignment 'nothing': there are attention-and-masks, multi-head"),
        (["--chapters", "masks", "masks"], "masks is named twice"),
        # Every hidden test would fail on a seed that torch cannot take.
        (["--seed", "9" * 30], "argument --seed: 999999999999999999999999999999 is not between 0 and 2^32 - 1"),
        (["--seed", "four"], "argument --seed: 'four' is not a whole number"),
    ],
)
def test_command_says_what_it_cannot_do(capsys, tmp_path, arguments, message):
    status, out, err = run(capsys, "export", "--format", "otter", "--out", tmp_path / "kit", *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "kit").exists()


@pytest.mark.parametrize("there", [True, False], ids=["empty folder", "new folder"])
def test_a_stop_leaves_nothing_that_looks_finished(capsys, tmp_path, monkeypatch, there):
    target, written, write_text = tmp_path / "kit", [], type(tmp_path).write_text

    def stop_at_the_seventh(path, *text, **how):
        if len(written) == 7:
            assert [place.name for place in target.iterdir()] == ["unfinished"]  # what a crash would leave
            raise KeyboardInterrupt
        written.append(path)
        return write_text(path, *text, **how)

    if there:
        target.mkdir()
    monkeypatch.setattr(type(tmp_path), "write_text", stop_at_the_seventh)
    arguments = ["export", "--format", "pytest", "--out", target, "--chapters", "masks"]
    assert run(capsys, *arguments) == (130, "", "\ncompanion: stopped\n")
    assert target.exists() == there
    assert not there or not any(target.iterdir())
    monkeypatch.undo()
    assert run(capsys, *arguments)[0] == 0
    assert [place.name for place in target.iterdir()] == ["masks"]


@pytest.mark.parametrize("kind", ["otter", "nbgrader"])
def test_a_notebook_installs_from_what_the_instructor_names_and_from_nothing_else(kind, monkeypatch):
    def run_first_cell(requirement):
        files = export([ready_assignment("train-and-translate")], kind, requirement=requirement)
        (text,) = (text for path, text in files.items() if path.endswith(".ipynb"))
        (cell,) = (cell for cell in json.loads(text)["cells"] if cell["id"] == "first-cell")
        exec(cell["source"], {})

    calls = []
    monkeypatch.setattr("subprocess.run", lambda command, check: calls.append(command))
    run_first_cell("one")
    assert calls == []  # the package is there
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    awkward = 'transformer-companion @ file:///C:\\users\\new "x"'
    run_first_cell(awkward)
    assert calls == [[sys.executable, "-m", "pip", "install", "-q", awkward]]
    with pytest.raises(ModuleNotFoundError, match="install transformer-companion==.*, as your instructor says"):
        run_first_cell("")
    assert len(calls) == 1


def test_command_without_a_book_says_so_in_one_line(capsys, tmp_path):
    for arguments in (["list"], ["export", "--format", "otter", "--out", tmp_path / "kit"]):
        status, out, err = run(capsys, *arguments, "--book", tmp_path)
        assert (status, out) == (2, "")
        assert err.startswith(
            f"companion: there are no chapters in {tmp_path}: assignments are made from the notebooks"
        )
        assert err.count("\n") == 1


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="there is no format 'paper': there are otter, nbgrader, pytest"):
        export([], "paper")


def test_the_workflow_runs_pytest_on_each_push():
    files = export([ready_assignment("train-and-translate")], "pytest")
    workflow = yaml.safe_load(files["train-and-translate/student/.github/workflows/check.yml"])
    job = workflow["jobs"]["check"]
    assert job["timeout-minutes"] <= 30
    assert job["steps"][-1]["run"] == "python -m pytest"
    assert len(files["train-and-translate/student/conftest.py"].splitlines()) < 35


def test_written_files_have_unix_lines(tmp_path):
    write({"a/b.txt": "one\ntwo\n"}, tmp_path / "kit")
    assert (tmp_path / "kit/a/b.txt").read_bytes() == b"one\ntwo\n"


def test_the_books_folder_is_found():
    assert (BOOK / "03_attention.ipynb").exists()
    assert importlib.import_module("companion.assignments.chapters").BOOK == BOOK
