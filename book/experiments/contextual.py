"""What do the encoder's vectors know of a digit's place, and was it learned?

Run ``python book/experiments/contextual.py``. It goes on where it was stopped.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from companion import (
    NumberWords,
    Trainer,
    TrainingConfig,
    Transformer,
    TransformerConfig,
    causal_mask,
    combine_masks,
    pad_batch,
)
from companion.results import store_runs

QUESTION = (
    "How often does a linear probe read a digit's place (units, hundreds, "
    "thousands, hundred thousands) off its vector in an encoder of two layers: "
    "before training, after 300 steps, and under a causal mask? And how alike "
    "are the vectors of both words 'two' in 'two hundred and two'?"
)
DIGITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def find_digits(
    task: NumberWords, sources: list[str]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return ids (B, S), where digits begin a word (B, S), and their places."""
    tokenizer = task.source_tokenizer
    digit_ids = torch.tensor([tokenizer.encode(word)[0] for word in DIGITS])
    encoded = tokenizer.encode_batch(sources)
    ids = pad_batch(encoded, tokenizer.pad_id)
    digits = torch.isin(ids, digit_ids)
    tokens = [tokenizer.tokens(sentence) for sentence in encoded]
    places = []
    for b, t in digits.nonzero().tolist():
        thousands = any("thousand" in token for token in tokens[b][t:])
        places.append(2 * thousands + (tokens[b][t + 1] == "▁hundred"))
    return ids, digits, torch.tensor(places)


@torch.no_grad()
def states(model: Transformer, ids: Tensor, causal: bool) -> dict[str, Tensor]:
    """Return the vectors (B, S, D) on their way through the encoder."""
    mask = model.source_mask(ids)
    if causal:
        mask = combine_masks(mask, causal_mask(ids.size(1)))
    embedded = model.source_embedding(ids) * model.config.d_model**0.5
    x = model.positions(embedded)
    found = {"embedding": embedded, "position": x - embedded}
    found["embedding + position"] = x
    for number, layer in enumerate(model.encoder.layers, start=1):
        x = layer(x, mask)
        found[f"layer {number}"] = x
    return found


def probe(
    fit: Tensor, fit_places: Tensor, new: Tensor, new_places: Tensor
) -> float:
    """Fit a linear probe by least squares; return its share of right places."""
    x, new = (
        F.pad(vectors.double(), (0, 1), value=1.0) for vectors in (fit, new)
    )
    ridge = 0.01 * torch.eye(x.size(1), dtype=x.dtype)
    wanted = F.one_hot(fit_places, 4).double()
    weights = torch.linalg.solve(x.T @ x + ridge, x.T @ wanted)
    guesses = (new @ weights).argmax(dim=1)
    return round((guesses == new_places).double().mean().item(), 3)


def run(seed: int, steps: int = 300, sentences: int = 2000) -> dict:
    """Probe one encoder before and after training."""
    task = NumberWords()
    vocabularies = len(task.source_tokenizer), len(task.target_tokenizer)
    torch.manual_seed(seed)
    model = Transformer(TransformerConfig.tiny(*vocabularies))
    encoders = {"not trained": copy.deepcopy(model).eval()}
    trainer = Trainer(model, task, TrainingConfig(seed=seed, steps=steps))
    trainer.run(progress=False)
    encoders["trained"] = trainer.averaged_model()

    ids, digits, places = find_digits(
        task, [s for s, _ in task.train[:sentences]]
    )
    new_ids, new_digits, new_places = find_digits(task, [s for s, _ in task.test])
    example = torch.tensor([task.source_tokenizer.encode("two hundred and two")])
    scores, alike = {}, {}
    for name, encoder in encoders.items():
        for causal in (False, True):
            fit, new = (
                states(encoder, batch, causal) for batch in (ids, new_ids)
            )
            scores[name + (", causal mask" if causal else "")] = {
                state: probe(
                    fit[state][digits], places, x[new_digits], new_places
                )
                for state, x in new.items()
            }
        alike[name] = {
            state: round(
                torch.cosine_similarity(x[0, 0], x[0, 3], dim=0).item(), 3
            )
            for state, x in states(encoder, example, causal=False).items()
        }
    return {"probe": scores, "cosine": alike}


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(5))
