"""How long does a sequence take, by recurrence and by attention?

Run ``python book/experiments/recurrence_time.py``. It goes on where it was
stopped. What is timed is what one thread computes, by the processor's clock and
not by the wall's, so that other work on the machine disturbs it less.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import companion
from companion.results import store_runs

QUESTION = (
    "How many milliseconds do forward and backward take per sequence, against "
    "its length, for a GRU, an LSTM, self-attention and a Transformer's encoder "
    "layer of the same width? And for a plain recurrence in a chain, for the "
    "same products in a loop without the dependency, and for all of them at once?"
)
WIDTH, HEADS = 128, 4
LENGTHS = (16, 32, 64, 128, 256, 512, 1024)
BATCH_SIZES = (1, 16)


class Products(nn.Module):
    """tanh(x_t + W s_t) for every token, where s_t differs with the way.

    As a chain s_t is the result before, which makes it a recurrence. In a loop
    and at once it is x_t, so that nothing waits for anything.
    """

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.weight = nn.Parameter(torch.randn(WIDTH, WIDTH) / WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, length, width)."""
        if self.way == "at once":
            return torch.tanh(x + x @ self.weight)
        results, last = [], torch.zeros_like(x[:, 0])
        for token in x.unbind(dim=1):
            state = last if self.way == "chain" else token
            last = torch.tanh(token + state @ self.weight)
            results.append(last)
        return torch.stack(results, dim=1)


class Unfused(nn.LSTM):
    """torch's LSTM without the library that runs all its steps in one call."""

    def forward(self, x: Tensor) -> tuple:
        """Return what the LSTM does."""
        torch.backends.mkldnn.enabled = False
        try:
            return super().forward(x)
        finally:
            torch.backends.mkldnn.enabled = True


def make_layers() -> dict[str, nn.Module]:
    """Return the layers, (batch, length, width) to the same shape."""
    return {
        "gru": nn.GRU(WIDTH, WIDTH, batch_first=True),
        "lstm": nn.LSTM(WIDTH, WIDTH, batch_first=True),
        "lstm, many calls": Unfused(WIDTH, WIDTH, batch_first=True),
        "attention": companion.MultiHeadAttention(WIDTH, HEADS),
        "encoder layer": companion.EncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, dropout=0.0
        ),
        "chain": Products("chain"),
        "loop": Products("loop"),
        "at once": Products("at once"),
    }


def step(layer: nn.Module, x: Tensor) -> Callable[[], None]:
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
    while turns < 2 or time.perf_counter() < finish:
        for name, function in functions.items():
            started = time.process_time()
            function()
            taken = 1000 * (time.process_time() - started)
            best[name] = min(best[name], taken)
        turns += 1
    return best


def run(
    seed: int,
    lengths: tuple[int, ...] = LENGTHS,
    batch_sizes: tuple[int, ...] = BATCH_SIZES,
    seconds: float = 0.1,
) -> dict:
    """Measure once; the times are in milliseconds per sequence."""
    torch.manual_seed(seed)
    layers = make_layers()
    arms = []
    for batch_size in batch_sizes:
        times: dict[str, list[float]] = {name: [] for name in layers}
        for length in lengths:
            x = torch.randn(batch_size, length, WIDTH, requires_grad=True)
            steps = {name: step(layers[name], x) for name in layers}
            best = milliseconds(steps, seconds)
            for name, value in best.items():
                times[name].append(round(value / batch_size, 4))
        arms.append({"batch_size": batch_size, "milliseconds": times})
    return {"lengths": list(lengths), "width": WIDTH, "arms": arms}


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(5))
