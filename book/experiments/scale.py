"""Does attention without the scale train worse, and if so, why?

Run ``python book/experiments/scale.py``. It goes on where it was stopped.
"""

import torch
import torch.nn.functional as F

from companion.results import store_runs

QUESTION = (
    "A query asks for one of 8 keys. How often does dot-product attention give "
    "that key the largest weight after 300 steps, at the best of three learning "
    "rates: with the scale, without it, and without it from a smaller start; "
    "when the loss sees the value that is read, and when it sees the weight?"
)
# Setting: the keys, and what the loss sees. Words are 32 pairs of a query and a
# key; new keys are new each time, and the query is the right one, rotated.
SETTINGS = {
    "words, read": ("scaled", "unscaled", "small start"),
    "new keys, read": ("scaled", "unscaled"),
    "words, weight": ("scaled", "unscaled"),
}
SIZES, RATES = (16, 64, 256), (1e-3, 3e-3, 1e-2)
BATCH, NUM_KEYS, NUM_WORDS, D_V = 32, 8, 32, 8
LONG = 2000  # steps, at the middle size, without the scale


def found(
    setting: str, arm: str, d_k: int, rate: float, seed: int, steps: int
) -> float:
    """Train two projections; return how often the right key leads."""
    keys_are, loss_sees = setting.split(", ")
    torch.manual_seed(seed)
    # Projected entries of variance 1, as in the chapter's table.
    q_proj, k_proj = (torch.randn(d_k, d_k) * d_k**-0.5 for _ in range(2))
    scale = d_k**-0.5 if arm == "scaled" else 1.0
    if arm == "small start":  # the scores of "scaled", without its factor
        q_proj, k_proj = q_proj * d_k**-0.25, k_proj * d_k**-0.25
    parameters = [q_proj.requires_grad_(), k_proj.requires_grad_()]
    generator = torch.Generator().manual_seed(seed + 1)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    as_key, as_query = normal(NUM_WORDS, d_k), normal(NUM_WORDS, d_k)
    rotation = torch.linalg.qr(normal(d_k, d_k))[0]

    def draw(batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        right = torch.randint(NUM_KEYS, (batch,), generator=generator)
        rows = torch.arange(batch)
        if keys_are == "words":
            ranks = torch.rand(batch, NUM_WORDS, generator=generator)
            words = ranks.argsort(dim=-1)[:, :NUM_KEYS]  # no word twice
            return as_query[words[rows, right]], as_key[words], right
        keys = normal(batch, NUM_KEYS, d_k)
        return keys[rows, right] @ rotation, keys, right

    def score(query: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """(batch, keys): (W_q q) · (W_k k), the query's side multiplied first."""
        asked = query @ q_proj @ k_proj.T
        return (asked[:, None] * keys).sum(dim=-1) * scale

    optimizer = torch.optim.Adam(parameters, lr=rate, fused=True)
    for _ in range(steps):
        query, keys, right = draw(BATCH)
        scores = score(query, keys)
        if loss_sees == "weight":
            loss = F.cross_entropy(scores, right)
        else:
            values = normal(BATCH, NUM_KEYS, D_V)
            read = (scores.softmax(dim=-1)[..., None] * values).sum(dim=1)
            loss = F.mse_loss(read, values[torch.arange(BATCH), right])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    query, keys, right = draw(2000)
    with torch.no_grad():
        leads = score(query, keys).argmax(dim=-1)
    return round((leads == right).float().mean().item(), 3)


def run(
    seed: int,
    sizes: tuple[int, ...] = SIZES,
    rates: tuple[float, ...] = RATES,
    steps: int = 300,
    long: int = LONG,
) -> dict:
    """Train every arm of every setting, at every size and rate."""
    by_rate = {
        setting: {
            arm: [
                [found(setting, arm, d_k, rate, seed, steps) for rate in rates]
                for d_k in sizes
            ]
            for arm in arms
        }
        for setting, arms in SETTINGS.items()
    }
    middle = sizes[len(sizes) // 2]
    return {
        "sizes": list(sizes),
        "rates": list(rates),
        "by_rate": by_rate,
        "best": {
            setting: {
                arm: [max(row) for row in rows] for arm, rows in arms.items()
            }
            for setting, arms in by_rate.items()
        },
        "long": [
            found("words, read", "unscaled", middle, rate, seed, long)
            for rate in rates
        ],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(5))
