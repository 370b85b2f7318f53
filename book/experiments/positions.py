"""How far does each way of telling positions carry?

One task, six arms, tested on inputs longer than any that they are trained on.

Run ``python book/experiments/positions.py``. It goes on where it was stopped.
"""

import math
from collections.abc import Callable, Sequence

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
    "Trained on 4 to 10 letters, how often is a small encoder right on 4 to 40: "
    "with no positions, with a causal mask alone, with the index appended as a "
    "number, and with sinusoidal, learned and rotary positions?"
)
ARMS = ("none", "none, causal", "index", "sinusoidal", "learned", "rotary")
NUM_LETTERS, MARKER, ASK = 8, 8, 9
TRAINED = (4, 10)  # the shortest and the longest that it is trained on
LENGTHS = (4, 6, 8, 10, 11, 12, 14, 16, 20, 24, 32, 40)
MAX_LEN = 64


def after_marker(
    batch: int, length: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return letters with one marker and a last token that asks, and answers."""
    ids = torch.randint(NUM_LETTERS, (batch, length), generator=generator)
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
        self.arm, self.scale = arm, math.sqrt(d_model)
        width = d_model - 1 if arm == "index" else d_model
        self.embedding = nn.Embedding(ASK + 1, width)
        nn.init.normal_(self.embedding.weight, std=d_model**-0.5)
        self.encoder = Encoder(
            num_layers=2, d_model=d_model, num_heads=num_heads, d_ff=64
        )
        self.output = nn.Linear(d_model, NUM_LETTERS)
        self.positions: nn.Module = nn.Identity()
        if arm == "sinusoidal":
            self.positions = SinusoidalPositionalEncoding(d_model, MAX_LEN)
        elif arm == "learned":
            self.positions = LearnedPositionalEmbedding(d_model, MAX_LEN)
        elif arm == "rotary":
            rotary = RotaryPositionalEmbedding(d_model // num_heads, MAX_LEN)
            for layer in self.encoder.layers:
                layer.self_attention.rotary = rotary

    def forward(self, ids: Tensor) -> Tensor:
        """Map (B, L) token ids to (B, letters) logits."""
        x = self.embedding(ids) * self.scale  # (B, L, D)
        if self.arm == "index":
            index = torch.arange(ids.size(1)).float().expand_as(ids)
            x = torch.cat([x, index[..., None]], dim=-1)
        mask = causal_mask(ids.size(1)) if self.arm == "none, causal" else None
        return self.output(self.encoder(self.positions(x), mask)[:, -1])


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


def run(
    seed: int,
    steps: int = 1000,
    arms: Sequence[str] = ARMS,
    lengths: Sequence[int] = LENGTHS,
) -> dict[str, object]:
    """Train every arm on the same sequences; test it on every length."""
    accuracy = {}
    for arm in arms:
        model = train(arm, seed, steps)
        accuracy[arm] = [
            share_right(
                lambda ids, model=model: model(ids).argmax(dim=-1), length
            )
            for length in lengths
        ]
    return {
        "lengths": list(lengths),
        "trained": list(TRAINED),
        "accuracy": accuracy,
        "by counting": [share_right(by_counting, length) for length in lengths],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(3))
