"""What does each wrong mask do to training, and what to the translations?

Run ``python book/experiments/wrong_masks.py``. It goes on where it was stopped.
"""

import torch
from torch import nn

from companion import (
    NumberWords,
    Trainer,
    TrainingConfig,
    Transformer,
    TransformerConfig,
    causal_mask,
    greedy_decode,
)
from companion import scaled_dot_product_attention as attend
from companion.data import length_bucketed_batches
from companion.results import store_runs

QUESTION = (
    "A small Transformer learns to translate numbers in words with one mask "
    "wrong: how does its loss fall, and what share of new numbers does it "
    "translate without a mistake? And the right one, if its encoder gets a "
    "look-ahead mask after training?"
)


def no_look_ahead_mask(query, key, value, mask):
    """Let every target token see all the others."""
    return attend(query, key, value, mask)


def one_step_ahead(query, key, value, mask):
    """Let a token see the next one, too: tril(+1) where tril(0) is meant."""
    query_len, key_len = query.size(-2), key.size(-2)
    may = torch.ones(query_len, key_len, dtype=torch.bool)
    return attend(query, key, value, may.tril(key_len - query_len + 1))


def filled_with_zero(query, key, value, mask):
    """Set the forbidden scores to 0, which is not nothing: e^0 = 1."""
    may = causal_mask(query.size(-2), key.size(-2))
    scores = query @ key.transpose(-2, -1) * query.size(-1) ** -0.5
    return scores.masked_fill(~may, 0.0).softmax(dim=-1) @ value


def masked_after_softmax(query, key, value, mask):
    """Set the forbidden weights to 0, and leave the others as they are."""
    may = causal_mask(query.size(-2), key.size(-2))
    scores = query @ key.transpose(-2, -1) * query.size(-1) ** -0.5
    return scores.softmax(dim=-1).masked_fill(~may, 0.0) @ value


def look_ahead_mask(query, key, value, mask):
    """Apply the mask, and a look-ahead mask: wrong only where none belongs."""
    return attend(query, key, value, mask, causal=True)


class Spoiled(nn.Module):
    """Stands where a layer computes its attention, and masks in its own way."""

    def __init__(self, way):
        super().__init__()
        self.way = way

    def forward(self, query, key, value, mask=None, causal=False):
        """Attend; the decoder asks for `causal`, and does not get it."""
        return self.way(query, key, value, mask)


IN_THE_DECODER = {
    "no look-ahead mask": no_look_ahead_mask,
    "one step ahead": one_step_ahead,
    "filled with 0": filled_with_zero,
    "masked after softmax": masked_after_softmax,
}
ARMS = (
    "right",
    *IN_THE_DECODER,
    "look-ahead in encoder",
    "source padding forgotten",
)


def build(arm: str, task: NumberWords, seed: int) -> Transformer:
    """Build the small Transformer and spoil one mask of it."""
    torch.manual_seed(seed)
    vocabularies = len(task.source_tokenizer), len(task.target_tokenizer)
    model = Transformer(TransformerConfig.tiny(*vocabularies))
    if arm in IN_THE_DECODER:
        for layer in model.decoder.layers:
            layer.self_attention.attention = Spoiled(IN_THE_DECODER[arm])
    elif arm == "look-ahead in encoder":
        blinker(model)
    elif arm == "source padding forgotten":
        model.source_mask = lambda source_ids: None
    elif arm != "right":
        raise ValueError(f"there is no arm {arm!r}; there are: {', '.join(ARMS)}")
    return model


def blinker(model: Transformer) -> None:
    """Let no source token see what comes after it."""
    for layer in model.encoder.layers:
        layer.self_attention.attention = Spoiled(look_ahead_mask)


def held_out_loss(model: Transformer, task: NumberWords, pairs: list) -> float:
    """Return the loss with the right target given, in nats a token.

    The batches are made as in training: of pairs of about one length.
    """
    bos = model.config.bos_id
    encoded = [
        (
            task.source_tokenizer.encode(source),
            [bos, *task.target_tokenizer.encode(target)],
        )
        for source, target in pairs
    ]
    total = tokens = 0
    for batch in length_bucketed_batches(encoded, 64, model.config.pad_id, 0):
        real = (batch.target_ids[:, 1:] != model.config.pad_id).sum().item()
        with torch.no_grad():
            loss = model.loss(batch.source_ids, batch.target_ids).item()
        total, tokens = total + loss * real, tokens + real
    return total / tokens


def match(
    model: Transformer, task: NumberWords, pairs: list, extra: int
) -> float:
    """Return the share translated without a mistake.

    Each source stands beside others of its length, with `extra` filling.
    """
    pad, right = model.config.pad_id, 0
    by_length: dict[int, list] = {}
    for source, target in pairs:
        ids = task.source_tokenizer.encode(source)
        by_length.setdefault(len(ids), []).append((ids + [pad] * extra, target))
    for group in by_length.values():
        source_ids = torch.tensor([ids for ids, _ in group])
        written = greedy_decode(model, source_ids, max_len=32)
        for ids, (_, target) in zip(written.tolist(), group, strict=True):
            ours = task.target_tokenizer.decode(ids)
            right += ours == task.target_tokenizer.normalise(target)
    return round(right / len(pairs), 4)


def train(arm: str, task: NumberWords, seed: int, steps: int) -> tuple:
    """Return the trained model and its losses, each the mean of ten steps."""
    model = build(arm, task, seed)
    config = TrainingConfig(steps=steps, seed=seed, label_smoothing=0.0)
    trainer = Trainer(model, task, config)
    losses = torch.tensor(trainer.run(progress=False)).view(-1, 10).mean(dim=1)
    return trainer.averaged_model(), [round(loss, 4) for loss in losses.tolist()]


def run(seed: int, steps: int = 300, arms: tuple = ARMS, most: int = 300) -> dict:
    """Train every arm from the same weights, on the same batches."""
    task = NumberWords(max_digits=4)
    result = {"steps": steps, "test": min(most, len(task.test)), "arms": {}}
    for arm in arms:
        model, losses = train(arm, task, seed, steps)
        result["arms"][arm] = {
            "losses": losses,
            "validation_loss": round(
                held_out_loss(model, task, task.validation[:most]), 4
            ),
            "exact_match": match(model, task, task.test[:most], extra=0),
            "exact_match_padded": match(model, task, task.test[:most], extra=40),
        }
        if arm == "right":
            blinker(model)
            share = match(model, task, task.test[:most], extra=0)
            result["look_ahead_put_on_after_training"] = share
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(5))
