"""Bugs that nobody put into the bank: mutants of the companion's own source, handed to the checks.

Every mutant that a check lets pass stands in `survivors.txt` with the reason, read one by one: it is equivalent, it
differs in something that the check does not ask, or it passes with a warning that says what is wrong. The table at the
end of ``pytest -m slow tests/checks/test_mutants.py`` says how many there are.
"""

import importlib.util
import random
import time
from pathlib import Path

import pytest

from companion import check
from tests.checks.mutants import Source
from tests.checks.subjects import SUBJECTS

AT_MOST = 600  # mutants of a subject; if there are more, so many are drawn
KINDS = ("equivalent", "not asked", "warned")
COLUMNS = (
    "mutants of                       check              made  rejected  (raised)  (named)  not asked  equivalent    s"
)


def listed_survivors():
    """Read survivors.txt: by subject, each mutant with its kind and reason."""
    listed = {}
    for line in (Path(__file__).parent / "survivors.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            there = listed.setdefault(line.strip("[]"), {})
        elif line.startswith("- "):
            kind, reason = line.removeprefix("- ").split(": ", 1)
            assert kind in KINDS
        elif line.startswith("    "):
            assert line.strip() not in there
            there[line.strip()] = (kind, reason)
    return listed


SURVIVORS = listed_survivors()


def title(subject):
    return f"{subject.path} -> {subject.check}"


def judge(subject, mutant, **options):
    """Return the report of the first way that a check rejects; else one with a warning, if there is one."""
    module = mutant.module()
    reports = []
    for way in subject.ways:
        reports.append(getattr(check, subject.check)(way(module), raises=False, time_limit=2.0, **options))
        if not reports[-1].passed:
            return reports[-1]
    return max(reports, key=lambda report: len(report.warnings))


def trace(source, subject):
    with source.tracing() as (module, seen):
        for way in subject.ways:
            assert getattr(check, subject.check)(way(module)).passed  # without a mutation
    return seen


def mutants_of(subject):
    source = Source(subject.original)
    made = source.mutants(trace(source, subject))
    return made if len(made) <= AT_MOST else random.Random(2017).sample(made, AT_MOST)


SAMPLE = '''
def subtract(a: int, b: int = 2):
    """Subtract 1 from another."""
    if a is None:
        raise ValueError("no a")
    check_sizes(a, b)
    if a > 0 and b > 7:
        b = 5
    return a - b

def check_sizes(a, b):
    pass
'''


def test_a_mutant_changes_one_thing_of_what_ran(tmp_path):
    (tmp_path / "sample.py").write_text(SAMPLE)
    spec = importlib.util.spec_from_file_location("sample", tmp_path / "sample.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    source = Source(module)
    with source.tracing() as (same, seen):
        assert same.subtract(3) == 1
    made = {mutant.name.removeprefix("subtract: "): mutant.module().subtract(3) for mutant in source.mutants(seen)}
    assert made == {
        "b=2 -> -2": 5,
        "b=2 -> 1": 2,
        "b=2 -> 3": 0,
        "if a > 0 and b > 7: -> if a > 0 or b > 7:": -2,
        "if a > 0 and b > 7: -> if a > 0:": -2,
        "if a > 0 and b > 7: -> if b > 7:": 1,
        "if a > 0 and b > 7: -> if True:": -2,
        "if a > 0 and b > 7: -> if False:": 1,
        "if a > 0 and b > 7: -> if not (a > 0 and b > 7):": -2,
    } | {name: value for name, value in made.items() if not name.startswith(("b=", "if"))}
    assert made["return a - b -> return a + b"] == 5
    assert made["return a - b -> return b - a"] == -1
    assert made["a - b -> b - b"] == 0
    assert source.idle(seen.lines) == ["subtract: b = 5"]
    assert [mutant.name for mutant in source.mutants(seen)] == ["subtract: " + name for name in made]


def test_every_list_is_that_of_a_subject():
    titles = {title(subject) for subject in SUBJECTS} | {f"{subject.path}, never run" for subject in SUBJECTS}
    assert set(SURVIVORS) <= titles


COMPANION = list(dict.fromkeys(subject.path for subject in SUBJECTS if "checks" not in subject.path))


@pytest.mark.slow
@pytest.mark.parametrize("path", COMPANION)
def test_what_no_check_runs_has_its_reason(path):
    idle = None
    for subject in [subject for subject in SUBJECTS if subject.path == path]:
        source = Source(subject.original)
        here = set(source.idle(trace(source, subject).lines))
        idle = here if idle is None else idle & here
    assert idle == set(SURVIVORS.get(f"{path}, never run", {}))


@pytest.mark.slow
@pytest.mark.parametrize("subject", SUBJECTS, ids=title)
def test_mutants_are_rejected(subject, record_property):
    start = time.monotonic()
    mutants = {mutant.name: mutant for mutant in mutants_of(subject)}
    reports = {name: judge(subject, mutant) for name, mutant in mutants.items()}
    listed = SURVIVORS.get(title(subject), {})
    survivors = {name for name, report in reports.items() if report.passed}
    assert not survivors - set(listed), "new survivors: kill them, or find out why not"
    assert not set(listed) - survivors, "no survivors any more: take them off the list"
    for name, (kind, _) in listed.items():
        assert (kind == "warned") == bool(reports[name].warnings)
    for name, report in reports.items():
        if report.bugs:  # a name that numbers gave by chance would not hold on others
            assert judge(subject, mutants[name], seed=1).bugs == report.bugs, name
    kinds = [kind for kind, _ in listed.values()]
    rejected = [report for report in reports.values() if not report.passed]
    raised = sum("Your function raised" in report.message for report in rejected)
    named = sum(bool(report.bugs) for report in rejected)
    not_asked = len(kinds) - kinds.count("equivalent")
    record_property(
        f"table: {COLUMNS}",
        f"{subject.path:32} {subject.check:18} {len(reports):4} {len(rejected):9} {raised:9} {named:8} {not_asked:10} "
        f"{kinds.count('equivalent'):11} {time.monotonic() - start:4.0f}",
    )
