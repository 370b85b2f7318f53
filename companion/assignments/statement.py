"""What a student reads before starting: the exercises, points, minutes, rubric, and what the checks can tell."""

from __future__ import annotations

from companion.assignments.assignment import Assignment
from companion.assignments.exercise import Exercise

INTEGRITY = """\
## What the checks do and do not stop

- Your code runs on numbers that the check draws. The grader runs it on others as well, drawn with a seed of its own,
  so that stored outputs do not pass.
- The grader looks at what your code calls, itself and through its helpers. Using the companion's own function where an
  exercise asks you to write one does not count. What is hidden on purpose it does not find.
- torch's functions are allowed, also where one call does the whole exercise, unless the exercise or your instructor
  says otherwise.
- The course's book is public, with its solutions. No check can tell whether you wrote what you hand in, or copied it.
  Your instructor may ask you to explain your code.
- Your code runs in the same process as the checks. They stop mistakes, not somebody who sets out to tamper with them.
"""


def statement(assignment: Assignment) -> str:
    """Return the whole statement, in Markdown."""
    parts = [f"# {assignment.title}", assignment.statement, points(assignment), INTEGRITY]
    return "\n\n".join(parts)


def points(assignment: Assignment) -> str:
    """Return the table of points and minutes, and the rubric."""
    rows = [
        f"| {number}. {one.title} | `{one.name}` | {one.difficulty} | {one.minutes} | {one.points} |"
        for number, one in enumerate(assignment.exercises, 1)
    ]
    question = assignment.question
    if question:
        rows.append(f"| {len(rows) + 1}. Question | in words | | {question.minutes} | {question.points} |")
    rows.append(f"| Together | | | {assignment.minutes} | {assignment.total} |")
    head = ["| Exercise | You write | Difficulty | Minutes | Points |", "|---|---|---|---|---|"]
    lines = ["## Points", "", *head, *rows]
    lines += [
        "",
        "## Rubric",
        "",
        "- Code: all the points of an exercise if it passes its check, on the numbers that you see and on others; "
        "otherwise none. A warning of the check costs nothing, unless the exercise asks for none.",
        "- Code that does not pass: your instructor may give up to half of the points by hand, for code that runs and "
        "comments that say what is still wrong.",
    ]
    if question:
        lines.append("- Question: read and graded by a person. A short answer that gives its reason is enough.")
    return "\n".join(lines)


def rubric(assignment: Assignment) -> str:
    """Return what earns the points of the question, for the one who grades it, in Markdown."""
    if assignment.question is None:
        return ""
    lines = [f"- {line}." for line in assignment.question.rubric]
    return "\n".join(["", f"## Rubric of the question of {assignment.name}", "", *lines, ""])


def exercise_text(number: int, exercise: Exercise) -> str:
    """Return the statement of one exercise, in Markdown."""
    unit = "point" if exercise.points == 1 else "points"
    head = f"*{exercise.points} {unit}. Difficulty: {exercise.difficulty}. {exercise.minutes} minutes.*"
    return f"## {number} · {exercise.title}\n\n{head} {exercise.statement}\n\n{permitted(exercise)}"


def question_text(assignment: Assignment) -> str:
    """Return the question that a person grades, in Markdown."""
    question = assignment.question
    assert question is not None
    head = f"*{question.points} points. {question.minutes} minutes. Graded by a person.*"
    return f"## {len(assignment.exercises) + 1} · Question\n\n{head} {question.text}"


def permitted(exercise: Exercise) -> str:
    """Return the sentence that says what of the companion may be used."""
    if not exercise.allowed:
        return "Use nothing of `companion` in your answer."
    return f"Of `companion`, use no more than {', '.join(f'`{name}`' for name in exercise.allowed)}."
