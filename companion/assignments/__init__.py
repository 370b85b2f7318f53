"""Assignments for a class, made from the chapters' exercises: ``python -m companion assignments export``.

An exercise stands once, in its chapter. From there come the student's notebook, the tests that a student sees, and
those of the grader, for otter, for nbgrader and for pytest. No file that is written holds a solution. The book's
chapter for instructors explains how to use them.
"""

from companion.assignments.exercises import BookMissing, Exercise, read_chapter
from companion.assignments.export import FORMATS, export, write
from companion.assignments.ready import READY, Assignment, chapter_assignment, ready_assignment
from companion.assignments.rules import own_work, without_warning

__all__ = [
    "FORMATS",
    "READY",
    "Assignment",
    "BookMissing",
    "Exercise",
    "chapter_assignment",
    "export",
    "own_work",
    "read_chapter",
    "ready_assignment",
    "without_warning",
    "write",
]
