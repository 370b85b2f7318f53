"""What does one vector for the whole source cost, against the length?

Run ``python book/experiments/bottleneck.py``. It goes on where it was stopped.
"""

import random
import time

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
    "What share of unseen numbers of 1 to 12 digits does a recurrent "
    "encoder-decoder translate without a mistake: with one fixed vector, with "
    "additive attention, with dot-product attention, trained for as many steps?"
)
ARMS = ("none", "additive", "dot")


def unseen_by_digits(task: NumberWords, most: int = 100) -> list[list]:
    """Return up to `most` pairs per count of digits that were not trained on.

    Of 1 and 2 digits there are few: nearly all of those numbers are trained on.
    """
    seen = {source for source, _ in task.train}
    rng = random.Random(1)
    groups = []
    for digits in range(1, task.max_digits + 1):
        first = 0 if digits == 1 else 10 ** (digits - 1)
        numbers = range(first, 10**digits)
        drawn = rng.sample(numbers, min(20 * most, len(numbers)))
        pairs = []
        for number in drawn:
            if len(pairs) == most:
                break
            pair = task.pair(number)
            if pair[0] not in seen:
                pairs.append(pair)
        groups.append(pairs)
    return groups


def train_arm(
    task: NumberWords,
    arm: str,
    seed: int,
    hidden_size: int = 128,
    steps: int = 500,
) -> RecurrentEncoderDecoder:
    """Train one decoder; return the average of its latest weights."""
    torch.manual_seed(seed)
    model = RecurrentEncoderDecoder(
        RecurrentConfig(
            len(task.source_tokenizer),
            len(task.target_tokenizer),
            hidden_size=hidden_size,
            attention=arm,
            bidirectional=True,
        )
    )
    trainer = Trainer(model, task, TrainingConfig(seed=seed, steps=steps))
    trainer.run(progress=False)
    return trainer.averaged_model()


def run(
    seed: int,
    hidden_size: int = 128,
    steps: int = 500,
    arms: tuple[str, ...] = ARMS,
    most: int = 100,
) -> dict:
    """Train every arm once, and measure it on numbers it has not seen."""
    task = NumberWords(max_digits=12)
    groups = unseen_by_digits(task, most)
    result = {
        "numbers_by_digits": [len(group) for group in groups],
        "exact_match": {},
        "by_digits": {},
        "seconds": {},
    }
    for arm in arms:
        started = time.perf_counter()
        model = train_arm(task, arm, seed, hidden_size, steps)
        result["seconds"][arm] = round(time.perf_counter() - started, 1)
        result["exact_match"][arm] = exact_match(
            model, task, task.test[: 10 * most]
        )
        result["by_digits"][arm] = [
            round(exact_match(model, task, group), 3) for group in groups
        ]
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(3))
