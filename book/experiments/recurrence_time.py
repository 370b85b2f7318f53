"""How long does a sequence take, by recurrence and by attention?

Run ``python book/experiments/recurrence_time.py``. It goes on where it was
stopped. Timings: leave the machine alone meanwhile.
"""

import time
from collections.abc import Callable

import torch
from torch import nn

import companion
from companion.results import store_runs

QUESTION = (
    "How many milliseconds do forward and backward take per sequence, against "
    "its length, for a GRU, for self-attention and for a Transformer's encoder "
    "layer of the same width?"
)
WIDTH, HEADS = 128, 4
LENGTHS = (16, 32, 64, 128, 256, 512, 1024)
BATCH_SIZES = (1, 16)
THREADS = (1, 2)


def make_layers() -> dict[str, nn.Module]:
    """Return the three layers, (batch, length, width) to the same shape."""
    return {
        "gru": nn.GRU(WIDTH, WIDTH, batch_first=True),
        "attention": companion.MultiHeadAttention(WIDTH, HEADS),
        "encoder layer": companion.EncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, dropout=0.0
        ),
    }


def step(layer: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """Return a function that runs the layer forward and backward once."""

    def forward_backward() -> None:
        output = layer(x)
        output = output[0] if isinstance(output, tuple) else output
        output.sum().backward()

    return forward_backward


def milliseconds(
    functions: dict[str, Callable[[], None]], seconds: float
) -> dict[str, float]:
    """Time the functions in turns for so long; return each one's best."""
    best = {name: float("inf") for name in functions}
    for function in functions.values():
        function()  # the first call allocates
    finish, turns = time.perf_counter() + seconds, 0
    while turns < 3 or time.perf_counter() < finish:
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            taken = 1000 * (time.perf_counter() - started)
            best[name] = min(best[name], taken)
        turns += 1
    return best


def run(
    seed: int,
    lengths: tuple[int, ...] = LENGTHS,
    batch_sizes: tuple[int, ...] = BATCH_SIZES,
    threads: tuple[int, ...] = THREADS,
    seconds: float = 0.15,
) -> dict:
    """Measure once; the times are in milliseconds per sequence."""
    torch.manual_seed(seed)
    layers = make_layers()
    before = torch.get_num_threads()
    arms = []
    for number in threads:
        torch.set_num_threads(number)
        for batch_size in batch_sizes:
            times: dict[str, list[float]] = {name: [] for name in layers}
            for length in lengths:
                x = torch.randn(batch_size, length, WIDTH, requires_grad=True)
                steps = {name: step(layers[name], x) for name in layers}
                best = milliseconds(steps, seconds)
                for name, value in best.items():
                    times[name].append(round(value / batch_size, 4))
            arm = {"threads": number, "batch_size": batch_size}
            arms.append({**arm, "milliseconds": times})
    torch.set_num_threads(before)
    return {"lengths": list(lengths), "width": WIDTH, "arms": arms}


if __name__ == "__main__":
    torch.set_num_threads(max(THREADS))
    store_runs(__file__, QUESTION, run, seeds=range(3))
