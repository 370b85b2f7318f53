"""Additive against dot-product attention, trained to find a key, as d_k grows.

Run ``python book/experiments/additive_quality.py``. It goes on where it was
stopped.
"""

import torch
from torch import nn

from companion import AdditiveAttention
from companion.results import store_runs

QUESTION = (
    "A query asks for one of 8 keys. How often does attention give that key the "
    "largest weight after 300 steps, by an additive score without and with a "
    "bias, a dot product and a scaled dot product of d_k features, at the best "
    "of three learning rates: when keys come from 32 words, and when they are "
    "new each time?"
)
ARMS = ("additive", "additive, bias", "dot", "scaled dot")
TASKS = ("words", "new keys")
RATES = (1e-3, 3e-3, 1e-2)
SIZES = (4, 16, 64, 256)
BATCH, NUM_KEYS, NUM_WORDS = 32, 8, 32


class DotScore(nn.Module):
    """The weights by a dot product between projections, scaled or not."""

    def __init__(self, d_k: int, scaled: bool) -> None:
        super().__init__()
        self.q_proj = nn.Linear(d_k, d_k, bias=False)
        self.k_proj = nn.Linear(d_k, d_k, bias=False)
        self.scale = d_k**-0.5 if scaled else 1.0

    def weights(self, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        """Return the weights (B, Q, K)."""
        scores = self.q_proj(query) @ self.k_proj(key).mT * self.scale
        return scores.softmax(dim=-1)


def make(arm: str, d_k: int) -> nn.Module:
    """Return an untrained attention; each arm has its two d_k × d_k matrices."""
    if arm in ("dot", "scaled dot"):
        return DotScore(d_k, arm == "scaled dot")
    module = AdditiveAttention(d_k, d_k, d_k)
    if arm != "additive":
        module.q_proj = nn.Linear(d_k, d_k)  # a bias for each hidden feature
    if arm == "additive, bias":
        # torch starts a bias within 1/sqrt(d_k): where d_k is large, almost odd.
        nn.init.normal_(module.q_proj.bias)
    return module


def found(
    task: str, arm: str, d_k: int, rate: float, seed: int, steps: int = 300
) -> float:
    """Train on the value that is read; return how often the right key leads."""
    torch.manual_seed(seed)
    model = make(arm, d_k)
    generator = torch.Generator().manual_seed(seed + 1)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    as_key, as_query = normal(NUM_WORDS, d_k), normal(NUM_WORDS, d_k)
    rotation = torch.linalg.qr(normal(d_k, d_k))[0]

    def draw(batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        right = torch.randint(NUM_KEYS, (batch,), generator=generator)
        rows = torch.arange(batch)
        if task == "words":  # a word is one vector as a key, another as a query
            ranks = torch.rand(batch, NUM_WORDS, generator=generator)
            words = ranks.argsort(dim=-1)[:, :NUM_KEYS]  # no word twice
            return as_query[words[rows, right]][:, None], as_key[words], right
        keys = normal(batch, NUM_KEYS, d_k)
        return (keys[rows, right] @ rotation)[:, None], keys, right

    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        query, keys, right = draw(BATCH)
        weights = model.weights(query, keys)[:, 0]  # (batch, keys)
        # The loss sees the weights only through what is read: one-hot values.
        read = weights[torch.arange(BATCH), right]
        loss = -(read + 1e-9).log().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    query, keys, right = draw(2000)
    with torch.no_grad():
        leads = model.weights(query, keys)[:, 0].argmax(dim=-1)
    return (leads == right).float().mean().item()


def run(
    seed: int,
    sizes: tuple[int, ...] = SIZES,
    rates: tuple[float, ...] = RATES,
    steps: int = 300,
) -> dict:
    """Train every arm at every size and rate."""
    by_rate = {
        task: {
            arm: [
                [
                    round(found(task, arm, d_k, rate, seed, steps), 3)
                    for rate in rates
                ]
                for d_k in sizes
            ]
            for arm in ARMS
        }
        for task in TASKS
    }
    best = {
        task: {arm: [max(row) for row in rows] for arm, rows in by_arm.items()}
        for task, by_arm in by_rate.items()
    }
    torchs_bias = {
        str(long): max(
            round(
                found("new keys", "torch's bias", sizes[-1], rate, seed, long), 3
            )
            for rate in rates
        )
        for long in (steps, 3 * steps)
    }
    return {
        "sizes": list(sizes),
        "rates": list(rates),
        "by_rate": by_rate,
        "best": best,
        "torch's bias": torchs_bias,  # new keys, the largest size, by steps
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(5))
