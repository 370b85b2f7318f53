"""The Transformer of "Attention Is All You Need", readable, tested, and taught by the course it belongs to."""

from __future__ import annotations

import importlib
import typing

from companion.add_norm import AddNorm, LayerNorm
from companion.additive import AdditiveAttention
from companion.attention import (
    ScaledDotProductAttention,
    attention_weights,
    masked_softmax,
    scaled_dot_product_attention,
)
from companion.checkpoints import Checkpoint, CheckpointError, has_checkpoint, load_checkpoint, save_checkpoint
from companion.data import (
    Batch,
    NumberWords,
    Pairs,
    Tokenizer,
    TranslationTask,
    length_bucketed_batches,
    pad_batch,
    read_pairs,
)
from companion.decoder import Decoder, DecoderLayer
from companion.device import default_device
from companion.encoder import Encoder, EncoderLayer
from companion.feed_forward import FeedForward
from companion.generation import exact_match, greedy_decode, translate
from companion.implementation import use_implementation
from companion.influence import influence
from companion.masks import causal_mask, combine_masks, padding_mask
from companion.multi_head import KVCache, MultiHeadAttention, merge_heads, split_heads
from companion.positional import (
    LearnedPositionalEmbedding,
    RotaryPositionalEmbedding,
    SinusoidalPositionalEncoding,
    sinusoidal_encoding,
)
from companion.recording import record_attention
from companion.recurrent import RecurrentConfig, RecurrentEncoderDecoder
from companion.training import Trainer, TrainingConfig, inverse_sqrt_rate
from companion.transformer import Transformer, TransformerConfig

if typing.TYPE_CHECKING:
    from companion import checks as check
    from companion import viz

__version__ = "0.1.0"

__all__ = [
    "AddNorm",
    "AdditiveAttention",
    "Batch",
    "Checkpoint",
    "CheckpointError",
    "Decoder",
    "DecoderLayer",
    "Encoder",
    "EncoderLayer",
    "FeedForward",
    "KVCache",
    "LayerNorm",
    "LearnedPositionalEmbedding",
    "MultiHeadAttention",
    "NumberWords",
    "Pairs",
    "RecurrentConfig",
    "RecurrentEncoderDecoder",
    "RotaryPositionalEmbedding",
    "ScaledDotProductAttention",
    "SinusoidalPositionalEncoding",
    "Tokenizer",
    "Trainer",
    "TrainingConfig",
    "Transformer",
    "TransformerConfig",
    "TranslationTask",
    "attention_weights",
    "causal_mask",
    "check",
    "combine_masks",
    "default_device",
    "exact_match",
    "greedy_decode",
    "has_checkpoint",
    "influence",
    "inverse_sqrt_rate",
    "length_bucketed_batches",
    "load_checkpoint",
    "masked_softmax",
    "merge_heads",
    "pad_batch",
    "padding_mask",
    "read_pairs",
    "record_attention",
    "save_checkpoint",
    "scaled_dot_product_attention",
    "sinusoidal_encoding",
    "split_heads",
    "translate",
    "use_implementation",
    "viz",
]

# What takes no part in a model is loaded when it is first asked for.
_ON_USE = {"check": "companion.checks", "checks": "companion.checks", "viz": "companion.viz"}

if not typing.TYPE_CHECKING:  # a type checker would believe that every name can be asked for

    def __getattr__(name: str) -> object:
        if name not in _ON_USE:
            raise AttributeError(f"module 'companion' has no attribute {name!r}")
        module = globals()[name] = importlib.import_module(_ON_USE[name])
        return module


def __dir__() -> list[str]:
    return sorted(globals().keys() | set(__all__))
