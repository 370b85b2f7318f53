"""The recurrent encoder-decoder: what came before the Transformer.

One recurrent network reads the source, another writes the target. Without attention the writer starts from the
reader's last state and nothing else: one vector for the whole sentence (arXiv 1409.3215). With attention it looks
back at all of the reader's states, by an additive score (arXiv 1409.0473) or a dot product (arXiv 1508.04025).
Chapters *recurrent* and *additive*.

Shapes: B batch, S source length, T target length, D hidden size, V target vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from companion._config import check_kinds, check_sizes, check_special_ids
from companion._shapes import check_batch, check_choice, check_divisible, check_ids, check_length, check_mask
from companion.additive import AdditiveAttention
from companion.attention import attention_weights
from companion.masks import padding_mask

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
ATTENTIONS = ("none", "additive", "dot")


@dataclass(frozen=True)
class RecurrentConfig:
    """The sizes of a recurrent encoder-decoder.

    Args:
        source_vocab_size: tokens of the source language.
        target_vocab_size: tokens of the target language, V.
        hidden_size: features of a token's embedding and of a state, D.
        cell: "rnn" (tanh), "gru" or "lstm".
        attention: "none", "additive" or "dot" (scaled).
        bidirectional: the encoder reads in both directions, each with half of the features.
        max_len: the longest sequence, in tokens.
        pad_id: the id that fills short sequences.
        bos_id: the id that begins a target.
        eos_id: the id that ends a source and a target.

    Raises:
        ValueError: if the values do not make a model.
    """

    source_vocab_size: int
    target_vocab_size: int
    hidden_size: int = 64
    cell: str = "gru"
    attention: str = "none"
    bidirectional: bool = False
    max_len: int = 64
    pad_id: int = 0
    bos_id: int = 1
    eos_id: int = 2

    def __post_init__(self) -> None:
        check_kinds(self)
        check_sizes(self, "source_vocab_size", "target_vocab_size", "hidden_size", "max_len")
        check_special_ids(self)
        check_choice("cell", self.cell, tuple(CELLS))
        check_choice("attention", self.attention, ATTENTIONS)
        if self.bidirectional:
            check_divisible("hidden_size", self.hidden_size, "the number of directions", 2)


class RecurrentState:
    """The decoder's state from one token to the next; it takes the place of a Transformer's cache."""

    def __init__(self) -> None:
        self.state: Tensor | tuple[Tensor, Tensor] | None = None  # None before the first token


class RecurrentEncoderDecoder(nn.Module):
    """A recurrent encoder-decoder with the methods of `companion.Transformer`.

    So `Trainer`, `greedy_decode`, `translate` and `exact_match` take it as they take a Transformer.

    Args:
        config: the sizes.
    """

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.config = config
        size, cell = config.hidden_size, CELLS[config.cell]
        directions = 2 if config.bidirectional else 1
        self.source_embedding = nn.Embedding(config.source_vocab_size, size)
        self.target_embedding = nn.Embedding(config.target_vocab_size, size)
        self.encoder = cell(size, size // directions, batch_first=True, bidirectional=config.bidirectional)
        self.decoder = cell(size, size, batch_first=True)
        self.attention = AdditiveAttention(size, size, size) if config.attention == "additive" else None
        self.combine = nn.Linear(2 * size, size) if config.attention != "none" else None
        self.output = nn.Linear(size, config.target_vocab_size)

    def forward(self, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        """Predict every next target token: (B, S) and (B, T), beginning with bos, to logits (B, T, V)."""
        return self.decode(target_ids, self.encode(source_ids), self.source_mask(source_ids))

    def loss(self, source_ids: Tensor, target_ids: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the mean cross-entropy, in nats per real target token; shifts by itself, as `Transformer.loss`."""
        check_ids("target", target_ids, self.config.target_vocab_size)
        labels = target_ids[:, 1:]
        real = labels != self.config.pad_id
        if not real.any():
            raise ValueError("no target token to predict: target_ids must be bos, the tokens, eos, then padding")
        logits = self(source_ids, target_ids[:, :-1])[real]  # (real tokens, V)
        return F.cross_entropy(logits, labels[real], label_smoothing=label_smoothing)

    def source_mask(self, source_ids: Tensor) -> Tensor:
        """Mask the source's padding, (B, 1, 1, S)."""
        return padding_mask(source_ids, self.config.pad_id)

    def encode(self, source_ids: Tensor) -> Tensor:
        """Read the source (B, S): one state for each token, (B, S, D); zeros at the padding."""
        check_ids("source", source_ids, self.config.source_vocab_size)
        check_length(source_ids.size(1), self.config.max_len)
        lengths = (source_ids != self.config.pad_id).sum(dim=1).cpu()
        if not lengths.all():
            empty = int(lengths.argmin())
            raise ValueError(f"source_ids[{empty}] holds nothing but padding: a source has at least its eos")
        # Packing keeps the backward direction from reading the padding first.
        packed = pack_padded_sequence(
            self.source_embedding(source_ids), lengths, batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(self.encoder(packed)[0], batch_first=True, total_length=source_ids.size(1))
        return states

    def summarise(self, memory: Tensor, memory_mask: Tensor) -> Tensor:
        """Return the one vector (B, D) that the decoder starts from: the state after the whole source was read.

        Of a bidirectional encoder that is the forward half at the last token and the backward half at the first.
        """
        last = memory_mask[:, 0, 0].sum(dim=-1) - 1  # (B,)
        final = memory[torch.arange(memory.size(0), device=memory.device), last]  # (B, D)
        if not self.config.bidirectional:
            return final
        half = self.config.hidden_size // 2
        return torch.cat([final[:, :half], memory[:, 0, half:]], dim=-1)

    def make_cache(self, memory: Tensor, max_len: int) -> RecurrentState:
        """Return an empty state; the arguments are those of `Transformer.make_cache`."""
        return RecurrentState()

    def decode(
        self, target_ids: Tensor, memory: Tensor, memory_mask: Tensor, cache: RecurrentState | None = None
    ) -> Tensor:
        """Return logits (B, T, V) for the tokens that follow `target_ids` (B, T).

        Args:
            target_ids: the target from bos on, or with a cache only its new tokens.
            memory: (B, S, D) from `encode`.
            memory_mask: (B, 1, 1, S) from `source_mask`.
            cache: from `make_cache`; it is carried on.
        """
        states = self._states(target_ids, memory, memory_mask, cache)
        if self.combine is not None:
            context = self.weights(states, memory, memory_mask) @ memory  # (B, T, D)
            states = torch.tanh(self.combine(torch.cat([states, context], dim=-1)))
        return self.output(states)

    def weights(self, states: Tensor, memory: Tensor, memory_mask: Tensor) -> Tensor:
        """Say how much each decoder state (B, T, D) attends to each token of the memory: (B, T, S).

        Raises:
            ValueError: if the model has no attention.
        """
        if self.config.attention == "none":
            raise ValueError("this model has no attention: its config says attention='none'")
        mask = memory_mask[:, 0]  # (B, 1, S)
        if self.attention is not None:
            return self.attention.weights(states, memory, mask)
        return attention_weights(states, memory, mask)

    def alignment(self, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        """Return the attention weights (B, T, S) while the model reads `target_ids`, for a picture."""
        memory, mask = self.encode(source_ids), self.source_mask(source_ids)
        return self.weights(self._states(target_ids, memory, mask, None), memory, mask)

    def _states(self, target_ids: Tensor, memory: Tensor, memory_mask: Tensor, cache: RecurrentState | None) -> Tensor:
        check_ids("target", target_ids, self.config.target_vocab_size)
        check_batch("target_ids", target_ids, "the memory of the sources", memory)
        check_mask(memory_mask, (memory.size(0), 1, 1, memory.size(1)))
        check_length(target_ids.size(1), self.config.max_len)
        start = cache.state if cache is not None else None
        if start is None:
            summary = self.summarise(memory, memory_mask)[None]  # (1, B, D)
            start = (summary, summary) if self.config.cell == "lstm" else summary
        states, end = self.decoder(self.target_embedding(target_ids), start)  # (B, T, D)
        if cache is not None:
            cache.state = end
        return states
