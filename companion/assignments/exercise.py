"""An exercise of the book: what a learner is given, what is written, and how it is judged."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass

from companion.assignments.names import definitions, imports_of, needed
from companion.assignments.starter import answer, starter


@dataclass(frozen=True)
class Exercise:
    """One exercise that a check judges.

    Attributes:
        chapter: the chapter's stem.
        title: its title, without the number.
        difficulty: easy, medium or hard.
        minutes: how long it takes, about.
        points: what it is worth; where no assignment says so, it goes by the difficulty.
        statement: Markdown, without heading, difficulty and minutes.
        given: code that the statement gives, one piece for each cell.
        solution: the source of the solution's cell. Nothing that is exported holds it.
        name: the function or class that the learner writes.
        check: name of the check that judges it.
        call: how the chapter calls the check, with ``raises=False``.
        imports: the import statements that it needs, and ``import torch``.
        allowed: what it may use of the companion.
    """

    chapter: str
    title: str
    difficulty: str
    minutes: int
    points: int
    statement: str
    given: tuple[str, ...]
    solution: str
    name: str
    check: str
    call: str
    imports: tuple[str, ...]
    allowed: tuple[str, ...]

    @property
    def starter(self) -> str:
        """What the learner starts from."""
        return starter(self.solution)

    @property
    def starter_with_marks(self) -> str:
        """The same with the marks that nbgrader looks for; between them stands what is left to do."""
        return starter(self.solution, marks=True)

    @property
    def answer(self) -> str:
        """The solution as a learner would hand it in: to test a grader with, never to be exported."""
        return answer(self.solution)

    @property
    def helpers(self) -> str:
        """The definitions among the given code, which the call may need."""
        return "\n\n\n".join(text for text in map(definitions, self.given) if text)

    @property
    def helper_imports(self) -> tuple[str, ...]:
        """The import statements that those definitions need."""
        return needed(self.helpers, imports_of(self.imports))

    @property
    def no_warning(self) -> bool:
        """Whether the statement asks for a check without a warning."""
        return "without a warning" in self.statement

    @property
    def rules(self) -> str:
        """The import of what a graded cell calls beside the check."""
        return f"from companion.assignments import own_work{', without_warning' if self.no_warning else ''}"

    def own(self, handed_in: str = "") -> str:
        """Return the call that raises if the code uses of the companion what it may not.

        Args:
            handed_in: how to write what is judged; its name if empty.
        """
        return f"own_work({handed_in or self.name}, allowed={json.dumps(self.allowed)})"

    def graded(self, handed_in: str = "", seed: int | None = None) -> str:
        """Return the call that raises if the code is wrong; with a seed, on other numbers.

        Where the statement asks for a check without a warning, a warning raises, too.

        Args:
            handed_in: how to write what is judged; its name if empty.
            seed: as the check takes it.
        """
        call = ast.parse(self.call, mode="eval").body
        assert isinstance(call, ast.Call)
        call.keywords = [word for word in call.keywords if word.arg != "raises"]
        if seed is not None:
            call.keywords.append(ast.keyword("seed", ast.Constant(seed)))
        for node in ast.walk(call):
            if isinstance(node, ast.Name) and node.id == self.name and handed_in:
                node.id = handed_in
        return f"without_warning({ast.unparse(call)})" if self.no_warning else ast.unparse(call)
