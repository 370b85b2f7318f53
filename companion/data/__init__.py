"""Text in and batches out: tokenizers, the running example, files of pairs, padded batches."""

from companion.data.batches import Batch, length_bucketed_batches, pad_batch
from companion.data.number_words import NumberWords
from companion.data.pairs import Pairs, TranslationTask, read_pairs
from companion.data.tokenizer import Tokenizer

__all__ = [
    "Batch",
    "NumberWords",
    "Pairs",
    "Tokenizer",
    "TranslationTask",
    "length_bucketed_batches",
    "pad_batch",
    "read_pairs",
]
