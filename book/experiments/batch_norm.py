"""What becomes of a decoder whose norms are batch norms?

Run ``python book/experiments/batch_norm.py``. It goes on where it was stopped.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion import (
    AddNorm,
    EncoderLayer,
    NumberWords,
    Trainer,
    TrainingConfig,
    Transformer,
    TransformerConfig,
    causal_mask,
    exact_match,
    pad_batch,
)
from companion.results import store_runs

QUESTION = (
    "A causal model predicts random digits, of which the past says nothing: "
    "does its loss fall below ln 10 with layer norm or with batch norm, with "
    "the statistics of the batch and with running averages? And a small "
    "Transformer learns to translate numbers with batch norm in the encoder or "
    "in the decoder: what are its losses, with the right future and with a "
    "wrong one, and what share of new numbers does it translate?"
)
LENGTH = 12  # random digits in a sequence
STEPS = {1: 1000, 4: 600, 32: 300}  # translations: updates for each batch size


class BatchNorm(nn.Module):
    """Batch norm for (B, L, D): each feature over all tokens of the batch."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, L, D)."""
        return self.norm(x.flatten(0, 1)).view(x.shape)


def use_batch_norm(module: nn.Module) -> None:
    """Put a batch norm where each layer norm stands."""
    for part in module.modules():
        if isinstance(part, AddNorm):
            part.norm = BatchNorm(part.norm.weight.numel())


def with_batch_statistics(model: nn.Module) -> nn.Module:
    """Return a copy in training mode, which leaves its running averages alone."""
    model = copy.deepcopy(model).train()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d):
            part.momentum = 0.0
    return model


class DigitModel(nn.Module):
    """Two causal layers that predict each digit from those before it."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, width)  # ten digits and a beginning
        self.positions = nn.Embedding(LENGTH, width)
        self.layers = nn.ModuleList(EncoderLayer(width, 4, 64) for _ in range(2))
        self.output = nn.Linear(width, 10)

    def forward(self, digits: Tensor) -> Tensor:
        """Return logits (B, L, 10) for `digits` (B, L)."""
        given = F.pad(digits[:, :-1], (1, 0), value=10)
        x = self.embedding(given) + self.positions.weight
        for layer in self.layers:
            x = layer(x, causal_mask(LENGTH))
        return self.output(x)

    def loss(self, digits: Tensor) -> Tensor:
        """Return the mean cross-entropy of all digits, in nats."""
        return F.cross_entropy(self(digits).flatten(0, 1), digits.flatten())


def guess_digits(norm: str, seed: int, batch: int, steps: int) -> dict:
    """Train on random digits; return the losses on digits never seen."""
    torch.manual_seed(seed)
    model = DigitModel()
    if norm == "batch norm":
        use_batch_norm(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        loss = model.loss(torch.randint(10, (batch, LENGTH)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    drawn = torch.randint(10, (500, batch, LENGTH))
    found = {}
    for mode, ready in (
        ("training mode", with_batch_statistics(model)),
        ("inference mode", model.eval()),
    ):
        with torch.no_grad():
            losses = [ready.loss(digits).item() for digits in drawn]
        found[mode] = round(sum(losses) / len(losses), 3)
    return found


def losses_of(
    model: Transformer, task: NumberWords, pairs: list, batch: int
) -> dict[str, float]:
    """Return the loss with the right target given, and with a wrong future.

    With a wrong future, each token is predicted in targets that are right up to
    there and go on as others do: a causal model cannot tell. The batches are of
    the size of training, and of targets of about the same length.
    """
    pad, bos = model.config.pad_id, model.config.bos_id
    encoded = [
        (
            task.target_tokenizer.encode(target),
            task.source_tokenizer.encode(source),
        )
        for source, target in pairs
    ]
    encoded.sort(key=lambda pair: len(pair[0]))
    found: dict[str, list] = {"right future": [], "wrong future": []}
    for start in range(0, len(encoded), batch):
        some = encoded[start : start + batch]
        source_ids = pad_batch([source for _, source in some], pad)
        labels = pad_batch([target for target, _ in some], pad)
        given = pad_batch([[bos, *target[:-1]] for target, _ in some], pad)
        wrong = given.clone()
        for row, (target, _) in enumerate(some):
            other = encoded[start + row - 1][0][:-1] * len(target)
            wrong[row, : len(target)] = torch.tensor([bos, *other])[: len(target)]
        real = labels != pad
        with torch.no_grad():
            right = model(source_ids, given)[real]
            loss = F.cross_entropy(right, labels[real], reduction="none")
            found["right future"] += loss.tolist()
            for t in range(labels.size(1)):
                mixed = torch.cat([given[:, : t + 1], wrong[:, t + 1 :]], dim=1)
                here = model(source_ids, mixed)[:, t][real[:, t]]
                loss = F.cross_entropy(
                    here, labels[:, t][real[:, t]], reduction="none"
                )
                found["wrong future"] += loss.tolist()
    return {name: round(sum(each) / len(each), 3) for name, each in found.items()}


def translate_numbers(where: str, seed: int, batch: int, steps: int) -> dict:
    """Train with batch norm in one part; return losses and translations."""
    task = NumberWords(max_digits=3)
    torch.manual_seed(seed)
    sizes = len(task.source_tokenizer), len(task.target_tokenizer)
    model = Transformer(TransformerConfig.tiny(*sizes))
    if where != "nowhere":
        use_batch_norm(getattr(model, where))
    config = TrainingConfig(
        steps=steps, batch_size=batch, seed=seed, label_smoothing=0.0
    )
    trainer = Trainer(model, task, config)
    losses = trainer.run(progress=False)
    pairs = task.validation[:64]
    return {
        "training loss": round(sum(losses[-50:]) / 50, 3),
        "training mode": losses_of(
            with_batch_statistics(model), task, pairs, batch
        ),
        "inference mode": losses_of(model.eval(), task, pairs, batch),
        "exact_match": exact_match(model, task, task.test),
    }


def run(seed: int, steps: dict | None = None, digit_steps: int = 1000) -> dict:
    """Train both tasks with every norm and batch size."""
    steps = steps or STEPS
    return {
        "digits": {
            norm: {
                str(batch): guess_digits(norm, seed, batch, digit_steps)
                for batch in (1, 4)
            }
            for norm in ("layer norm", "batch norm")
        },
        "translation": {
            where: {
                str(batch): translate_numbers(where, seed, batch, number)
                for batch, number in steps.items()
            }
            for where in ("nowhere", "encoder", "decoder")
        },
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(5))
