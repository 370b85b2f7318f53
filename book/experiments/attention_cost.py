"""What does attention cost as sequences grow? Time and memory of both paths.

Run ``python book/experiments/attention_cost.py``; it goes on where it stopped.
"""

import multiprocessing
import re
import statistics
import time
from pathlib import Path

import torch

from companion import scaled_dot_product_attention
from companion.results import store_runs

QUESTION = (
    "How do time and memory of attention, forward and backward, grow with the "
    "length, for the readable path and for the fused one?"
)
LENGTHS = (256, 512, 1024, 2048, 4096)
HEADS, HEAD_DIM, REPEATS = 4, 64, 5


def peak_memory() -> int:
    """Return the most memory this process has held so far, in bytes (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def measure(length: int, implementation: str, seed: int) -> tuple[float, float]:
    """Return median seconds, and peak MiB beyond the inputs, in a new process."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)

    def step(inputs: list[torch.Tensor]) -> None:
        output = scaled_dot_product_attention(
            *inputs, implementation=implementation
        )
        output.sum().backward()

    def inputs(length: int) -> list[torch.Tensor]:
        shape = (1, HEADS, length, HEAD_DIM)
        return [torch.randn(shape, requires_grad=True) for _ in range(3)]

    step(inputs(16))  # what a first call sets up
    parts, before = inputs(length), peak_memory()
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        step(parts)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), (peak_memory() - before) / 2**20


def run(seed: int, lengths: tuple[int, ...] = LENGTHS) -> dict:
    """Measure both paths at every length."""
    result: dict = {"lengths": list(lengths)}
    for implementation in ("reference", "fused"):
        with multiprocessing.get_context("spawn").Pool(
            1, maxtasksperchild=1
        ) as pool:
            measured = [
                pool.apply(measure, (length, implementation, seed))
                for length in lengths
            ]
        result[implementation] = {
            "seconds": [round(seconds, 5) for seconds, _ in measured],
            "mebibytes": [round(memory, 1) for _, memory in measured],
        }
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(3))
