"""Does the Transformer build numbers, or does it know pieces of them?

Run ``python book/experiments/kinds_of_numbers.py``. It goes on where it was
stopped.
"""

import random
import time

import torch

from companion import (
    NumberWords,
    Tokenizer,
    Trainer,
    TrainingConfig,
    Transformer,
    TransformerConfig,
    TranslationTask,
    translate,
)
from companion.data.number_words import part_of
from companion.results import store_runs

QUESTION = (
    "What share of each kind of number that was held out by structure does a "
    "small Transformer translate without a mistake: as the course trains it, "
    "with other pieces, with fewer zeros to learn from, and where numbers were "
    "withheld from it?"
)
SEEDS = {
    "as taught": 10,
    "large pieces": 5,
    "small pieces": 5,
    "drawn evenly": 5,
    "large pieces, drawn evenly": 5,
    "up to five digits": 5,
    "words withheld": 5,
}


WITHHELD = (7, 11, 16, 20, 90)  # thousands that one arm never sees


def drawn_evenly(count: int = 10_000) -> list[int]:
    """Draw different numbers, as many of each length, as far as there are enough.

    Their digits are what chance makes them: of a thousand numbers of six digits
    one ends in 000, and it takes ten thousand to find one like 300,005.
    """
    rng, numbers = random.Random(0), []
    for digits in range(1, 7):
        every = range(10 ** (digits - 1) if digits > 1 else 0, 10**digits)
        some = rng.sample(every, min(len(every), 3 * count))
        share = (count - len(numbers)) // (7 - digits)
        numbers += [n for n in some if part_of(n) == "train"][:share]
    rng.shuffle(numbers)
    return numbers


def training_pairs(arm: str, task: NumberWords) -> list:
    """Return the pairs that an arm learns from."""
    if arm == "up to five digits":
        return NumberWords(max_digits=5).train
    if "drawn evenly" in arm:
        return [task.pair(number) for number in drawn_evenly()]
    if arm == "words withheld":
        starts = tuple(task.pair(1000 * n)[0] for n in WITHHELD)
        return [pair for pair in task.train if not pair[0].startswith(starts)]
    return task.train


def make_task(arm: str, task: NumberWords) -> TranslationTask:
    """Return what an arm learns from, cut as it cuts it."""
    pairs = training_pairs(arm, task)
    targets = [target for _, target in pairs]
    german = task.target_tokenizer
    if "pieces" in arm:
        size = 150 if "large" in arm else 70
        german = Tokenizer.train(targets, size)
    # The English side is the same in all arms.
    return TranslationTask(
        pairs, task.validation, task.test, task.source_tokenizer, german
    )


def kinds_of_numbers(task: NumberWords) -> dict[str, list]:
    """Return the kinds to test with, some of them with such thousands."""
    begun = {
        f"{thousands},xxx": [
            task.pair(number)
            for number in range(1000 * thousands, 1000 * (thousands + 1))
            if part_of(number) == "test"
        ]
        for thousands in WITHHELD
    }
    return {"drawn by digits": task.validation, **task.by_kind(), **begun}


def run(arm: str, steps: int = TrainingConfig.steps) -> dict:
    """Train an arm with a seed, and test it on every kind of number."""
    torch.set_num_threads(1)
    name, seed = arm.rsplit(" ", 1)
    started = time.process_time()
    whole = NumberWords()
    task = make_task(name, whole)
    torch.manual_seed(int(seed))
    model = Transformer(
        TransformerConfig.tiny(
            len(task.source_tokenizer), len(task.target_tokenizer)
        )
    )
    config = TrainingConfig(seed=int(seed), steps=steps)
    trainer = Trainer(model, task, config)
    trainer.run(progress=False)
    seconds = time.process_time() - started
    model = trainer.averaged_model()
    share, mistakes = {}, []
    for kind, pairs in kinds_of_numbers(whole).items():
        ours = translate(model, task, [source for source, _ in pairs])
        wrong = [
            [source, written]
            for (source, target), written in zip(pairs, ours, strict=True)
            if written != target
        ]
        share[kind] = round(1 - len(wrong) / len(pairs), 4)
        mistakes += wrong[:1]
    return {
        "vocabularies": [
            len(task.source_tokenizer),
            len(task.target_tokenizer),
        ],
        "seconds": round(seconds, 1),
        "share": share,
        "mistakes": mistakes[:4],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    arms = [f"{arm} {seed}" for arm, n in SEEDS.items() for seed in range(n)]
    store_runs(__file__, QUESTION, run, seeds=arms, key="arm", processes=2)
