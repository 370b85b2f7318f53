"""What the checks say of every bug of every bank: ``python -m tools.bug_table`` prints the totals as Markdown."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from companion import check
from companion.checks import Bug, Report


@dataclass(frozen=True)
class Row:
    """One bug, written in one way, and what its check says.

    Attributes:
        check: name of the check.
        bug: the entry of the bank.
        form: 0 for its main form, then the other ways of writing it.
        report: what the check says.
        seconds: of one core.
    """

    check: str
    bug: Bug
    form: int
    report: Report
    seconds: float

    @property
    def rejected(self) -> bool:
        """Whether the check does not pass it."""
        return not self.report.passed

    @property
    def verdict(self) -> str:
        """Say how it is named: "named right", "one of", "not named" or "named wrong"."""
        if self.report.bugs == (self.bug.name,) and self.report.message == self.bug.sentence:
            return "named right"
        if self.bug.name in self.report.bugs:
            return "one of"
        return "named wrong" if self.report.bugs else "not named"


VERDICTS = ("named right", "one of", "not named", "named wrong")


def rows(name: str) -> list[Row]:
    """Run one check on every bug of its bank, in every form."""
    one, found = check.CHECKS[name], []
    for bug in one.bank:
        for form, wrong in enumerate(one.implementations(bug)):
            start = time.process_time()
            report = getattr(check, name)(wrong, raises=False)
            found.append(Row(name, bug, form, report, time.process_time() - start))
    return found


def totals(found: Iterable[Row]) -> str:
    """Return a Markdown table: a line for each check, and one for all. It is the same on every run."""
    found = list(found)
    columns = ("check", "bugs", "ways of writing them", "rejected", *VERDICTS)
    lines = [f"| {' | '.join(columns)} |", f"|---|{'---:|' * (len(columns) - 1)}"]
    for name in (*dict.fromkeys(row.check for row in found), "all"):
        some = [row for row in found if name in (row.check, "all")]
        bugs = len({(row.check, row.bug.name) for row in some})
        verdicts = [sum(row.verdict == verdict for row in some) for verdict in VERDICTS]
        counts = (bugs, len(some), sum(row.rejected for row in some), *verdicts)
        lines.append(f"| {name} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(totals(row for name in check.CHECKS for row in rows(name)))
