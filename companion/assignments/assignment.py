"""An assignment: exercises of the book, and perhaps a question that a person grades."""

from __future__ import annotations

from dataclasses import dataclass

from companion.assignments.exercise import Exercise


@dataclass(frozen=True)
class Question:
    """A question that a person grades.

    Attributes:
        text: what is asked, in Markdown.
        points: what a full answer is worth.
        minutes: how long it takes, about.
        rubric: what earns the points, one line each.
    """

    text: str
    points: int
    minutes: int
    rubric: tuple[str, ...]


@dataclass(frozen=True)
class Assignment:
    """An assignment: exercises of the book, and perhaps a question.

    Attributes:
        name: for files and folders.
        title: for people.
        statement: what it is about and what to read first, in Markdown.
        exercises: in order, each with its points.
        question: one that a person grades.
    """

    name: str
    title: str
    statement: str
    exercises: tuple[Exercise, ...]
    question: Question | None = None

    @property
    def points(self) -> int:
        """What its exercises are worth, which a grader counts."""
        return sum(exercise.points for exercise in self.exercises)

    @property
    def total(self) -> int:
        """All the points, those of the question too."""
        return self.points + (self.question.points if self.question else 0)

    @property
    def minutes(self) -> int:
        """How long it takes, about."""
        return sum(exercise.minutes for exercise in self.exercises) + (self.question.minutes if self.question else 0)

    @property
    def module(self) -> str:
        """Its name as a Python module."""
        return self.name.replace("-", "_")

    @property
    def imports(self) -> list[str]:
        """The import statements that its exercises need."""
        return [statement for exercise in self.exercises for statement in exercise.imports]
