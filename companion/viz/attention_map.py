"""Attention maps: who attends to whom, as a matrix of colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from companion.viz._weights import as_heads, check_tokens, hundredths
from companion.viz.style import COLORS, weights_colormap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL, SMALL_CELL = 0.36, 0.22  # inches, with and without a number in it
LETTER = 0.08  # inches
MAX_NUMBERS = 100  # beyond that they only crowd the picture
HEADS_PER_LINE = 4
WIDEST = 7.5  # inches; a wider figure would be shrunk on the page until its tokens cannot be read


def plot_attention(
    weights: Any,
    query_tokens: Sequence[str],
    key_tokens: Sequence[str] | None = None,
    *,
    title: str | None = None,
    ax: Axes | None = None,
    show_values: bool | None = None,
) -> Figure:
    """Draw attention weights as a matrix: rows ask, columns are attended to.

    In a decoder a row is the token being predicted from there. White is 0, full violet is 1, in every figure. End
    the notebook cell with ``plt.show()``.

    Args:
        weights: (Q, K) for one head, or (H, Q, K) for several side by side; what `record_attention` gives for one
            sequence will do as it is.
        query_tokens: Q strings.
        key_tokens: K strings; the query tokens if not given, as in self-attention.
        title: stands above the figure, or above the axes if these are given.
        ax: draw a single head there, instead of into a new figure.
        show_values: write the numbers into the cells; by default where the matrix is small.

    Returns:
        the figure.

    Raises:
        ValueError: if tokens and weights do not match, the weights are not between 0 and 1, or one `ax` is to
            hold several heads.
    """
    import matplotlib.pyplot as plt

    heads = as_heads(weights)
    key_tokens = query_tokens if key_tokens is None else key_tokens
    check_tokens(heads.shape, query_tokens, key_tokens)
    num_heads, num_queries, num_keys = heads.shape
    if show_values is None:
        show_values = heads.size <= MAX_NUMBERS
    if ax is not None:
        if num_heads > 1:
            raise ValueError(f"one ax cannot hold {num_heads} heads: pass one of them, or leave ax out")
        _draw(ax, heads[0], query_tokens, key_tokens, show_values, left=True)
        if title:
            ax.set_title(title)
        return ax.figure  # type: ignore[return-value]

    cell = CELL if show_values else SMALL_CELL
    beside, below = LETTER * max(map(len, query_tokens)) + 0.4, LETTER * 0.7 * max(map(len, key_tokens)) + 0.4
    width, height = num_keys * cell + 0.2, num_queries * cell + (0.3 if num_heads > 1 else 0)  # of one head
    columns = max(1, min(num_heads, int((WIDEST - beside) / width), HEADS_PER_LINE))
    lines = -(-num_heads // columns)
    columns = -(-num_heads // lines)  # two and two rather than three and one
    size = (columns * width + beside, lines * (height + below) + (0.3 if title else 0.1))
    fig, axes = plt.subplots(lines, columns, figsize=size, squeeze=False, layout="constrained")
    for head, place in enumerate(axes.flat):
        if head >= num_heads:
            place.set_visible(False)
            continue
        _draw(place, heads[head], query_tokens, key_tokens, show_values, left=head % columns == 0)
        if num_heads > 1:
            place.set_title(f"head {head + 1}", loc="left")
    if title and num_heads > 1:
        # Placed after it is made: a suptitle that is given its x gets no room of its own.
        fig.suptitle(title, ha="left").set_x(0.01)
    elif title:
        axes[0, 0].set_title(title, loc="left")
    return fig


def _draw(
    ax: Axes, weights: np.ndarray, query_tokens: Sequence[str], key_tokens: Sequence[str], values: bool, left: bool
) -> None:
    """Draw one head; the queries are named only where it stands at the left."""
    ax.imshow(weights, cmap=weights_colormap(), vmin=0, vmax=1)
    name_cells(ax, query_tokens if left else None, key_tokens)
    if left:
        ax.set_ylabel("asks (query)", color=COLORS["query"])
    ax.set_xlabel("attended to (key)", color=COLORS["key"])
    if values:
        for (row, column), number in np.ndenumerate(hundredths(weights)):
            color = "white" if number > 55 else "#333333"
            ax.text(column, row, f"{number / 100:.2f}", ha="center", va="center", fontsize=7, color=color)


def name_cells(ax: Axes, row_names: Sequence[str] | None, column_names: Sequence[str]) -> None:
    """Name the rows and columns of a matrix; no names for rows that stand beside named ones."""
    short = max(map(len, column_names)) <= 3
    turn: dict[str, Any] = {} if short else {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(range(len(column_names)), list(map(_plain, column_names)), **turn)
    ax.set_yticks([] if row_names is None else range(len(row_names)), list(map(_plain, row_names or [])))
    ax.tick_params(length=0)
    ax.grid(visible=False)
    for side in ("top", "right"):
        ax.spines[side].set_visible(True)


def _plain(token: str) -> str:
    """Keep a dollar sign from starting a formula."""
    return token.replace("$", r"\$")
