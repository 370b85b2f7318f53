"""From a `Check` to the function that a learner calls: ``check.attention(fn)``."""

from __future__ import annotations

import inspect
from typing import Any, Protocol

from companion.checks.engine.check import Check
from companion.checks.engine.judge import run_check
from companion.checks.engine.report import Report

_OTHER_NAMES = """

Parameters of other names are told apart by their shapes, by what the names say and by their order; a warning lists
what was taken for what.
"""
_COMMON = """

Args:
    handed_in: the {what} to check.
    raises: raise `CheckFailed` if it does not pass; otherwise return the report in any case.
    time_limit: seconds that one call may take.
    seed: draw other numbers for the probes, as a grader does whose students have seen the usual ones.

Returns:
    the report.

Raises:
    CheckFailed: if it does not pass.
"""


class PublicCheck(Protocol):
    """What every public check takes and returns."""

    def __call__(
        self, handed_in: Any, *, raises: bool = True, time_limit: float = 10.0, seed: int | None = None
    ) -> Report:
        """Run the check."""


def public(check: Check) -> PublicCheck:
    """Return the function that runs a check; its docstring is what the check expects, and the arguments."""

    def run(handed_in: Any, *, raises: bool = True, time_limit: float = 10.0, seed: int | None = None) -> Report:
        __tracebackhide__ = True
        return run_check(check if seed is None else check.with_seed(seed), handed_in, raises, time_limit)

    run.__name__ = run.__qualname__ = check.name
    run.__module__ = "companion.checks"
    also = _OTHER_NAMES.rstrip() if check.form.what == "class" else ""
    run.__doc__ = "Check " + inspect.cleandoc(check.expects) + also + _COMMON.format(what=check.form.what).rstrip()
    return run
