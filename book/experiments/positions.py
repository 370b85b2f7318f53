"""How far does each way of telling positions carry?

One task; five ways, each without a causal mask and with one; tested on inputs
longer than any that they are trained on, place by place.

Run ``python book/experiments/positions.py``. It goes on where it was stopped.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion import (
    Encoder,
    LearnedPositionalEmbedding,
    RotaryPositionalEmbedding,
    SinusoidalPositionalEncoding,
    causal_mask,
)
from companion.results import store_runs

QUESTION = (
    "A sequence of letters holds one marker; the answer is the letter after it. "
    "Trained on 4 to 10 letters, how often is a small encoder right on 4 to 40, "
    "and where in a row of 40: with no positions, with the index appended as a "
    "number, with sinusoidal, learned and rotary positions, each without and "
    "with a causal mask?"
)
WAYS = ("none", "index", "sinusoidal", "learned", "rotary")
ARMS = tuple(way + mask for way in WAYS for mask in ("", ", causal"))
NUM_LETTERS, MARKER, ASK = 8, 8, 9
TRAINED = (4, 10)  # the shortest and the longest that it is trained on
LENGTHS = (4, 7, 10, 11, 12, 14, 16, 20, 28, 40)
MAX_LEN = 64


def after_marker(
    batch: int,
    length: int,
    generator: torch.Generator,
    place: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return letters with one marker and a last token that asks, and answers.

    The marker stands anywhere, or at ``place`` (batch,).
    """
    ids = torch.randint(NUM_LETTERS, (batch, length), generator=generator)
    if place is None:
        place = torch.randint(length - 1, (batch,), generator=generator)
    rows = torch.arange(batch)
    answer = ids[rows, place + 1]
    ids[rows, place] = MARKER
    return F.pad(ids, (0, 1), value=ASK), answer  # (B, L + 1), (B,)


def by_counting(ids: Tensor) -> Tensor:
    """Answer as well as can be done without order: the most frequent letter."""
    return F.one_hot(ids, ASK + 1)[..., :NUM_LETTERS].sum(dim=1).argmax(dim=-1)


class Reader(nn.Module):
    """A small encoder; the output at the last token names a letter."""

    def __init__(self, arm: str, d_model: int = 32, num_heads: int = 4) -> None:
        super().__init__()
        self.way, _, mask = arm.partition(", ")
        self.causal, self.scale = mask == "causal", math.sqrt(d_model)
        width = d_model - 1 if self.way == "index" else d_model
        self.embedding = nn.Embedding(ASK + 1, width)
        nn.init.normal_(self.embedding.weight, std=d_model**-0.5)
        self.encoder = Encoder(
            num_layers=2, d_model=d_model, num_heads=num_heads, d_ff=64
        )
        self.output = nn.Linear(d_model, NUM_LETTERS)
        self.positions: nn.Module = nn.Identity()
        if self.way == "sinusoidal":
            self.positions = SinusoidalPositionalEncoding(d_model, MAX_LEN)
        elif self.way == "learned":
            self.positions = LearnedPositionalEmbedding(d_model, MAX_LEN)
        elif self.way == "rotary":
            rotary = RotaryPositionalEmbedding(d_model // num_heads, MAX_LEN)
            for layer in self.encoder.layers:
                layer.self_attention.rotary = rotary

    def placed(self, x: Tensor, start: int) -> Tensor:
        """Put places from ``start`` on into embeddings (B, L, width)."""
        if self.way == "index":
            index = torch.arange(start, start + x.size(1)).to(x.dtype)
            return torch.cat([x, index[:, None].expand(x.size(0), -1, 1)], dim=-1)
        if self.way in ("sinusoidal", "learned"):
            return self.positions(x, start)
        return x

    def forward(
        self,
        ids: Tensor,
        start: int = 0,
        seen: int | None = None,
        ask_at: int | None = None,
    ) -> Tensor:
        """Map (B, L) token ids to (B, letters) logits.

        Interventions on a trained model: the row begins at place ``start``;
        attention sees only the first ``seen`` letters; the token that asks is
        told that it stands at ``ask_at``.
        """
        x, length = self.embedding(ids) * self.scale, ids.size(1)
        last = start + length - 1 if ask_at is None else ask_at
        parts = self.placed(x[:, :-1], start), self.placed(x[:, -1:], last)
        x = torch.cat(parts, dim=1)
        mask = causal_mask(length) if self.causal else None
        if seen is not None:
            keys = torch.arange(length)
            visible = (keys < seen) | (keys == length - 1)
            mask = visible[None] if mask is None else mask & visible
        return self.output(self.encoder(x, mask)[:, -1])


def train(arm: str, seed: int, steps: int) -> Reader:
    """Train with Adam, a short warm-up, and a last third that slows down."""
    torch.manual_seed(seed)
    model = Reader(arm)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(
                (step + 1) / 50, 1, 3 * (steps - step) / steps
            )
        length = int(
            torch.randint(TRAINED[0], TRAINED[1] + 1, (), generator=generator)
        )
        ids, answer = after_marker(64, length, generator)
        loss = F.cross_entropy(model(ids), answer)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def share_right(
    answers: Callable[[Tensor], Tensor], length: int, count: int = 1000
) -> float:
    """Return how often fresh sequences of one length are answered right."""
    generator = torch.Generator().manual_seed(10_000 + length)
    ids, answer = after_marker(count, length, generator)
    with torch.no_grad():
        return round((answers(ids) == answer).float().mean().item(), 3)


def right_by_place(
    answers: Callable[[Tensor], Tensor], places: int, length: int, count: int
) -> list[float]:
    """Return how often it is right with the marker at each of the places."""
    generator = torch.Generator().manual_seed(20_000 + length)
    place = torch.arange(places).repeat_interleave(count)
    ids, answer = after_marker(len(place), length, generator, place)
    with torch.no_grad():
        given = torch.cat([answers(part) for part in ids.split(1000)])
    shares = (given == answer).float().view(places, count).mean(dim=1)
    return [round(share, 3) for share in shares.tolist()]


def run(
    seed: int,
    steps: int = 1000,
    arms: Sequence[str] = ARMS,
    lengths: Sequence[int] = LENGTHS,
) -> dict[str, object]:
    """Train every arm on the same sequences; test it on every length.

    Of the longest rows, also by the marker's place; and, with the marker and
    the answer at trained places, with the letters at the other places hidden,
    with the asking token told a trained place, and with both. Last, of rows as
    long as trained ones that stand at the end of the longest.
    """
    short, long = TRAINED[1], lengths[-1]
    found: dict[str, dict] = {"accuracy": {}, "by place": {}, "changed": {}}
    for arm in arms:
        model = train(arm, seed, steps)

        def answers(ids: Tensor, model: Reader = model, **change: int) -> Tensor:
            return model(ids, **change).argmax(dim=-1)

        found["accuracy"][arm] = [share_right(answers, n) for n in lengths]
        found["by place"][arm] = right_by_place(answers, long - 1, long, 40)
        changes = {"as it is": {}, "hidden": {"seen": short}}
        if model.way in ("index", "sinusoidal", "learned"):
            changes["moved"] = {"ask_at": short}
            changes["both"] = {"seen": short, "ask_at": short}
        found["changed"][arm] = {}
        for name, change in changes.items():
            shares = right_by_place(
                partial(answers, **change), short - 1, long, 50
            )
            found["changed"][arm][name] = round(sum(shares) / len(shares), 3)
        if "moved" in changes:
            shift = partial(answers, start=long - short)
            found["changed"][arm]["shifted"] = share_right(shift, short)
    return {
        "lengths": list(lengths),
        "trained": list(TRAINED),
        **found,
        "by counting": [share_right(by_counting, length) for length in lengths],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(8))
