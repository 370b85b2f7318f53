"""Known bugs: wrong code that learners write, with what to say about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, overload

Function = Callable[..., Any]


@dataclass(frozen=True)
class Bug:
    """A wrong implementation that learners write, and what to say about it.

    Attributes:
        name: a few words joined by underscores, unique in its check.
        sentence: what is wrong, and what would be right.
        hint: a push in the right direction, without the code.
        section: where the book explains it.
        wrong: the wrong code. With `part`, only the part that is wrong; the rest of the function is right.
        part: which part of the function `wrong` stands for; empty for the whole function.
        also: other ways of writing the same bug, whose numbers differ.
        shows_in: for a bug that shows before there are numbers: says of what is built or kept whether it has the bug.
        derived: how it must show in training, for the field guide, where that can be proved.
    """

    name: str
    sentence: str
    hint: str
    section: str
    wrong: Function
    part: str = ""
    also: tuple[Function, ...] = ()
    shows_in: Callable[..., bool] | None = None
    derived: str = ""


class Recognised(Exception):
    """Raised where a bug shows before there are numbers; it carries the bug."""

    def __init__(self, bug: Bug) -> None:
        super().__init__(bug.name)
        self.bug = bug


def recognise(bugs: Sequence[Bug], *seen: Any) -> None:
    """Raise `Recognised` for the first bug that shows in what is built or kept."""
    for bug in bugs:
        if bug.shows_in and bug.shows_in(*seen):
            raise Recognised(bug)


class Bank(Sequence[Bug]):
    """Bugs that have something in common: the part of a function that they concern, the section that explains them.

    ``@BANK.bug("A hint.")`` above a wrong function puts it in. Its name is the bug's name, and its docstring is the
    sentence that a learner reads. The arguments are attributes of `Bug`, for those bugs that do not say otherwise.
    """

    def __init__(self, *, section: str, part: str = "", derived: str = "") -> None:
        self.section = section
        self.part = part
        self.derived = derived
        self._bugs: list[Bug] = []

    def bug(
        self,
        hint: str,
        *,
        section: str = "",
        part: str | None = None,
        also: tuple[Function, ...] = (),
        shows_in: Callable[..., bool] | None = None,
        derived: str = "",
    ) -> Callable[[Function], Bug]:
        """Put the decorated wrong function into the bank; what it does not share with the others is said here."""

        def add(wrong: Function) -> Bug:
            entry = Bug(
                name=wrong.__name__,
                # `python -OO` takes docstrings away, and then there is no sentence to tell.
                sentence=" ".join((wrong.__doc__ or f"This is the bug {wrong.__name__}.").split()),
                hint=hint,
                section=section or self.section,
                wrong=wrong,
                part=self.part if part is None else part,
                also=also,
                shows_in=shows_in,
                derived=derived or self.derived,
            )
            self._bugs.append(entry)
            return entry

        return add

    @overload
    def __getitem__(self, index: int) -> Bug: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Bug]: ...
    def __getitem__(self, index: int | slice) -> Bug | Sequence[Bug]:
        """Return a bug, in the order in which they were put in."""
        return self._bugs[index]

    def __len__(self) -> int:
        """Count the bugs."""
        return len(self._bugs)


def section(chapter: str, heading: str) -> str:
    """Point to a section of the book, by the chapter's stem and the heading."""
    return f"chapter {chapter}, section '{heading}'"
