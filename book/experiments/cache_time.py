"""How much time does a cache save while a decoder writes?

Run ``python book/experiments/cache_time.py``. It goes on where it was stopped.
What is timed is what one thread computes, by the processor's clock and not by
the wall's, so that other work on the machine disturbs it less.
"""

import time

import torch

import companion
from companion.results import store_runs

QUESTION = (
    "How many seconds does a Transformer of width 256 with four layers take to "
    "write 25, 50, 100 and 200 tokens one after another, with a cache of keys "
    "and values and without?"
)
LENGTHS = (25, 50, 100, 200)


def uncached(model, memory: torch.Tensor, ids: torch.Tensor) -> None:
    """Compute the whole beginning again for every new token."""
    for end in range(1, ids.size(1) + 1):
        model.decode(ids[:, :end], memory, None)


def cached(model, memory: torch.Tensor, ids: torch.Tensor) -> None:
    """Keep keys and values; give only the newest token."""
    cache = model.make_cache(memory, max_len=ids.size(1))
    for token in ids.split(1, dim=1):
        model.decode(token, memory, None, cache)


@torch.no_grad()
def run(seed: int, lengths: tuple = LENGTHS, width: int = 256) -> dict:
    """Time both ways in turns; the steps are as many in both."""
    torch.manual_seed(seed)
    config = companion.TransformerConfig(
        source_vocab_size=500,
        target_vocab_size=500,
        d_model=width,
        num_heads=4,
        d_ff=4 * width,
        num_encoder_layers=4,
        num_decoder_layers=4,
    )
    model = companion.Transformer(config).eval()
    memory = model.encode(torch.randint(4, 500, (1, 20)))
    ways = {"without": uncached, "with": cached}
    result: dict = {"lengths": list(lengths), "seconds": {w: [] for w in ways}}
    for length in lengths:
        ids = torch.randint(4, 500, (1, length))
        for name, way in ways.items():
            started = time.process_time()
            way(model, memory, ids)
            taken = time.process_time() - started
            result["seconds"][name].append(round(taken, 3))
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(5))
