"""A word's vector from layer to layer: pick a token of a sentence, and see which tokens its vector is like.

Every digit shown is rounded to hundredths here, so that a re-run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import islice

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from companion.viz._bars import draw_bar, draw_panel, room_for_names
from companion.viz._page import page_picture
from companion.viz._table import digits, scroll, write_table
from companion.viz._weights import hundredths


class WordByLayer:
    """Bars of cosine between the token that the reader picks and all others, with a slider over the layers.

    Args:
        states: the layers' names, in order, each with the vectors (N, D) of all tokens of all sentences, one sentence
            after the other. D may differ from layer to layer.
        sentences: the tokens of each sentence, N in all.
        picked: which of the N tokens is picked at first.
        title: stands above the picture.

    Raises:
        ValueError: if vectors and tokens do not match, or hold NaN or infinity.
    """

    def __init__(
        self,
        states: Mapping[str, Tensor],
        sentences: Sequence[Sequence[str]],
        picked: int = 0,
        title: str = "A token's vector, layer by layer",
    ) -> None:
        self.sentences = [list(sentence) for sentence in sentences]
        self.tokens = [token for sentence in self.sentences for token in sentence]
        count = len(self.tokens)
        if not states or not 0 <= picked < count:
            raise ValueError(f"need at least one layer and a picked token of {count}, got {len(states)} and {picked}")
        self.layers = list(states)
        cosines = []
        for name, vectors in states.items():
            if vectors.dim() != 2 or len(vectors) != count:
                raise ValueError(
                    f"layer {name!r} must have one vector for each of the {count} tokens, "
                    f"({count}, D), got shape {tuple(vectors.shape)}"
                )
            if not vectors.isfinite().all():
                raise ValueError(f"layer {name!r} holds NaN or infinity")
            units = F.normalize(vectors.detach().cpu().double(), dim=-1)  # (N, D)
            cosines.append(hundredths((units @ units.T).numpy()))
        self.cosines = np.stack(cosines)  # hundredths, (layers, N, N)
        self.picked, self.title = picked, title

    def __repr__(self) -> str:
        tokens = ", ".join(str(len(sentence)) for sentence in self.sentences)
        return f"WordByLayer(layers={len(self.layers)}, tokens=[{tokens}])"

    def _repr_html_(self) -> str:
        picture = {
            "layers": self.layers,
            "sentences": self.sentences,
            "cosines": self.cosines.reshape(len(self.layers), -1).tolist(),
            "picked": self.picked,
        }
        body = (
            '<div class="choices"></div>\n'
            f'<p class="sentence" aria-live="polite">{escape(self._sentence())}</p>\n'
            f'<div class="panels" style="{room_for_names(self.tokens)}">\n{self._panels()}\n</div>\n'
            "<p class=\"how\">Each bar is the cosine of two vectors, the picked token's and that token's: 1 to the "
            "right if they point the same way, 0 if they have nothing in common, to the left below 0.</p>\n"
            f"<details><summary>The numbers of all layers</summary>{self._table()}</details>"
        )
        return page_picture("by_layer", self.title, body, picture)

    def _sentence(self) -> str:
        """Say which token is the most like the picked one, at the first layer."""
        row = self.cosines[0, self.picked].tolist()
        text = f"{self._place(self.picked)}, {self.layers[0]}."
        others = [index for index in range(len(row)) if index != self.picked]
        if others:
            nearest = max(others, key=lambda index: row[index])
            text += f" Most like it: {self._place(nearest)}, cosine {row[nearest] / 100:.2f}."
        return text

    def _place(self, index: int) -> str:
        for number, sentence in enumerate(self.sentences, start=1):
            if index < len(sentence):
                return f"'{sentence[index]}' (token {index + 1} of sentence {number})"
            index -= len(sentence)
        raise IndexError(index)

    def _panels(self) -> str:
        """Draw one group of bars for each sentence, at the first layer."""
        cosines = self.cosines[0, self.picked].tolist()
        picked = [index == self.picked for index in range(len(cosines))]
        bars = map(draw_bar, self.tokens, cosines, picked)
        return "\n".join(
            draw_panel(f"sentence {number}", islice(bars, len(sentence)))
            for number, sentence in enumerate(self.sentences, start=1)
        )

    def _table(self) -> str:
        """Write the picked token's cosines with all tokens, a column for each layer."""
        cosines = self.cosines[:, self.picked].T.tolist()  # (N, layers)
        rows = [[token, *digits(row)] for token, row in zip(self.tokens, cosines, strict=True)]
        return scroll("Table of cosines", write_table(f"Cosine with {self._place(self.picked)}", self.layers, rows))
