"""The tables of the twenty steps: which collected tensor each shows, and how one number of it is computed."""

from __future__ import annotations

from typing import NamedTuple


class Sheet(NamedTuple):
    """One table of a step: which collected tensor it shows, and the arithmetic of one number of it."""

    name: str
    tensor: str  # of `companion.viz._steps.collect`
    letters: str  # its shape
    rows: str  # "source" or "target"
    columns: str  # "features", "source", "target", "vocabulary" or "id"
    how: dict[str, str]  # its kind, the names of the tensors that it computes with, perhaps the formula in letters


def ids(side: str, length: str) -> Sheet:
    """Show the ids."""
    return Sheet("ids", f"{side}.ids", f"(B, {length})", side, "id", {"kind": "id"})


def embedding(side: str, length: str) -> Sheet:
    """Show the rows of the embedding's table, times √D."""
    how = {"kind": "scale", "x": f"{side}.embedding"}
    return Sheet("embedding · √D", f"{side}.scaled", f"(B, {length}, D)", side, "features", how)


def positions(side: str, length: str) -> Sheet:
    """Show the embeddings with their positions added."""
    how = {"kind": "add", "a": f"{side}.scaled", "b": f"{side}.positions", "letters": "embedding + position"}
    return Sheet("with positions", f"{side}.x", f"(B, {length}, D)", side, "features", how)


def _linear(x: str, to: str, linear: str, relu: bool = False) -> dict[str, str]:
    kind = "relu" if relu else "linear"
    return {"kind": kind, "x": x, "weight": f"{to}.{linear}.weight", "bias": f"{to}.{linear}.bias"}


def _letter(side: str) -> str:
    return "S" if side == "source" else "T"


def projections(to: str, queries: str, keys: str, x: str, memory: str) -> tuple[Sheet, ...]:
    """Show the queries of `x`, and the keys and values of `memory`, head by head."""
    return tuple(
        Sheet(name, f"{to}.{tensor}", f"(B, H, {_letter(side)}, E)", side, "features", _linear(of, to, f"{name}_proj"))
        for name, tensor, side, of in [
            ("q", "query", queries, x),
            ("k", "key", keys, memory),
            ("v", "value", keys, memory),
        ]
    )


def weights(to: str, queries: str, keys: str) -> tuple[Sheet, ...]:
    """Show the scores and the weights, head by head."""
    letters = f"(B, H, {_letter(queries)}, {_letter(keys)})"
    score = {"kind": "score", "query": f"{to}.query", "key": f"{to}.key"}
    return (
        Sheet("scores", f"{to}.scores", letters, queries, keys, score),
        Sheet("weights", f"{to}.weights", letters, queries, keys, {"kind": "softmax", "x": f"{to}.scores"}),
    )


def merged(to: str, side: str) -> tuple[Sheet, ...]:
    """Show the heads side by side, and their projection."""
    letters = f"(B, {_letter(side)}, D)"
    average = {"kind": "average", "weights": f"{to}.weights", "values": f"{to}.value"}
    return (
        Sheet("heads merged", f"{to}.merged", letters, side, "features", average),
        Sheet("projected", f"{to}.output", letters, side, "features", _linear(f"{to}.merged", to, "out_proj")),
    )


def add_norm(to: str, side: str, x: str, sublayer: str) -> tuple[Sheet, ...]:
    """Show the residual connection's sum, and the sum normalised."""
    letters = f"(B, {_letter(side)}, D)"
    residual = {"kind": "add", "a": x, "b": sublayer, "letters": "the sublayer's input + its output"}
    norm = {"kind": "norm", "x": f"{to}.sum", "weight": f"{to}.weight", "bias": f"{to}.bias"}
    return (
        Sheet("sum", f"{to}.sum", letters, side, "features", residual),
        Sheet("normalised", f"{to}.output", letters, side, "features", norm),
    )


def feed_forward(to: str, side: str, x: str) -> tuple[Sheet, ...]:
    """Show what is between the two linear maps, and the output."""
    length = _letter(side)
    hidden, output = _linear(x, to, "linear1", relu=True), _linear(f"{to}.hidden", to, "linear2")
    return (
        Sheet("hidden", f"{to}.hidden", f"(B, {length}, F)", side, "features", hidden),
        Sheet("output", f"{to}.output", f"(B, {length}, D)", side, "features", output),
    )


def logits() -> Sheet:
    """Show the logits of the likeliest tokens."""
    how = {"kind": "linear", "x": "dec.add_norm3.output", "weight": "output.weight"}
    return Sheet("logits", "logits", "(B, T, V)", "target", "vocabulary", how)


def probabilities() -> Sheet:
    """Show the probabilities of the likeliest tokens."""
    how = {"kind": "softmax", "x": "logits"}
    return Sheet("probabilities", "probabilities", "(B, T, V)", "target", "vocabulary", how)
