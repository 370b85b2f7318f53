"""Five assignments that are ready to hand out, as data, and one made of any chapter."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from companion.assignments.exercises import BOOK, Exercise, chapter_title, read_chapter

POINTS = {"easy": 2, "medium": 3, "hard": 5}  # what an exercise is worth where nobody says otherwise


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
class Plan:
    """A ready assignment, before its exercises are read.

    Attributes:
        name: for files and folders.
        title: for people.
        statement: what it is about and what to read first, in Markdown.
        exercises: chapter stem, name of what is written, points.
        question: the one that a person grades.
    """

    name: str
    title: str
    statement: str
    exercises: tuple[tuple[str, str, int], ...]
    question: Question


@dataclass(frozen=True)
class Assignment:
    """An assignment: exercises of the book, each with its points, and perhaps a question.

    Attributes:
        name: for files and folders.
        title: for people.
        statement: what it is about, in Markdown.
        exercises: in order.
        points: of each exercise.
        question: one that a person grades.
    """

    name: str
    title: str
    statement: str
    exercises: tuple[Exercise, ...]
    points: tuple[int, ...]
    question: Question | None = None
    seed: int = field(default=0, kw_only=True)

    @property
    def total(self) -> int:
        """All the points, those of the question too."""
        return sum(self.points) + (self.question.points if self.question else 0)

    @property
    def minutes(self) -> int:
        """How long it takes, about."""
        return sum(exercise.minutes for exercise in self.exercises) + (self.question.minutes if self.question else 0)

    @property
    def module(self) -> str:
        """Its name as a Python module."""
        return self.name.replace("-", "_")


READY = (
    Plan(
        "attention-and-masks",
        "Attention and masks",
        "You write scaled dot-product attention and the masks that restrict it. Read the chapters *Self-attention* "
        "and *Masks* first. A mask is bool, and True means may attend.",
        (
            ("attention", "my_weights", 2),
            ("attention", "attention_by_rows", 3),
            ("masks", "my_causal_mask", 2),
            ("masks", "my_padding_mask", 1),
            ("masks", "my_combined_mask", 1),
            ("masks", "safe_attention", 5),
        ),
        Question(
            "A classmate multiplies the scores by a mask of 0s and 1s before the softmax. Every row of the weights "
            "still sums to 1. Say what is wrong, and describe one test that shows it.",
            3,
            10,
            (
                "1 point: a forbidden key keeps weight, because a score of 0 becomes e⁰ = 1 in the softmax",
                "2 points: a test that shows it, such as: change a forbidden token, and watch a permitted output move "
                "(1 point for a test that would pass on the wrong code too, such as the sums of the rows)",
            ),
        ),
    ),
    Plan(
        "multi-head-and-positions",
        "Several heads, and positions",
        "You write multi-head attention as a layer, and two ways to tell a model where a token stands. Read the "
        "chapters *Multi-head attention* and *Positions* first. A sinusoidal encoding has, for place $t$, "
        r"$\sin(t\omega_i)$ as feature $2i$ and $\cos(t\omega_i)$ as feature $2i + 1$, where "
        r"$\omega_i = 10000^{-2i/d_\text{model}}$.",
        (
            ("multi_head", "my_split", 2),
            ("multi_head", "my_merge", 2),
            ("multi_head", "MyMultiHead", 4),
            ("positional", "my_encoding", 2),
            ("positional", "my_rotary", 4),
        ),
        Question(
            "A multi-head layer of width 512 has biases. How many parameters has it with 1 head, and how many with 8? "
            "What does splitting into heads change, then?",
            3,
            10,
            (
                "1 point: 4 · 512² + 4 · 512 = 1,050,624",
                "1 point: the same with 8 heads",
                "1 point: each head has its own softmax, so a token can attend in several ways at once",
            ),
        ),
    ),
    Plan(
        "add-norm-and-encoder",
        "Add & norm, and the encoder",
        "You write the norm, the residual, the feed-forward network and the encoder layer that they make. Read the "
        "chapters *Add & norm* and *The encoder* first. The layers are post-norm, as in the paper. "
        "Python's `help` says how the companion's parts are called: try `help(companion.MultiHeadAttention.forward)`.",
        (
            ("add_norm", "MyLayerNorm", 3),
            ("add_norm", "MyAddNorm", 3),
            ("encoder", "MyFeedForward", 2),
            ("encoder", "MyEncoderLayer", 5),
        ),
        Question(
            "Post-norm computes LN(x + f(x)), pre-norm x + f(LN(x)). Follow the gradient from the last layer's output "
            "to the first layer's input in both. What is different, and why does a pre-norm model end with one more "
            "norm?",
            3,
            15,
            (
                "1 point: in pre-norm the residual path is the identity from end to end",
                "1 point: in post-norm every layer's norm stands on that path and rescales the gradient",
                "1 point: without the last norm, a pre-norm model's output is a sum that grows with depth",
            ),
        ),
    ),
    Plan(
        "full-decoder",
        "The full decoder",
        "You write the decoder layer, the loss with its shift, and greedy decoding that gives one token in at a time. "
        "Read the chapters *Masks* and *The decoder* first. Python's `help` says how the companion's parts are called: "
        "try `help(companion.MultiHeadAttention.forward)`.",
        (
            ("masks", "my_causal_mask", 2),
            ("decoder", "MyDecoderLayer", 5),
            ("decoder", "my_shifted_loss", 3),
            ("decoder", "my_cached_greedy", 3),
        ),
        Question(
            "Training loss falls to nearly zero within a hundred steps, and the model generates nonsense. Name the two "
            "mistakes that you would look for first, and a test for each that needs no training.",
            3,
            10,
            (
                "1 point: the causal mask is missing; the target is not shifted: either puts the answer into the input",
                "1 point: for the mask: change a later target token, and no earlier output may move",
                "1 point: for the shift: look at what the decoder is given and at the answers, side by side",
            ),
        ),
    ),
    Plan(
        "train-and-translate",
        "Train and translate",
        "You write what turns a Transformer into a translator: the learning rate, the loss and greedy decoding. Then "
        "you train one and look at what it does. Read the chapter *The Transformer* first.",
        (
            ("transformer", "my_schedule", 2),
            ("transformer", "my_loss", 3),
            ("transformer", "my_greedy", 3),
        ),
        Question(
            "Train a model on number words of two languages that you choose, with `python -m companion train --source "
            "en --target fr --out my-model` (a few minutes on a laptop; other languages go by their codes). Report "
            "your command, the seed (0 if you name none) and the exact match on unseen pairs that it prints. Translate "
            "ten numbers with `python -m companion translate my-model ...`, among them numbers with few tokens and "
            "with many. Show the ones that are wrong, and say what they have in common; if none is wrong, say what you "
            "would measure to find where it fails.",
            6,
            45,
            (
                "1 point: the command, the seed and the exact match are reported",
                "2 points: ten translations, chosen so that they could fail",
                "2 points: what is said about the errors follows from what is shown",
                "1 point: a next measurement that could refute it",
            ),
        ),
    ),
)


def ready_assignment(name: str, book: Path = BOOK) -> Assignment:
    """Return a ready assignment with its exercises.

    Raises:
        BookMissing: there is no notebook in the folder.
        ValueError: there is no such assignment, or the book lacks one of its exercises.
    """
    plans = {plan.name: plan for plan in READY}
    if name not in plans:
        raise ValueError(f"there is no assignment {name!r}: there are {', '.join(plans)}")
    plan, found = plans[name], []
    for stem, wanted, _ in plan.exercises:
        matching = [exercise for exercise in read_chapter(stem, book) if exercise.name == wanted]
        if not matching:
            raise ValueError(f"assignment {name}: chapter {stem} has no exercise in which {wanted} is written")
        found.append(matching[0])
    points = tuple(points for _, _, points in plan.exercises)
    return Assignment(plan.name, plan.title, plan.statement, tuple(found), points, plan.question)


def chapter_assignment(stem: str, book: Path = BOOK) -> Assignment:
    """Return an assignment of all the exercises of one chapter that have a check.

    Raises:
        BookMissing: there is no notebook in the folder.
        ValueError: there is no such chapter, or it has no such exercise.
    """
    exercises = tuple(read_chapter(stem, book))
    if not exercises:
        raise ValueError(f"chapter {stem} has no exercise with a check")
    points = tuple(POINTS.get(exercise.difficulty, POINTS["medium"]) for exercise in exercises)
    title = chapter_title(stem, book)
    text = f"All the exercises of the chapter *{title}*. Read it first: what an exercise calls above stands there."
    return Assignment(stem.replace("_", "-"), f"Exercises: {title}", text, exercises, points)
