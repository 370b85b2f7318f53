"""How often does cross-attention cross over? Ten trainings, with ten seeds.

Run ``python book/experiments/crossing.py``. It goes on where it was stopped.
"""

import random

import torch

from companion import (
    NumberWords,
    Trainer,
    TrainingConfig,
    Transformer,
    TransformerConfig,
    exact_match,
    record_attention,
)
from companion.results import store_runs

QUESTION = (
    "For what share of numbers that end in such as twenty-one does a head of the "
    "cross-attention look first at the English unit, then at the English tens "
    "for the German tens: in numbers of two digits, of three, of six, and in a "
    "model that was not trained?"
)


def numbers_that_cross() -> dict[str, list[int]]:
    """Return numbers of 2, 3 and 6 digits whose last two are 21 to 99."""
    ends = [number for number in range(21, 100) if number % 10]
    rng = random.Random(0)
    return {
        "two digits": ends,
        "three digits": [100 * rng.randrange(1, 10) + end for end in ends],
        "six digits": [100 * rng.randrange(1000, 10_000) + end for end in ends],
    }


def crossing_shares(
    model: Transformer, task: NumberWords, numbers: list[int]
) -> list[list[float]]:
    """Return the share for each layer and head."""
    crossed = torch.zeros(model.config.num_decoder_layers, model.config.num_heads)
    for number in numbers:
        source, target = task.pair(number)
        source_ids = task.source_tokenizer.encode(source)
        answer = task.target_tokenizer.encode(target)
        with torch.no_grad(), record_attention(model) as maps:
            model(
                torch.tensor([source_ids]),
                torch.tensor([[model.config.bos_id, *answer[:-1]]]),
            )
        tens, unit = places(task.source_tokenizer.tokens(source_ids))
        tokens = task.target_tokenizer.tokens(answer)
        writes_unit, writes_tens = len(tokens) - 4, len(tokens) - 2
        assert tokens[-3] == "und", tokens  # unit, und, tens, <eos>
        for layer in range(len(crossed)):
            name = f"decoder.layers.{layer}.cross_attention"
            looked_at = maps[name][0].argmax(dim=-1)  # (head, target)
            crossed[layer] += (looked_at[:, writes_unit] == unit) & (
                looked_at[:, writes_tens] == tens
            )
    return [
        [round(share, 3) for share in layer]
        for layer in (crossed / len(numbers)).tolist()
    ]


def places(source_tokens: list[str]) -> tuple[int, int]:
    """Return where the last tens and the last unit stand in the English."""
    hyphen = max(i for i, token in enumerate(source_tokens) if token == "-")
    return hyphen - 1, hyphen + 1


def run(seed: int, steps: int = TrainingConfig.steps) -> dict:
    """Look at a model before it is trained, and after."""
    task = NumberWords()
    vocabularies = len(task.source_tokenizer), len(task.target_tokenizer)
    torch.manual_seed(seed)
    model = Transformer(TransformerConfig.tiny(*vocabularies))
    sets = numbers_that_cross()

    def shares(model):
        return {
            name: crossing_shares(model, task, numbers)
            for name, numbers in sets.items()
        }

    result = {"not trained": shares(model)}
    trainer = Trainer(model, task, TrainingConfig(seed=seed, steps=steps))
    trainer.run(progress=False)
    averaged = trainer.averaged_model()
    result["trained"] = shares(averaged)
    result["exact_match_last"] = exact_match(model, task, task.test)
    result["exact_match"] = exact_match(averaged, task, task.test)
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(10))
