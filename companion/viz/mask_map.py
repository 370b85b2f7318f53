"""Masks: who may attend to whom, as a matrix that reads without colour too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from companion._shapes import check_mask_dtype
from companion.viz._weights import check_tokens
from companion.viz.attention_map import CELL, name_cells
from companion.viz.style import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_mask(
    mask: Tensor,
    query_tokens: Sequence[str] | None = None,
    key_tokens: Sequence[str] | None = None,
    *,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw a mask: a filled cell with a dot may attend, an empty hatched one may not.

    Args:
        mask: bool (Q, K), True = may attend; leading dimensions of size 1 are dropped.
        query_tokens: Q strings; positions counted from 0 if not given.
        key_tokens: K strings; the query tokens if not given and as many, positions otherwise.
        title: stands above the axes.
        ax: draw there, without a legend, instead of into a new figure.

    Returns:
        the figure.

    Raises:
        TypeError: if the mask is not bool.
        ValueError: if it is not a matrix, or does not fit the tokens.
    """
    import matplotlib.pyplot as plt
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch, Rectangle

    check_mask_dtype(mask)
    if mask.dim() < 2 or any(size != 1 for size in mask.shape[:-2]):
        raise ValueError(
            f"a mask of shape {tuple(mask.shape)} is not one matrix (Q, K): pick one sequence and one head, "
            "or expand it to (Q, K) first"
        )
    cells = mask.reshape(mask.shape[-2:]).cpu().numpy()  # (Q, K)
    num_queries, num_keys = cells.shape
    if key_tokens is None and query_tokens is not None and num_queries == num_keys:
        key_tokens = query_tokens
    rows = [str(position) for position in range(num_queries)] if query_tokens is None else query_tokens
    columns = [str(position) for position in range(num_keys)] if key_tokens is None else key_tokens
    check_tokens(cells.shape, rows, columns, "the cells of the mask")

    alone = ax is None
    if ax is None:
        # Room for the cells, the tokens beside them, and the legend at the right.
        size = (num_keys * CELL + 2.4, num_queries * CELL + 1.1)
        _, ax = plt.subplots(figsize=size, layout="constrained")
    may, may_not = COLORS["mask"], "#b3b3b3"
    ax.imshow(cells, cmap=ListedColormap(["white", may]), vmin=0, vmax=1)
    for row in range(num_queries):
        for column in range(num_keys):
            if cells[row, column]:
                ax.plot(column, row, "o", color="white", markersize=3)
            else:
                corner = (column - 0.5, row - 0.5)
                ax.add_patch(Rectangle(corner, 1, 1, fill=False, hatch="////", edgecolor=may_not, linewidth=0))
    name_cells(ax, rows, columns)
    ax.set_ylabel("asks (query)", color=COLORS["query"])
    ax.set_xlabel("attended to (key)", color=COLORS["key"])
    if title:
        ax.set_title(title)
    if alone:
        legend = [
            Patch(facecolor=may, edgecolor=may, label="may attend"),
            Patch(facecolor="white", edgecolor=may_not, hatch="////", label="may not"),
        ]
        ax.legend(handles=legend, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0)
    return ax.figure  # type: ignore[return-value]
