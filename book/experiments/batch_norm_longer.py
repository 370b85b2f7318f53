"""Does a causal model with batch norm learn to see the future in larger batches?

Run ``python book/experiments/batch_norm_longer.py``. It goes on where it was
stopped.
"""

import torch
from batch_norm import guess_digits

from companion.results import store_runs

QUESTION = (
    "A causal model with batch norm predicts random digits, four sequences at a "
    "time, for six times as many steps as in batch_norm.py: does its loss fall "
    "below ln 10 now, with the statistics of the batch and with running averages?"
)


def run(seed: int, steps: int = 6000) -> dict:
    """Train one model."""
    return {"steps": steps, **guess_digits("batch norm", seed, 4, steps)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(5))
