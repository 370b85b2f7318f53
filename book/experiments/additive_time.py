"""What does the hidden layer of the additive score cost in time?

Run ``python book/experiments/additive_time.py``. It goes on where it was stopped.
"""

import time

import torch

from companion import AdditiveAttention, scaled_dot_product_attention
from companion.results import store_runs

QUESTION = (
    "How many times as long as scaled dot-product attention does additive "
    "attention take, forward and backward, each with its two d_k × d_k "
    "projections, for 8 sequences of 64 tokens on one thread?"
)
SIZES = (16, 32, 64, 128, 256, 512)


def once(attend, *inputs: torch.Tensor) -> float:
    """Return the seconds of one forward and backward pass."""
    started = time.perf_counter()
    attend(*inputs).sum().backward()
    return time.perf_counter() - started


def measure(d_k: int, rounds: int, length: int = 64) -> dict:
    """Time both in turn, so that a busy machine slows both."""
    torch.manual_seed(0)
    additive = AdditiveAttention(d_k, d_k, d_k)
    inputs = [torch.randn(8, length, d_k) for _ in range(3)]

    def dot(query, key, value, implementation):
        return scaled_dot_product_attention(
            additive.q_proj(query),
            additive.k_proj(key),
            value,
            implementation=implementation,
        )

    arms = {
        "additive": additive,
        "reference": lambda *x: dot(*x, "reference"),
        "fused": lambda *x: dot(*x, "fused"),
    }
    seconds = {name: [] for name in arms}
    for number in range(rounds + 2):
        for name, attend in arms.items():
            took = once(attend, *inputs)
            if number >= 2:  # the first two warm up
                seconds[name].append(took)
    # The fastest of the rounds: what else the machine does only ever adds time.
    fastest = {name: min(times) for name, times in seconds.items()}
    return {
        name: fastest["additive"] / took
        for name, took in fastest.items()
        if name != "additive"
    }


def run(seed: int, sizes: tuple[int, ...] = SIZES, rounds: int = 40) -> dict:
    """Measure every size; a ratio is that of the fastest rounds."""
    ratios = [measure(d_k, rounds) for d_k in sizes]
    return {
        "sizes": list(sizes),
        "ratio": {
            name: [round(ratio[name], 2) for ratio in ratios]
            for name in ratios[0]
        },
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(3))
