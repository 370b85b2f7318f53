"""Assignments for a class, made from the chapters' exercises: ``python -m companion assignments export``.

An exercise stands once, in its chapter. From there come the student's notebook, the tests that a student sees, and
those of the grader, for otter, for nbgrader and for pytest. No file that is written holds a solution. The book's
chapter for instructors explains how to use them.
"""

from companion.assignments.assignment import Assignment
from companion.assignments.chapters import BookMissing, read_chapter
from companion.assignments.exercise import Exercise
from companion.assignments.export import FORMATS, export, write
from companion.assignments.rules import own_work, without_warning
from companion.assignments.sources import READY, chapter_assignment, read_assignment, ready_assignment

__all__ = [
    "FORMATS",
    "READY",
    "Assignment",
    "BookMissing",
    "Exercise",
    "chapter_assignment",
    "export",
    "own_work",
    "read_assignment",
    "read_chapter",
    "ready_assignment",
    "without_warning",
    "write",
]
