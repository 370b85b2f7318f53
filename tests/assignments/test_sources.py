"""What an instructor writes: the file of an assignment, and what is said where it is not written as it should be."""

from pathlib import Path

import pytest

import companion.__main__ as command
from companion.assignments import READY, read_assignment, ready_assignment, sources

MINE = """
title = "Week 3"
statement = '''
Read *Masks* first. For place $t$ and $\\theta$:

- a list.
'''

[[exercises]]
chapter = "masks"
name = "my_causal_mask"
points = 4

[[exercises]]
chapter = "attention"
name = "my_weights"
points = 1
"""
QUESTION = """
[question]
text = "Why?"
points = 2
minutes = 5
rubric = ["2 points: a reason"]
"""


def written(folder, text, name="week-3.toml"):
    path = folder / name
    path.write_text(text, encoding="utf8")
    return path


def test_the_folder_holds_the_ready_assignments():
    folder = Path(sources.__file__).parent / "ready"
    assert {path.name for path in folder.iterdir()} == {f"{name}.toml" for name in READY}


def test_an_instructors_own_file_is_an_assignment(tmp_path):
    plain = read_assignment(written(tmp_path, MINE))
    assert (plain.name, plain.module, plain.title) == ("week-3", "week_3", "Week 3")
    assert plain.statement == "Read *Masks* first. For place $t$ and $\\theta$:\n\n- a list."
    assert [(one.name, one.points) for one in plain.exercises] == [("my_causal_mask", 4), ("my_weights", 1)]
    assert (plain.points, plain.total, plain.question) == (5, 5, None)

    asks = read_assignment(written(tmp_path, MINE + QUESTION))
    assert (asks.points, asks.total, asks.minutes) == (5, 7, plain.minutes + 5)
    assert asks.question.rubric == ("2 points: a reason",)
    assert asks.exercises == plain.exercises


def test_the_command_exports_it(tmp_path, capsys):
    path, kit = str(written(tmp_path, MINE)), tmp_path / "kit"
    assert command.main(["assignments", "export", "--format", "otter", "--out", str(kit), "--from", path]) == 0
    assert "files in" in capsys.readouterr().out
    assert [place.name for place in kit.iterdir()] == ["week-3"]
    assert "points = 4" in (kit / "week-3/autograder/tests/my_causal_mask.py").read_text(encoding="utf8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('title = "Week 3"', ""), "title is missing: write a text between quotes"),
        (('"Week 3"', "3"), "title is 3: write a text between quotes"),
        (('"Week 3"', '" "'), "title is ' ': write a text between quotes"),
        (("title =", "titel ="), "there is no key 'titel': there are title, statement, exercises, question"),
        (('"Week 3"', '"Week 3'), r"Illegal character '\\n' \(at line 2, column 16\)"),
        (("points = 4", ""), "points of exercise 1 is missing: write a whole number from 1 up"),
        (("points = 1", "points = 0"), "points of exercise 2 is 0: write a whole number from 1 up"),
        (("points = 1", "points = true"), "points of exercise 2 is True: write a whole number from 1 up"),
        (("points = 1", "worth = 1"), "there is no key 'worth' of exercise 2: there are chapter, name, points"),
        (('"attention"', '"nothing"'), "chapter of exercise 2 is 'nothing': there are recurrent, additive"),
        (("my_weights", "my_wait"), "name of exercise 2 is 'my_wait': chapter attention has my_weights, attention_by"),
        (('"attention"\nname = "my_weights"', '"masks"\nname = "my_causal_mask"'), "as one before it: leave one of"),
        ((MINE[MINE.index("[[") :], ""), "exercises is missing: write one table or more, each under"),
        (("minutes = 5", "minutes = '5'"), "minutes of the question is '5': write a whole number from 1 up"),
        (('["2 points: a reason"]', '"a reason"'), "rubric of the question is 'a reason': write a list of texts"),
        (("[question]", "[[question]]"), r"question is \[{.*}\]: write a table, under \[question\]"),
    ],
)
def test_a_file_that_is_not_written_as_it_should_be_is_said(tmp_path, change, message):
    path = written(tmp_path, (MINE + QUESTION).replace(*change))
    with pytest.raises(ValueError, match=rf"week-3.toml: .*{message}"):
        read_assignment(path)


def test_the_files_name_can_name_folders_and_a_module(tmp_path):
    with pytest.raises(ValueError, match="let it be of letters, digits and hyphens, not '3. week'"):
        read_assignment(written(tmp_path, MINE, "3. week.toml"))


def test_a_file_that_is_not_there_is_said(tmp_path, capsys):
    arguments = ["assignments", "export", "--format", "otter", "--out", str(tmp_path / "kit"), "--from", "no.toml"]
    assert command.main(arguments) == 2
    assert "no.toml" in capsys.readouterr().err


def test_the_ready_ones_are_known_by_name():
    with pytest.raises(ValueError, match="there is no assignment 'nothing': there are attention-and-masks, multi-head"):
        ready_assignment("nothing")
