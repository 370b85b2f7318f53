"""What does one vector for the whole source cost, against the length?

Run ``python book/experiments/bottleneck.py``. It goes on where it was stopped.
"""

import torch

from companion import (
    NumberWords,
    RecurrentConfig,
    RecurrentEncoderDecoder,
    Trainer,
    TrainingConfig,
    exact_match,
)
from companion.results import store_runs

QUESTION = (
    "What share of unseen numbers of 2 to 12 digits does a recurrent "
    "encoder-decoder translate without a mistake, against the steps of its "
    "training and the size of its state: with one fixed vector, and, as a "
    "control, with attention?"
)
ARMS = {  # cell, attention, size of the state, after which steps it is measured
    "dot-product attention, 128": ("gru", "dot", 128, (500,)),
    "GRU, 128": ("gru", "none", 128, (500, 1000, 2500)),
}
DIGITS = range(2, 13)
SEEDS = range(5)


def make_model(
    task: NumberWords, cell: str, attention: str, size: int
) -> RecurrentEncoderDecoder:
    """Return an encoder-decoder whose encoder reads in both directions."""
    return RecurrentEncoderDecoder(
        RecurrentConfig(
            len(task.source_tokenizer),
            len(task.target_tokenizer),
            hidden_size=size,
            cell=cell,
            attention=attention,
            bidirectional=True,
        )
    )


def run(
    name: str, most: int = 100, measured_at: tuple[int, ...] | None = None
) -> dict:
    """Train one arm with one seed; measure it on numbers it has not seen.

    The learning rate of a step does not depend on how many there will be, so
    that what is measured on the way is what a shorter training gives.
    """
    arm, _, seed = name.rpartition(", seed ")
    cell, attention, size, steps = ARMS[arm]
    steps = measured_at or steps
    task = NumberWords(max_digits=12)
    kinds = task.by_kind(most)  # all of them held out
    groups = [kinds[f"{digits} digits"] for digits in DIGITS]
    torch.manual_seed(int(seed))
    model = make_model(task, cell, attention, size)
    by_digits: dict[str, list[float]] = {}

    def measure(trainer: Trainer) -> None:
        if trainer.step in steps:
            model = trainer.averaged_model()
            by_digits[str(trainer.step)] = [
                round(exact_match(model, task, group), 3) for group in groups
            ]

    config = TrainingConfig(seed=int(seed), steps=max(steps))
    Trainer(model, task, config).run([measure], progress=False)
    return {
        "arm": arm,
        "seed": int(seed),
        "numbers_by_digits": [len(group) for group in groups],
        "by_digits": by_digits,
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    names = [f"{arm}, seed {seed}" for seed in SEEDS for arm in ARMS]
    store_runs(__file__, QUESTION, run, seeds=names, key="run")
