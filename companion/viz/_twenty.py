"""The twenty steps from ids to probabilities: what each is called, what it does, where its code is, how it computes."""

from __future__ import annotations

from typing import NamedTuple

from companion.viz import _sheets as sheets
from companion.viz._sheets import Sheet


class Step(NamedTuple):
    """One of the twenty."""

    label: str  # in the drawing
    name: str
    says: str
    code: tuple[str, ...]  # dotted names below companion, as in the book's list of names
    sheets: tuple[Sheet, ...]


SPLIT = "Their {D} features are then cut into {H} heads of {E}."
NORM = "Each token's features are brought to mean 0 and variance 1, then multiplied by γ and shifted by β."


def twenty_steps() -> list[Step]:
    """Return the steps, in the order of computation."""
    add = "add_norm.AddNorm.forward"
    heads, ff = "multi_head.MultiHeadAttention.forward", "feed_forward.FeedForward.forward"
    encoded, memory = "enc.x", "enc.add_norm2.output"
    first, second = "dec.add_norm1.output", "dec.add_norm2.output"
    return [
        Step(
            "source ids",
            "Source ids",
            "The tokenizer has turned the source into numbers: each token's place in the source vocabulary.",
            ("data.Tokenizer.encode",),
            (sheets.ids("source", "S"),),
        ),
        Step(
            "embedding · √D",
            "Source embedding",
            "Each id picks its row of the embedding's table; the row is multiplied by √D = √{D}.",
            ("transformer.Transformer.encode",),
            (sheets.embedding("source", "S"),),
        ),
        Step(
            "+ positions",
            "Add positions",
            "The encoding of its position is added to each token: nothing else tells the encoder the order.",
            ("positional.SinusoidalPositionalEncoding.forward",),
            (sheets.positions("source", "S"),),
        ),
        Step(
            "q, k, v per head",
            "Queries, keys, values",
            f"Three linear maps make a query, a key and a value of every token's whole vector. {SPLIT}",
            (heads, "multi_head.split_heads"),
            sheets.projections("enc.self_attention", "source", "source", encoded, encoded),
        ),
        Step(
            "attention weights",
            "Scores and weights of the self-attention",
            "Each query is compared with every key: their dot product, divided by √E = √{E}. The softmax makes weights "
            "of each row.",
            ("attention.attention_weights",),
            sheets.weights("enc.self_attention", "source", "source"),
        ),
        Step(
            "merge, project",
            "Heads merged and projected",
            "Each head averages its values with its weights. The heads stand side by side again, and one more linear "
            "map mixes them.",
            (heads, "multi_head.merge_heads"),
            sheets.merged("enc.self_attention", "source"),
        ),
        Step(
            "add & norm",
            "Add & norm",
            f"The sublayer's input is added to its output: the residual connection. {NORM}",
            (add,),
            sheets.add_norm("enc.add_norm1", "source", encoded, "enc.self_attention.output"),
        ),
        Step(
            "feed-forward",
            "Feed-forward network",
            "Two linear maps with max(0, ·) between them, at each token by itself: from {D} features to {F} and back.",
            (ff,),
            sheets.feed_forward("enc.feed_forward", "source", "enc.add_norm1.output"),
        ),
        Step(
            "add & norm",
            "Add & norm: the memory",
            f"Residual and norm once more. {NORM} The result is the memory, which the decoder looks at.",
            (add, "encoder.EncoderLayer.forward"),
            sheets.add_norm("enc.add_norm2", "source", "enc.add_norm1.output", "enc.feed_forward.output"),
        ),
        Step(
            "target ids, shifted",
            "Target ids, shifted",
            "The decoder reads the target one place behind what it is to predict: it begins with the token that "
            "starts every target.",
            ("transformer.Transformer.loss",),
            (sheets.ids("target", "T"),),
        ),
        Step(
            "embed, positions",
            "Target embedding and positions",
            "As with the source: a row of the target's table, times √D = √{D}, plus the encoding of the position.",
            ("transformer.Transformer.decode", "positional.SinusoidalPositionalEncoding.forward"),
            (
                sheets.embedding("target", "T"),
                sheets.positions("target", "T"),
            ),
        ),
        Step(
            "masked weights",
            "Masked self-attention: the weights",
            "As in the encoder, but a score of a later token is set to −∞ before the softmax, and its weight is 0.",
            ("attention.attention_weights", "masks.causal_mask"),
            (
                *sheets.projections("dec.self_attention", "target", "target", "dec.x", "dec.x"),
                *sheets.weights("dec.self_attention", "target", "target"),
            ),
        ),
        Step(
            "merge, project",
            "Masked self-attention: the output",
            "Each head averages the values of the tokens so far. The heads are merged and projected.",
            (heads, "multi_head.merge_heads"),
            sheets.merged("dec.self_attention", "target"),
        ),
        Step(
            "add & norm",
            "Add & norm",
            f"The residual connection and the norm. {NORM}",
            (add,),
            sheets.add_norm("dec.add_norm1", "target", "dec.x", "dec.self_attention.output"),
        ),
        Step(
            "cross-attention",
            "Cross-attention: the weights",
            "Queries come from the decoder, keys and values from the memory: each target token looks at the whole "
            "source.",
            ("decoder.DecoderLayer.forward", "attention.attention_weights"),
            (
                *sheets.projections("dec.cross_attention", "target", "source", first, memory),
                *sheets.weights("dec.cross_attention", "target", "source"),
            ),
        ),
        Step(
            "out, add & norm",
            "Cross-attention: the output, add & norm",
            "The memory's values are averaged, merged and projected. Then the residual connection and the norm.",
            (heads, add),
            (
                *sheets.merged("dec.cross_attention", "target"),
                *sheets.add_norm("dec.add_norm2", "target", first, "dec.cross_attention.output"),
            ),
        ),
        Step(
            "feed-forward",
            "Feed-forward network",
            "As in the encoder, with weights of its own: from {D} features to {F}, max(0, ·), and back.",
            (ff,),
            sheets.feed_forward("dec.feed_forward", "target", second),
        ),
        Step(
            "add & norm",
            "Add & norm",
            f"The last residual connection and norm. {NORM}",
            (add, "decoder.DecoderLayer.forward"),
            sheets.add_norm("dec.add_norm3", "target", second, "dec.feed_forward.output"),
        ),
        Step(
            "linear: logits",
            "Logits",
            "One linear map gives each token of the target vocabulary a number at each position: its logit.",
            ("transformer.Transformer.decode",),
            (sheets.logits(),),
        ),
        Step(
            "softmax",
            "Probabilities",
            "The softmax makes of each row of logits a distribution over the token that comes next. In training the "
            "loss takes it, inside the cross-entropy.",
            ("transformer.Transformer.loss",),
            (sheets.probabilities(),),
        ),
    ]
