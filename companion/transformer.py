"""The whole Transformer: embeddings and positions, encoder, decoder, and a distribution over the next token.

"Attention Is All You Need" (arXiv 1706.03762), sections 3.1 and 3.4. Chapter *transformer* trains one.

Shapes: B batch, S source length, T target length, D d_model, V target vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from companion._config import check_kinds, check_sizes, check_special_ids
from companion._shapes import IMPLEMENTATIONS, check_batch, check_choice, check_divisible, check_even, check_ids
from companion.decoder import Decoder, LayerCache
from companion.encoder import Encoder
from companion.implementation import use_implementation
from companion.masks import padding_mask
from companion.positional import SinusoidalPositionalEncoding


@dataclass(frozen=True)
class TransformerConfig:
    """The sizes of a Transformer. The defaults are the paper's base model (its table 3).

    Args:
        source_vocab_size: tokens of the source language.
        target_vocab_size: tokens of the target language, V.
        d_model: features of a token, D.
        num_heads: attention heads, which share D equally.
        d_ff: features inside the feed-forward networks.
        num_encoder_layers: layers of the encoder.
        num_decoder_layers: layers of the decoder.
        max_len: the longest sequence, in tokens.
        dropout: share dropped of each sublayer's output and of the embeddings, while training.
        norm_first: pre-norm instead of the paper's post-norm.
        pad_id: the id that fills short sequences.
        bos_id: the id that begins a target.
        eos_id: the id that ends a source and a target.
        tie_embeddings: the output projection uses the target embedding's weights (section 3.4).
        share_embeddings: source and target use one embedding, as in the paper, whose vocabulary is joint.
        implementation: "fused" or "reference", as in `companion.scaled_dot_product_attention`.

    Raises:
        ValueError: if the values do not make a model.
    """

    source_vocab_size: int
    target_vocab_size: int
    d_model: int = 512
    num_heads: int = 8
    d_ff: int = 2048
    num_encoder_layers: int = 6
    num_decoder_layers: int = 6
    max_len: int = 512
    dropout: float = 0.1
    norm_first: bool = False
    pad_id: int = 0
    bos_id: int = 1
    eos_id: int = 2
    tie_embeddings: bool = True
    share_embeddings: bool = False
    implementation: str = "fused"

    def __post_init__(self) -> None:
        check_kinds(self)
        check_sizes(self, "source_vocab_size", "target_vocab_size", "d_model", "num_heads", "d_ff")
        check_sizes(self, "num_encoder_layers", "num_decoder_layers", "max_len")
        check_special_ids(self)
        check_choice("implementation", self.implementation, IMPLEMENTATIONS)
        check_divisible("d_model", self.d_model, "num_heads", self.num_heads)
        check_even("d_model", self.d_model)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and less than 1, got {self.dropout!r}")
        if self.share_embeddings and self.source_vocab_size != self.target_vocab_size:
            raise ValueError(
                "share_embeddings needs one joint vocabulary, got "
                f"source_vocab_size {self.source_vocab_size} and target_vocab_size {self.target_vocab_size}"
            )

    @classmethod
    def tiny(cls, source_vocab_size: int, target_vocab_size: int, **changes: Any) -> TransformerConfig:
        """Return the course's running example: learns numbers in words in under a minute on two cores."""
        sizes = {"d_model": 64, "num_heads": 4, "d_ff": 256, "num_encoder_layers": 2, "num_decoder_layers": 2}
        return cls(source_vocab_size, target_vocab_size, **{**sizes, "max_len": 64, "dropout": 0.0, **changes})

    @classmethod
    def base(cls, vocab_size: int = 37_000, **changes: Any) -> TransformerConfig:
        """Return the paper's base model, with its joint vocabulary of about 37,000 (table 3)."""
        return cls(vocab_size, vocab_size, **{"share_embeddings": True, **changes})

    @classmethod
    def big(cls, vocab_size: int = 37_000, **changes: Any) -> TransformerConfig:
        """Return the paper's big model (table 3)."""
        return cls.base(vocab_size, **{"d_model": 1024, "num_heads": 16, "d_ff": 4096, "dropout": 0.3, **changes})


class Transformer(nn.Module):
    """The encoder-decoder Transformer, from token ids to logits.

    Initialisation: every projection is Xavier uniform with zero bias; embeddings are normal with standard deviation
    D^-0.5, so that times √D they have about the scale of the positions; layer norms start at gain 1 and shift 0.

    Args:
        config: the sizes.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.target_embedding = nn.Embedding(config.target_vocab_size, config.d_model)
        self.source_embedding = (
            self.target_embedding if config.share_embeddings else nn.Embedding(config.source_vocab_size, config.d_model)
        )
        self.positions = SinusoidalPositionalEncoding(config.d_model, config.max_len)
        self.dropout = nn.Dropout(config.dropout)
        sizes = (config.d_model, config.num_heads, config.d_ff)
        self.encoder = Encoder(config.num_encoder_layers, *sizes, dropout=config.dropout, norm_first=config.norm_first)
        self.decoder = Decoder(config.num_decoder_layers, *sizes, dropout=config.dropout, norm_first=config.norm_first)
        self.output = nn.Linear(config.d_model, config.target_vocab_size, bias=False)
        use_implementation(self, config.implementation)
        self.apply(self._initialise)
        if config.tie_embeddings:
            self.output.weight = self.target_embedding.weight

    @staticmethod
    def _initialise(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)

    def forward(self, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        """Predict every next target token at once (teacher forcing).

        The caller shifts: `target_ids` begins with bos and leaves out eos, and the logits at position t are for the
        token that follows target_ids[:, t]. Short sequences are padded with pad_id on the right.

        Args:
            source_ids: (B, S) integers.
            target_ids: (B, T) integers, beginning with bos.

        Returns:
            (B, T, V) logits.

        Raises:
            ValueError: if the batches differ, or (on the CPU, where looking costs nothing) an id is in no vocabulary.
        """
        return self.output(self._hidden(source_ids, target_ids))

    def loss(self, source_ids: Tensor, target_ids: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the mean cross-entropy, in nats per real target token.

        Shifts by itself: `target_ids` is bos, the tokens, eos, then padding. Logits are computed only where there is
        a real token to predict, which saves the largest matrix product at the padding.

        Args:
            source_ids: (B, S) integers.
            target_ids: (B, T) integers.
            label_smoothing: probability mass spread evenly over the vocabulary (arXiv 1512.00567).

        Returns:
            a scalar.

        Raises:
            ValueError: if there is no token to predict, or as in `forward`.
        """
        check_ids("target", target_ids, self.config.target_vocab_size)  # the last ones are labels and nothing else
        labels = target_ids[:, 1:]
        real = labels != self.config.pad_id
        if not real.any():
            raise ValueError("no target token to predict: target_ids must be bos, the tokens, eos, then padding")
        logits = self.output(self._hidden(source_ids, target_ids[:, :-1])[real])  # (real tokens, V)
        return F.cross_entropy(logits, labels[real], label_smoothing=label_smoothing)

    def encode(self, source_ids: Tensor) -> Tensor:
        """Encode the source (B, S) into the memory (B, S, D) that the decoder looks at."""
        check_ids("source", source_ids, self.config.source_vocab_size)
        x = self._embed(self.source_embedding, source_ids, 0)
        return self.encoder(x, self.source_mask(source_ids))

    def source_mask(self, source_ids: Tensor) -> Tensor:
        """Mask the source's padding, (B, 1, 1, S): the mask for `encode` and the memory mask for `decode`."""
        return padding_mask(source_ids, self.config.pad_id)

    def decode(
        self, target_ids: Tensor, memory: Tensor, memory_mask: Tensor | None, cache: list[LayerCache] | None = None
    ) -> Tensor:
        """Return logits (B, T, V) for the tokens that follow `target_ids` (B, T).

        Args:
            target_ids: the target from bos on, or with a cache only the tokens it has not seen yet.
            memory: (B, S, D) from `encode`.
            memory_mask: (B, 1, 1, S) from `source_mask`.
            cache: from `make_cache`; it grows by T.
        """
        return self.output(self._decode(target_ids, memory, memory_mask, cache))

    def make_cache(self, memory: Tensor, max_len: int) -> list[LayerCache]:
        """Allocate a cache to decode up to `max_len` target tokens for a `memory` (B, S, D)."""
        # The projections decide the dtype, which under autocast is not the memory's; one of no tokens tells it.
        project = self.get_submodule("decoder.layers.0.cross_attention.k_proj")
        dtype = project(memory[:, :0]).dtype
        return self.decoder.make_cache(memory.size(0), max_len, memory.size(1), device=memory.device, dtype=dtype)

    def _hidden(self, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        return self._decode(target_ids, self.encode(source_ids), self.source_mask(source_ids))  # (B, T, D)

    def _decode(
        self, target_ids: Tensor, memory: Tensor, memory_mask: Tensor | None, cache: list[LayerCache] | None = None
    ) -> Tensor:
        check_ids("target", target_ids, self.config.target_vocab_size)
        check_batch("target_ids", target_ids, "the memory of the sources", memory)
        start = 0 if cache is None else cache[0].self_attention.length
        x = self._embed(self.target_embedding, target_ids, start)
        # The target's padding is on the right, where the causal mask already hides it from every real token.
        return self.decoder(x, memory, None, memory_mask, cache)  # (B, T, D)

    def _embed(self, embedding: nn.Embedding, token_ids: Tensor, start: int) -> Tensor:
        x = embedding(token_ids) * math.sqrt(self.config.d_model)  # (B, L, D)
        return self.dropout(self.positions(x, start))
