"""Wrong Transformers, as classes: what is wrong is one method of the right one. Here: what goes in, what comes out.

Shapes: B batch, S source length, T target length, D d_model, V target vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from companion.checks import in_training
from companion.checks.engine.bank import Bank, section
from companion.checks.engine.variants import Variant
from companion.decoder import Decoder
from companion.encoder import Encoder
from companion.masks import padding_mask
from companion.positional import SinusoidalPositionalEncoding
from companion.transformer import TransformerConfig

WHOLE = section("transformer", "The whole way, step by step")
LEARNS = section("transformer", "What the decoder learns from")
LOGITS = section("transformer", "The loss, and where it ends")

EMBEDDING_BUGS = Bank(part="embed", section=WHOLE)
OUTPUT_BUGS = Bank(part="finish", section=LOGITS)


class RightTransformer(nn.Module):
    """The right model, in parts that can be replaced one by one."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.source_embedding = nn.Embedding(config.source_vocab_size, config.d_model)
        self.target_embedding = nn.Embedding(config.target_vocab_size, config.d_model)
        self.positions = SinusoidalPositionalEncoding(config.d_model, config.max_len)
        sizes = (config.d_model, config.num_heads, config.d_ff)
        self.encoder = Encoder(config.num_encoder_layers, *sizes)
        self.decoder = Decoder(config.num_decoder_layers, *sizes)
        self.output = nn.Linear(config.d_model, config.target_vocab_size, bias=False)

    def embed(self, x: Tensor) -> Tensor:
        """Turn embedded tokens into what a layer takes."""
        out: Tensor = self.positions(x * math.sqrt(self.config.d_model))
        return out

    def source(self, ids: Tensor) -> Tensor:
        return self.embed(self.source_embedding(ids))  # (B, S, D)

    def target(self, ids: Tensor) -> Tensor:
        return self.embed(self.target_embedding(ids))  # (B, T, D)

    def padding(self, ids: Tensor) -> Tensor:
        return padding_mask(ids, self.config.pad_id)  # (B, 1, 1, S)

    def encode(self, source: Tensor, padding: Tensor) -> Tensor:
        out: Tensor = self.encoder(source, padding)
        return out  # (B, S, D)

    def decode(self, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        out: Tensor = self.decoder(target, memory, None, padding)
        return out  # (B, T, D)

    def finish(self, x: Tensor) -> Tensor:
        out: Tensor = self.output(x)
        return out  # (B, T, V)

    def forward(self, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        padding = self.padding(source_ids)
        memory = self.encode(self.source(source_ids), padding)
        return self.finish(self.decode(self.target(target_ids), memory, padding))


def build_transformer(parts: Mapping[str, Callable[..., Any]]) -> Variant:
    """Return the right model with some methods replaced, as what builds it."""
    return Variant(RightTransformer, parts)


# --- embeddings and positions


@EMBEDDING_BUGS.bug("What happens to an embedding between the table and the positions?")
def embeddings_not_scaled(self: Any, x: Tensor) -> Tensor:
    """The embeddings are not multiplied by sqrt(d_model) before the positions are added."""
    return self.positions(x)


@EMBEDDING_BUGS.bug("Which power of d_model do the embeddings get?")
def embeddings_times_d_model(self: Any, x: Tensor) -> Tensor:
    """The embeddings are multiplied by d_model; it should be its root."""
    return self.positions(x * self.config.d_model)


@EMBEDDING_BUGS.bug("Do the embeddings become larger or smaller before the positions are added?")
def embeddings_divided(self: Any, x: Tensor) -> Tensor:
    """The embeddings are divided by sqrt(d_model); they should be multiplied by it."""
    return self.positions(x / math.sqrt(self.config.d_model))


@EMBEDDING_BUGS.bug("Is it + or * that stands between an embedding and sqrt(d_model)?")
def root_of_d_model_added(self: Any, x: Tensor) -> Tensor:
    """sqrt(d_model) is added to the embeddings; they should be multiplied by it."""
    return self.positions(x + math.sqrt(self.config.d_model))


@EMBEDDING_BUGS.bug("In which order do scale and positions come?")
def positions_scaled_too(self: Any, x: Tensor) -> Tensor:
    """The positions are multiplied by sqrt(d_model) as well: scale first, then add them."""
    return self.positions(x) * math.sqrt(self.config.d_model)


@EMBEDDING_BUGS.bug("Put the source into another order: do the logits change?")
def positions_missing(self: Any, x: Tensor) -> Tensor:
    """The positions are missing on both sides: the model sees its source as a bag of tokens."""
    return x * math.sqrt(self.config.d_model)


@EMBEDDING_BUGS.bug("Which dimension of your embeddings is the length?")
def positions_along_the_batch(self: Any, x: Tensor) -> Tensor:
    """The positions run along the batch: every token of a sentence gets the same one."""
    return RightTransformer.embed(self, x.transpose(0, 1)).transpose(0, 1)


@EMBEDDING_BUGS.bug("Where does your code add positions, and where do the parts that it calls?")
def positions_added_twice(self: Any, x: Tensor) -> Tensor:
    """The positions are added twice."""
    return self.positions(RightTransformer.embed(self, x))


@EMBEDDING_BUGS.bug("Put the source into another order: do the logits change?", part="source")
def source_positions_missing(self: Any, ids: Tensor) -> Tensor:
    """The source has no positions; the target has them."""
    return self.source_embedding(ids) * math.sqrt(self.config.d_model)


@EMBEDDING_BUGS.bug("Do both sides go through the same steps?", part="source")
def source_not_scaled(self: Any, ids: Tensor) -> Tensor:
    """The source's embeddings are not multiplied by sqrt(d_model); the target's are."""
    return self.positions(self.source_embedding(ids))


@EMBEDDING_BUGS.bug("Which of the two tables knows the source's tokens?", part="source")
def source_in_the_targets_embedding(self: Any, ids: Tensor) -> Tensor:
    """The source is looked up in the target's embedding."""
    return self.embed(self.target_embedding(ids))


@EMBEDDING_BUGS.bug("How does the decoder know which of two tokens came first?", part="target")
def target_positions_missing(self: Any, ids: Tensor) -> Tensor:
    """The target has no positions; the source has them."""
    return self.target_embedding(ids) * math.sqrt(self.config.d_model)


@EMBEDDING_BUGS.bug("Do both sides go through the same steps?", part="target")
def target_not_scaled(self: Any, ids: Tensor) -> Tensor:
    """The target's embeddings are not multiplied by sqrt(d_model); the source's are."""
    return self.positions(self.target_embedding(ids))


@EMBEDDING_BUGS.bug("Which of the two tables knows the target's tokens?", part="target")
def target_in_the_sources_embedding(self: Any, ids: Tensor) -> Tensor:
    """The target is looked up in the source's embedding."""
    return self.embed(self.source_embedding(ids))


# --- what comes out


@OUTPUT_BUGS.bug("Do the numbers of one position sum to 1? Should they?", derived=in_training.FLOOR)
def softmax_on_the_logits(self: Any, x: Tensor) -> Tensor:
    """Your model returns probabilities, softmax of the logits. The loss takes the logits: it does the softmax
    itself.
    """
    return self.output(x).softmax(dim=-1)


@OUTPUT_BUGS.bug(
    "What stands behind your last linear layer?",
    derived="Derived: not at all under cross-entropy; the log_softmax of log-probabilities is themselves.",
)
def log_softmax_on_the_logits(self: Any, x: Tensor) -> Tensor:
    """Your model returns log-probabilities, log_softmax of the logits. A cross-entropy would be the same, but logits
    are expected here.
    """
    return self.output(x).log_softmax(dim=-1)


@OUTPUT_BUGS.bug("What does config.tie_embeddings say?", section=WHOLE)
def output_tied_to_the_embedding(self: Any, x: Tensor) -> Tensor:
    """Your output layer is not used: the logits are computed with the target's embedding, which this config does not
    tie to it.
    """
    return F.linear(x, self.target_embedding.weight)


@OUTPUT_BUGS.bug(
    "How many numbers should each position have: d_model, or one for each token of the vocabulary?", section=WHOLE
)
def output_layer_missing(self: Any, x: Tensor) -> Tensor:
    """There is no output layer: your model returns the decoder's vectors."""
    return x


@OUTPUT_BUGS.bug("How many predictions does one sentence give?", section=LEARNS)
def only_the_last_position(self: Any, x: Tensor) -> Tensor:
    """Your model returns only the logits of the last position; while it learns, each position is asked."""
    return self.output(x[:, -1:])


@OUTPUT_BUGS.bug("Who takes off the end token: the caller or the model?", section=LEARNS, part="target")
def target_shifted_again(self: Any, ids: Tensor) -> Tensor:
    """Your model leaves out the last target token. The caller shifts, so that the logits at position t are for the
    token that follows target token t.
    """
    return self.embed(self.target_embedding(ids[:, :-1]))
