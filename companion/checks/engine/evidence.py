"""What a check sees when it looks at wrong code more closely."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from companion.checks.engine.report import Table

Call = Callable[..., "Tensor | None"]


@dataclass(frozen=True)
class Evidence:
    """What a look found.

    Attributes:
        facts: what is odd, most telling first.
        tables: matrices beside the right ones.
        measured: what could be read off the output, such as a scale; it says no more than a name does, and is shown
            first where there is none.
    """

    facts: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    measured: list[str] = field(default_factory=list)


class NoAnswer(Exception):
    """The code that is looked at gave no output, or one of another shape, so that there is nothing to see."""
