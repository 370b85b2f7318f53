"""The table of all known bugs: each is rejected and called by its own name, in time. `pytest -rA` shows it."""

from functools import cache

import pytest
import torch

from companion import check
from tools import bug_table


@pytest.fixture(scope="module", autouse=True)
def _one_core():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


rows = cache(bug_table.rows)


@pytest.mark.parametrize("name", check.CHECKS)
def test_every_bug_is_rejected_and_named(name):
    for row in rows(name):
        assert row.rejected, (row.bug.name, row.form)
        assert row.report.bugs == (row.bug.name,), row.form
        assert row.report.message == row.bug.sentence
        assert row.report.hint(1) == row.bug.hint
        assert row.report.hint(2) == f"See {row.bug.section}."


@pytest.mark.parametrize("name", check.CHECKS)
def test_a_check_takes_less_than_two_seconds_of_one_core(name):
    assert max(row.seconds for row in rows(name)) < 2.0


def test_the_table():
    found = [row for name in check.CHECKS for row in rows(name)]
    for row in found:
        form = f" ({row.form + 1})" if row.bug.also else ""
        rejected = "rejected" if row.rejected else "PASSED"
        print(f"{row.check:20} {row.bug.name + form:44} {rejected} {row.verdict:12} {row.seconds:.2f} s")
    print(bug_table.totals(found))
    assert all(row.rejected for row in found)
    verdicts = [row.verdict for row in found]
    assert verdicts.count("named right") >= 0.95 * len(verdicts)
    assert set(verdicts) <= {"named right", "one of"}


def test_the_totals_count_bugs_forms_and_verdicts():
    found = rows("schedule")
    header, _, line, everything = bug_table.totals(found).splitlines()
    assert header.startswith("| check | bugs | ways of writing them | rejected | named right | one of |")
    bugs = len(check.CHECKS["schedule"].bank)
    assert line == f"| schedule | {bugs} | {len(found)} | {len(found)} | {len(found)} | 0 | 0 | 0 |"
    assert everything == line.replace("schedule", "all")
