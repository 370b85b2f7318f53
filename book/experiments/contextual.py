"""What do the encoder's vectors know of a digit's place, and was it learned?

Run ``python book/experiments/contextual.py``. It goes on where it was stopped.
"""

import copy
from collections import Counter

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion import (
    NumberWords,
    Trainer,
    TrainingConfig,
    Transformer,
    TransformerConfig,
    exact_match,
    pad_batch,
    scaled_dot_product_attention,
)
from companion.results import store_runs

QUESTION = (
    "How often does a linear probe read a digit's place (units, hundreds, "
    "thousands, hundred thousands) off its vector in an encoder of two layers, "
    "place by place: before training and after 300 steps, of encoders that look "
    "both ways and of encoders that look back only? What could be said without "
    "an encoder? How alike are the vectors of a digit in two places? And how "
    "well do the trained models translate?"
)
DIGITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PLACES = ("units", "hundreds", "thousands", "hundred thousands")


class LookingBack(nn.Module):
    """Stands where a layer computes its attention, and hides what follows."""

    def forward(self, query, key, value, mask=None, causal=False):
        """Attend, each token to itself and to those before it."""
        return scaled_dot_product_attention(query, key, value, mask, causal=True)


def build(task: NumberWords, seed: int, looks_back: bool) -> Transformer:
    """Build the small Transformer; both kinds begin with the same weights."""
    vocabularies = len(task.source_tokenizer), len(task.target_tokenizer)
    torch.manual_seed(seed)
    model = Transformer(TransformerConfig.tiny(*vocabularies))
    if looks_back:
        for layer in model.encoder.layers:
            layer.self_attention.attention = LookingBack()
    return model


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
def states(model: Transformer, ids: Tensor) -> dict[str, Tensor]:
    """Return the vectors (B, S, D) on their way through the encoder."""
    mask = model.source_mask(ids)
    x = model.source_embedding(ids) * model.config.d_model**0.5
    found = {"embedding": x}
    found["embedding + position"] = x = model.positions(x)
    for number, layer in enumerate(model.encoder.layers, start=1):
        found[f"layer {number}"] = x = layer(x, mask)
    return found


def by_place(guesses: Tensor, places: Tensor, first: Tensor) -> dict[str, float]:
    """Return the share of right guesses: of all, and broken down in two ways."""
    right = (guesses == places).double()
    shares = {"all": right.mean().item()}
    for number, place in enumerate(PLACES):
        shares[place] = right[places == number].mean().item()
    shares["first word"] = right[first].mean().item()
    shares["later word"] = right[~first].mean().item()
    return {name: round(share, 3) for name, share in shares.items()}


def probe(
    fit: Tensor, fit_places: Tensor, new: Tensor, balanced: bool = False
) -> Tensor:
    """Fit a linear probe by least squares; return the places it reads.

    Balanced, each place weighs the same in the fit, however rare it is.
    """
    x, new = (
        F.pad(vectors.double(), (0, 1), value=1.0) for vectors in (fit, new)
    )
    wanted = F.one_hot(fit_places, 4).double()
    weight = torch.ones(len(x), 1, dtype=x.dtype)
    if balanced:
        weight = len(x) / 4 / wanted.sum(dim=0)[fit_places][:, None]
    ridge = 0.01 * torch.eye(x.size(1), dtype=x.dtype)  # makes it solvable
    weights = torch.linalg.solve(
        x.T @ (weight * x) + ridge, x.T @ (weight * wanted)
    )
    return (new @ weights).argmax(dim=1)


def keys(ids: Tensor, digits: Tensor) -> dict[str, list[tuple]]:
    """Return for each digit what a table might look its place up by."""
    found: dict[str, list[tuple]] = {}
    for b, t in digits.nonzero().tolist():
        here, after = ids[b, t].item(), ids[b, t + 1].item()
        found.setdefault("word", []).append((here,))
        found.setdefault("word and position", []).append((here, t))
        found.setdefault("next word", []).append((after,))
    return found


def table(fit: list[tuple], fit_places: Tensor, new: list[tuple]) -> Tensor:
    """Guess for each key its most frequent place, for a new key that of all."""
    seen: dict[tuple, Counter] = {}
    for key, place in zip(fit, fit_places.tolist(), strict=True):
        seen.setdefault(key, Counter())[place] += 1
    usual = Counter(fit_places.tolist())
    guesses = [seen.get(key, usual).most_common(1)[0][0] for key in new]
    return torch.tensor(guesses)


def cosines(x: Tensor, words: Tensor, places: Tensor) -> dict[str, float]:
    """Return the mean cosine of two digits (rows of x), by what they share."""
    units = F.normalize(x, dim=-1)
    cosine = units @ units.T
    word, place = words[:, None] == words, places[:, None] == places
    other = ~torch.eye(len(x), dtype=torch.bool)
    pairs = {
        "same word, same place": word & place & other,
        "same word, other place": word & ~place,
        "other word, same place": ~word & place,
        "other word, other place": ~word & ~place,
    }
    return {
        name: round(cosine[pair].mean().item(), 3) for name, pair in pairs.items()
    }


def run(
    seed: int, steps: int = 300, sentences: int = 2000, most: int = 300
) -> dict:
    """Probe the encoders of one seed before and after training."""
    task = NumberWords()
    fitted_on = find_digits(task, [s for s, _ in task.train[:sentences]])
    scored_on = find_digits(task, [s for s, _ in task.test])
    (ids, digits, places), (new_ids, new_digits, new_places) = (
        fitted_on,
        scored_on,
    )
    of_fit, of_new = keys(ids, digits), keys(new_ids, new_digits)
    first = new_digits.nonzero()[:, 1] == 0
    result: dict = {
        "digits": dict(zip(PLACES, new_places.bincount().tolist(), strict=True)),
        "first words": int(first.sum()),
        "tables": {
            name: by_place(
                table(of_fit[name], places, of_new[name]), new_places, first
            )
            for name in of_fit
        },
        "probe": {},
        "balanced probe": {},
        "cosine": {},
        "exact_match": {},
    }
    for looks_back in (False, True):
        model = build(task, seed, looks_back)
        encoders = {"not trained": copy.deepcopy(model).eval()}
        trainer = Trainer(model, task, TrainingConfig(seed=seed, steps=steps))
        trainer.run(progress=False)
        encoders["trained"] = trainer.averaged_model()
        for name, encoder in encoders.items():
            name += ", looking back" if looks_back else ""
            fit, new = states(encoder, ids), states(encoder, new_ids)
            fit = {state: x[digits] for state, x in fit.items()}
            new = {state: x[new_digits] for state, x in new.items()}
            for kind in ("probe", "balanced probe"):
                balanced = kind == "balanced probe"
                result[kind][name] = {
                    state: by_place(
                        probe(fit[state], places, x, balanced), new_places, first
                    )
                    for state, x in new.items()
                }
            result["cosine"][name] = {
                state: cosines(x, new_ids[new_digits], new_places)
                for state, x in new.items()
            }
        name = "looking back" if looks_back else "both ways"
        result["exact_match"][name] = round(
            exact_match(encoders["trained"], task, task.test[:most]), 3
        )
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(5))
