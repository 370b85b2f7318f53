"""Every report that the checks give, a line each: ``python -m tools.reports > FILE`` before a change, and after it.

All bugs of all banks in all ways of writing them, on three draws of the probes; what is right; pairs of bugs, which
get two names or none; mutants of the companion's own source, which nobody has named; and the field guide's text. Two
such files that are equal say that a learner is told the same. ``diff`` shows what is not.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator
from itertools import combinations

from companion import check
from tools import field_guide

SEEDS = (None, 1, 2)
PAIRS = 60  # of a check, drawn
MUTANTS = 150  # of a subject, drawn


def reports(name: str) -> Iterator[tuple[str, str]]:
    """Yield what a check says of its bank, of what is right, and of pairs of bugs, each under a title."""
    one, public = check.CHECKS[name], getattr(check, name)
    yield "docstring", public.__doc__
    for seed in SEEDS:
        yield f"right, seed {seed}", public(one.right, raises=False, seed=seed).to_json()
        for bug in one.bank:
            for form, wrong in enumerate(one.implementations(bug)):
                report = public(wrong, raises=False, seed=seed)
                yield f"{bug.name} {form}, seed {seed}", report.to_json() + repr(report) + report._repr_html_()
    pairs = [(a, b) for a, b in combinations(one.bank, 2) if a.part and b.part and a.part != b.part]
    for first, second in random.Random(1).sample(pairs, min(PAIRS, len(pairs))):
        both = one.assemble({first.part: first.wrong, second.part: second.wrong})
        yield f"{first.name} and {second.name}", public(both, raises=False).to_json()


def of_mutants() -> Iterator[tuple[str, str]]:
    """Yield what the checks say of mutants of the companion's source."""
    from tests.checks import test_mutants
    from tests.checks.subjects import SUBJECTS

    for subject in SUBJECTS:
        made = test_mutants.mutants_of(subject)
        for mutant in random.Random(1).sample(made, min(MUTANTS, len(made))):
            yield f"mutant for {subject.check}: {mutant.name}", test_mutants.judge(subject, mutant).to_json()


def lines(names: list[str]) -> Iterator[str]:
    """Yield a line for each report."""
    for name in names or [*check.CHECKS, "mutants", "guide"]:
        if name == "mutants":
            found = of_mutants()
        elif name == "guide":
            marks = [*check.CHECKS, "symptoms", "training"]
            found = ((mark, field_guide.write(f"% field guide: {mark}", lambda *_: "")) for mark in marks)
        else:
            found = reports(name)
        for title, text in found:
            shown = text if len(text) < 2000 else f"{text[:500]} ... {hashlib.sha256(text.encode()).hexdigest()}"
            yield " | ".join([name, title, " ".join(shown.split())])


if __name__ == "__main__":
    for line in lines(sys.argv[1:]):
        print(line, flush=True)
