"""How a bug shows in training: measured, by the experiment `bugs_in_training`; derived as well, where it can be proved.

What is derived stands beside the bug itself, as its `derived`.
"""

from companion.checks import Bug, Check

from . import ends
from .evidence import Shown

NOT_YET = "Not trained with yet."


def in_training(check: Check, entry: Bug, shown: Shown) -> str:
    """Say how a bug shows in training."""
    derived = entry.derived or _idle(shown)
    if measured := ends.measured(check.name, entry.name):
        return " ".join(filter(None, [measured[1], derived]))
    # What is no part of training at all, as decoding is none, says so by itself.
    return derived if entry.derived and check.name not in ends.checks() else f"{NOT_YET} {derived}".rstrip()


def _idle(shown: Shown) -> str:
    if not shown.idle or shown.structural or {answer.kind for answer in shown.answers} == {"raised"}:
        return ""
    few, more = ", ".join(f"`{name}`" for name in shown.idle[:4]), len(shown.idle) - 4
    what = f"{few} and {more} more" if more > 0 else few
    verbs = ("gets", "does") if len(shown.idle) == 1 else ("get", "do")
    return f"Derived: {what} {verbs[0]} no gradient and {verbs[1]} not learn."
