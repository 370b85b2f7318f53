"""How often does cross-attention cross over? Ten trainings, with ten seeds.

Run ``python book/experiments/crossing.py``. It goes on where it was stopped.
"""

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
    "For what share of the 72 numbers from 21 to 99 that do not end in 0 does a "
    "head of the cross-attention look first at the English unit, then at the "
    "English tens for the token with the German tens?"
)


def crossing_shares(model: Transformer, task: NumberWords) -> list[list[float]]:
    """Return the share for each layer and head."""
    numbers = [number for number in range(21, 100) if number % 10]
    crossed = torch.zeros(model.config.num_decoder_layers, model.config.num_heads)
    for number in numbers:
        source, target = task.pair(number)
        source_ids, answer = (
            task.source_tokenizer.encode(source),
            task.target_tokenizer.encode(target),
        )
        with torch.no_grad(), record_attention(model) as maps:
            model(
                torch.tensor([source_ids]),
                torch.tensor([[model.config.bos_id, *answer[:-1]]]),
            )
        unit = task.source_tokenizer.tokens(source_ids).index("-") + 1
        tokens = task.target_tokenizer.tokens(answer)
        tens = next(
            row for row, token in enumerate(tokens) if token.endswith("ig")
        )
        for layer in range(len(crossed)):
            looked_at = maps[f"decoder.layers.{layer}.cross_attention"][0].argmax(
                dim=-1
            )  # (head, target)
            crossed[layer] += (looked_at[:, 0] == unit) & (
                looked_at[:, tens] == 0
            )
    return [
        [round(share, 3) for share in layer]
        for layer in (crossed / len(numbers)).tolist()
    ]


def run(seed: int, steps: int = TrainingConfig.steps) -> dict:
    """Train once; measure the last weights, and the average of the latest."""
    task = NumberWords()
    vocabularies = len(task.source_tokenizer), len(task.target_tokenizer)
    torch.manual_seed(seed)
    last = Transformer(TransformerConfig.tiny(*vocabularies))
    trainer = Trainer(last, task, TrainingConfig(seed=seed, steps=steps))
    trainer.run(progress=False)
    averaged = trainer.averaged_model()
    return {
        "exact_match_last": exact_match(last, task, task.test),
        "exact_match": exact_match(averaged, task, task.test),
        "crossing": crossing_shares(averaged, task),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(10))
