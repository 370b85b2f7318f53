"""Do the heads of a trained layer look at different things, and is each needed?

Run ``python book/experiments/heads.py``. It goes on where it was stopped.
"""

from itertools import combinations

import torch
from torch import Tensor

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
    "How often do two heads of the decoder's last cross-attention look most at "
    "different words, and how far apart are their weights: in a trained model, "
    "in the same model before training, and by chance? And what share of new "
    "numbers does the trained model translate without some of these heads?"
)
LAYER = "decoder.layers.1.cross_attention"


def cross_attention(model: Transformer, task: NumberWords, pair: tuple) -> Tensor:
    """Return the weights (heads, written, read) while `pair` is written."""
    source, target = (
        tokenizer.encode(text)
        for tokenizer, text in zip(
            (task.source_tokenizer, task.target_tokenizer), pair, strict=True
        )
    )
    given = [model.config.bos_id, *target[:-1]]
    with torch.no_grad(), record_attention(model) as maps:
        model(torch.tensor([source]), torch.tensor([given]))
    return maps[LAYER][0]


def apart(first: Tensor, second: Tensor) -> Tensor:
    """Return the share of the weight that lies elsewhere, 0 to 1, by place."""
    return (first - second).abs().sum(dim=-1) / 2


def compare(model: Transformer, task: NumberWords) -> dict:
    """Compare every two heads at every place where something is written.

    By chance: as if each head looked most at a word drawn at random; and, for
    the distance, with the second head's weights shuffled among the words, so
    that each head stays as sharp as it is and has lost only where it looks.
    """
    generator = torch.Generator().manual_seed(0)
    found: dict[str, list] = {}

    def note(name: str, values: Tensor) -> None:
        found.setdefault(name, []).append(values.float())

    for pair in task.test:
        weights = cross_attention(model, task, pair)
        words, most = weights.size(-1), weights.argmax(dim=-1)
        note("not all alike", (most != most[0]).any(dim=0))
        note("sharpness", weights.amax(dim=-1).flatten())
        for first, second in combinations(range(len(weights)), 2):
            order = torch.randperm(words, generator=generator)
            differ = most[first] != most[second]
            note("different word", differ)
            note("by chance", torch.full(differ.shape, 1 - 1 / words))
            note("distance", apart(weights[first], weights[second]))
            shuffled = weights[second][:, order]
            note("distance, shuffled", apart(weights[first], shuffled))
    return {
        name: round(torch.cat(values).mean().item(), 3)
        for name, values in found.items()
    }


def without_heads(model: Transformer, task: NumberWords) -> dict[str, float]:
    """Take heads out, without training again; translate the test numbers."""
    layer = model.get_submodule(LAYER)
    columns, right = layer.out_proj.weight, {}
    whole = columns.detach().clone()
    for size in range(layer.num_heads + 1):
        for heads in combinations(range(layer.num_heads), size):
            with torch.no_grad():
                for head in heads:
                    own = head * layer.head_dim
                    columns[:, own : own + layer.head_dim] = 0
                name = " ".join(str(head + 1) for head in heads) or "none"
                right[name] = exact_match(model, task, task.test)
                columns.copy_(whole)
    return right


def run(seed: int, steps: int = 300, max_digits: int = 3) -> dict:
    """Train one model; compare its heads before and after, and remove some."""
    task = NumberWords(max_digits=max_digits)
    vocabularies = len(task.source_tokenizer), len(task.target_tokenizer)
    torch.manual_seed(seed)
    model = Transformer(TransformerConfig.tiny(*vocabularies))
    heads = {"not trained": compare(model, task)}
    config = TrainingConfig(steps=steps, batch_size=32, seed=seed)
    trainer = Trainer(model, task, config)
    trainer.run(progress=False)
    model = trainer.averaged_model()
    heads["trained"] = compare(model, task)
    return {"heads": heads, "right without": without_heads(model, task)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(8))
