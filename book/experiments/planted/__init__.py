"""A small model with the code of a check in it, right or wrong, to be trained."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion import (
    NumberWords,
    RecurrentConfig,
    RecurrentEncoderDecoder,
    Transformer,
    TransformerConfig,
)

from .places import PLACES, grow

__all__ = ["CHECKED", "Host", "plant"]

CHECKED = (*PLACES, "transformer", "loss", "schedule")


class Host(nn.Module):
    """A model as the trainer takes it; whatever is in it computes the logits."""

    def __init__(self, model: nn.Module, config, criterion=None) -> None:
        super().__init__()
        self.model, self.config, self.criterion = model, config, criterion

    def forward(self, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        """Map (B, S) and (B, T) token ids to logits (B, T, V)."""
        return self.model(source_ids, target_ids)

    def loss(self, source_ids, target_ids, label_smoothing=0.0) -> Tensor:
        """Return the loss that is trained on, which may be wrong as well."""
        logits, labels = self(source_ids, target_ids[:, :-1]), target_ids[:, 1:]
        if self.criterion is not None and self.training:
            return self.criterion(logits, labels, self.config.pad_id)
        real = labels != self.config.pad_id
        return F.cross_entropy(logits[real], labels[real])


def plant(name: str, handed_in: Callable, task: NumberWords, seed: int) -> Host:
    """Build a model with something where a check's code belongs.

    Args:
        name: of the check; what `implementation` is follows from it.
        handed_in: a function or a class, right or wrong.
        task: decides the vocabularies.
        seed: of the initial weights.
    """
    vocabularies = len(task.source_tokenizer), len(task.target_tokenizer)
    torch.manual_seed(seed)
    if name in ("additive_attention", "rnn_cell", "gru_cell"):
        config = RecurrentConfig(
            *vocabularies,
            hidden_size=128,
            cell="rnn" if name == "rnn_cell" else "gru",
            attention="additive",
            bidirectional=True,
        )
        model = RecurrentEncoderDecoder(config)
    else:
        config = TransformerConfig.tiny(
            *vocabularies, max_len=40, tie_embeddings=False
        )
        model = Transformer(config)
    if name == "transformer":
        model = grow(handed_in, (config,), model)
    elif name in PLACES:
        PLACES[name](model, handed_in)
    return Host(model, config, handed_in if name == "loss" else None)
