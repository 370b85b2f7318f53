"""The page for instructors: its code runs as it stands, its commands work, its table is that of the assignments."""

import doctest
import re
import shlex

from companion.__main__ import main
from companion.assignments import READY, ready_assignment
from companion.checks import CHECKS
from tools.first_cell import ROOT

TEXT = (ROOT / "book" / "instructors.md").read_text(encoding="utf8")
COMMANDS = re.findall(r"^python -m companion (.+)$", TEXT.replace("\\\n", ""), re.MULTILINE)


def test_its_code_runs_and_prints_what_it_says():
    parser, names = doctest.DocTestParser(), {}
    blocks = re.findall(r"```(python|pycon)\n(.*?)```", TEXT, re.DOTALL)
    assert {kind for kind, _ in blocks} == {"python", "pycon"}
    before = dict(CHECKS)
    for kind, code in blocks:
        if kind == "python":
            exec(compile(code, "instructors.md", "exec"), names)
        else:
            session = parser.get_doctest(code, names, "instructors.md", "instructors.md", 0)
            assert doctest.DocTestRunner().run(session, clear_globs=False).failed == 0
            names = session.globs
    assert before == CHECKS


def test_its_commands_work_and_write_the_folders_that_it_names(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS:
        assert main(shlex.split(command)) == 0
    assert capsys.readouterr().err == ""
    folders = re.findall(r"^cd (.+)$", TEXT, re.MULTILINE)
    assert len(folders) == 2
    for folder in folders:
        assert (tmp_path / folder).is_dir()


def test_its_table_is_that_of_the_assignments():
    rows = re.findall(r"^\| `([\w-]+)` \| (.+?) \| (\d+) \| (\d+) \|$", TEXT, re.MULTILINE)
    there = [ready_assignment(name) for name in READY]
    assert rows == [(one.name, one.title, str(one.total), str(one.minutes)) for one in there]
