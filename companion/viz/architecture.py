"""The map of the architecture: from the overview down to the arithmetic of one number, in a page without a kernel.

One pair of sequences runs through a model. What is shown is cut to the first features and the likeliest tokens;
digits are rounded here, so that a re-run gives the same bytes.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import reduce
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from companion.transformer import Transformer
from companion.viz._drawing import draw_architecture
from companion.viz._page import page_picture
from companion.viz._sheets import Sheet
from companion.viz._steps import collect
from companion.viz._table import scroll, write_table
from companion.viz._twenty import Step, twenty_steps

FEATURES = 8  # shown of each vector
ACTIVATIONS = {"x", "a", "b", "query", "key", "weights", "values"}  # what a sheet computes with, beside parameters
LIKELIEST = 10  # tokens of the target vocabulary that are shown


class ArchitectureMap:
    """A drawing of the Transformer whose twenty steps can be picked, down to the arithmetic of each number.

    Only the first sequence of a batch is shown; of a stack of layers, the last. A copy of the model runs, without
    dropout and in float64. Chapter *decoder* shows one.

    Args:
        model: a post-norm Transformer of any size; a small one, such as d_model 8, can be followed by hand.
        source_ids: (B, S) integers.
        target_ids: (B, T) integers, what the decoder reads: beginning with bos, without eos.
        source_tokens: the S source tokens, as strings.
        target_tokens: the T target tokens.
        target_vocabulary: the name of every token of the target vocabulary; where there is none, ids are shown.
        links: the page to which a step's code leads in the built book; None for no links.
        title: stands above the picture.

    Raises:
        ValueError: if the tokens are not as many as the ids, or the model is pre-norm.
    """

    def __init__(
        self,
        model: Transformer,
        source_ids: Tensor,
        target_ids: Tensor,
        source_tokens: Sequence[str],
        target_tokens: Sequence[str],
        *,
        target_vocabulary: Sequence[str] | None = None,
        links: str | None = "api.html",
        title: str = "The whole way in twenty steps",
    ) -> None:
        for name, ids, tokens in [("source", source_ids, source_tokens), ("target", target_ids, target_tokens)]:
            if isinstance(tokens, str):
                raise TypeError(f"{name}_tokens must be a list of strings, got the string {tokens!r}: split it first")
            if len(tokens) != ids.size(-1):
                raise ValueError(f"{name}_ids hold {ids.size(-1)} tokens but {len(tokens)} {name}_tokens were given")
        if target_vocabulary is not None and len(target_vocabulary) != model.config.target_vocab_size:
            raise ValueError(
                f"the model's target vocabulary has {model.config.target_vocab_size} tokens but "
                f"{len(target_vocabulary)} were given"
            )
        self.title, self.links, self.config = title, links, model.config
        self.tensors = {name: tensor.numpy() for name, tensor in collect(model, source_ids, target_ids).items()}
        self.steps = twenty_steps()
        self.tokens = {"source": list(source_tokens), "target": list(target_tokens)}
        self.likeliest = _likeliest(self.tensors["probabilities"][0])
        known = dict(zip(target_ids[0].tolist(), target_tokens, strict=True))
        self.words = [
            target_vocabulary[token] if target_vocabulary is not None else known.get(token, f"id {token}")
            for token in self.likeliest
        ]
        self.others = model.config.target_vocab_size - len(self.likeliest)

    def __repr__(self) -> str:
        tokens = self.tokens
        return (
            f"ArchitectureMap(steps={len(self.steps)}, source_tokens={len(tokens['source'])}, "
            f"target_tokens={len(tokens['target'])}, d_model={self.config.d_model})"
        )

    def _repr_html_(self) -> str:
        layers = (self.config.num_encoder_layers, self.config.num_decoder_layers)
        items = "\n".join(self._item(number, step) for number, step in enumerate(self.steps, start=1))
        body = (
            f'<div class="views">\n<div class="map">{draw_architecture([step.label for step in self.steps], layers)}'
            '</div>\n<div class="panel"></div>\n</div>\n'
            "<p class=\"how\">The order is downwards: the encoder's steps, then the decoder's.</p>\n"
            f"<details><summary>The twenty steps, with their numbers</summary>\n<p>{self._letters()}</p>\n"
            f"<ol>\n{items}\n</ol></details>"
        )
        return page_picture("architecture", self.title, body, self._data())

    def _letters(self) -> str:
        config = self.config
        values = [
            ("B", "sequences", len(self.tensors["source.ids"])),
            ("S", "source tokens", len(self.tokens["source"])),
            ("T", "target tokens", len(self.tokens["target"])),
            ("D", "features of a token", config.d_model),
            ("H", "heads", config.num_heads),
            ("E", "features of a head", config.d_model // config.num_heads),
            ("F", "features inside the feed-forward network", config.d_ff),
            ("V", "tokens of the target vocabulary", config.target_vocab_size),
        ]
        return "; ".join(f"{letter} = {value} {what}" for letter, what, value in values) + "."

    def _item(self, number: int, step: Step) -> str:
        """Write one step: its name, a sentence, where its code is, its tables. The script shows them from here."""
        sizes = self.config
        says = step.says.format(D=sizes.d_model, H=sizes.num_heads, E=sizes.d_model // sizes.num_heads, F=sizes.d_ff)
        code = ", ".join(
            f'<code data-name="companion.{name}">{_object(name)}</code> in {_file(name)}' for name in step.code
        )
        tables = "\n".join(self._table(sheet, head) for sheet in step.sheets for head in range(self._heads(sheet)))
        return (
            f'<li><p class="name">{escape(step.name)}</p><p class="says">{escape(says)}</p>'
            f'<p class="code">Code: {code}</p>\n{scroll(f"Tables of step {number}: {step.name}", tables)}</li>'
        )

    def _heads(self, sheet: Sheet) -> int:
        return self.config.num_heads if "H" in sheet.letters else 1

    def _columns(self, sheet: Sheet) -> list[str]:
        """Name the columns that are shown."""
        if sheet.columns == "vocabulary":
            return [*self.words, *([f"{self.others} others"] if self.others and sheet.how["kind"] == "softmax" else [])]
        if sheet.columns in self.tokens:
            return self.tokens[sheet.columns]
        return ["id"] if sheet.columns == "id" else [str(f) for f in range(self._shown(sheet))]

    def _shown(self, sheet: Sheet) -> int:
        return min(FEATURES, self.tensors[sheet.tensor].shape[-1])

    def _values(self, sheet: Sheet, head: int = 0) -> np.ndarray:
        """Return one table's numbers, unrounded: (rows, columns)."""
        values = self.tensors[sheet.tensor][0]
        if sheet.columns == "id":
            return values[:, None]
        if sheet.columns == "vocabulary":
            shown = values[:, self.likeliest]
            if len(self._columns(sheet)) == len(self.likeliest):
                return shown
            return np.concatenate([shown, 1 - shown.sum(axis=1, keepdims=True)], axis=1)
        return (values[head] if "H" in sheet.letters else values)[:, : len(self._columns(sheet))]

    def _table(self, sheet: Sheet, head: int) -> str:
        shape = ", ".join(map(str, self.tensors[sheet.tensor].shape))
        of = f", head {head + 1} of {self._heads(sheet)}" if self._heads(sheet) > 1 else ""
        columns, total = self._columns(sheet), self.tensors[sheet.tensor].shape[-1]
        cut = f"; the first {len(columns)} features" if sheet.columns == "features" and total > len(columns) else ""
        if sheet.columns == "vocabulary" and self.others:
            cut = f"; the {len(self.likeliest)} likeliest tokens"
        text = str if sheet.columns == "id" else _digits
        numbers = zip(self.tokens[sheet.rows], self._values(sheet, head).tolist(), strict=True)
        rows = [[token, *map(text, row)] for token, row in numbers]
        return write_table(f"{sheet.name}{of}: {sheet.letters} = ({shape}){cut}", columns, rows)

    def _data(self) -> dict[str, Any]:
        """Pack what the arithmetic needs: tensors as whole ten-thousandths, None where a score is minus infinity."""
        packed: dict[str, Any] = {}
        steps = []
        for step in self.steps:
            sheets = []
            for sheet in step.sheets:
                columns, how = len(self._columns(sheet)), sheet.how
                for name in [sheet.tensor, *(how[key] for key in how if key in ACTIVATIONS)]:
                    if sheet.columns != "id":
                        values = self.tensors[name][0]
                        values = values[:, self.likeliest] if name in ("logits", "probabilities") else values
                        packed[name] = [list(values.shape), _tenthousandths(values)]
                for name in (how[key] for key in ("weight", "bias") if key in how):
                    packed[name] = _tenthousandths(self._of_shown_outputs(sheet, self.tensors[name]))
                heads = self._heads(sheet)
                sheets.append({"name": sheet.name, "tensor": sheet.tensor, "heads": heads, "columns": columns, **how})
            result = 0 if step.sheets[-1].name == "v" else len(sheets) - 1  # what the reader meets first
            steps.append({"sheets": sheets, "start": result})
        rest = np.delete(self.tensors["logits"][0], self.likeliest, axis=1)
        return {
            "steps": steps,
            "tensors": packed,
            "sizes": [self.config.d_model, self.config.d_model // self.config.num_heads],
            "rest": [float(f"{number:.6g}") for number in np.exp(rest).sum(axis=1)],
            "links": self.links,
        }

    def _of_shown_outputs(self, sheet: Sheet, parameter: np.ndarray) -> np.ndarray:
        """Return the rows of a weight or bias that make the columns shown, head after head."""
        if sheet.columns == "vocabulary":
            return parameter[self.likeliest]
        heads = self._heads(sheet)
        by_head = parameter.reshape(heads, len(parameter) // heads, -1)
        return by_head[:, : self._shown(sheet)]


def _likeliest(probabilities: np.ndarray) -> list[int]:
    """Return the tokens to show: the likeliest of each position, then those that are likely anywhere."""
    order = np.argsort(-probabilities.max(axis=0), kind="stable").tolist()
    if len(order) <= LIKELIEST + 1:
        return list(range(len(order)))
    first = set(probabilities.argmax(axis=1).tolist())
    kept = sorted(order, key=lambda token: token not in first)[:LIKELIEST]
    return sorted(kept, key=order.index)


def _digits(number: float) -> str:
    """Write two digits; halves are rounded up whatever the last bit says."""
    if number == -np.inf:
        return "−∞"
    hundredths = int(np.floor(number * 100 + 0.501))
    return f"{'−' if hundredths < 0 else ''}{abs(hundredths) / 100:.2f}"


def _tenthousandths(values: np.ndarray) -> list[int | None]:
    return [None if value == -np.inf else int(np.floor(value * 10_000 + 0.501)) for value in values.flatten().tolist()]


def _object(name: str) -> str:
    """Leave the module out of a dotted name."""
    return name.partition(".")[2]


def _file(name: str) -> str:
    """Return the file in which a name below `companion` is written."""
    module, _, attributes = name.partition(".")
    found = reduce(getattr, attributes.split("."), import_module(f"companion.{module}"))
    file = Path(inspect.getsourcefile(found) or "").resolve()
    return file.relative_to(Path(__file__).resolve().parents[2]).as_posix()
