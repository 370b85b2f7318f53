"""The course's figure style: one look and one colour for each idea, in every chapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.colors import LinearSegmentedColormap

COLORS = {
    "query": "#0072b2",  # blue
    "key": "#b84a00",  # vermilion
    "value": "#00795a",  # green
    "mask": "#4d4d4d",  # grey
    "weights": "#5b2a86",  # violet: a weight of 1; a weight of 0 is white
}
"""What each colour stands for.

Blue, vermilion and green are those of Okabe and Ito's palette for colour-blind readers, darkened until each reads as
text on white (a contrast of 4.5 at least).
"""


def use_style() -> None:
    """Set matplotlib's defaults to the course's style; call it once, at the top of a notebook.

    Figures stand on a white card, so that they read well on a dark page too.
    """
    import matplotlib.pyplot as plt
    from cycler import cycler

    plt.rcParams.update(
        {
            # 9 points at 120 dots per inch come out at 15 pixels, the size of the text around the figure.
            "figure.dpi": 120,
            "figure.figsize": (5.6, 3.2),
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "font.size": 9,
            "axes.titlesize": 10,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": "#8c8c8c",
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#e6e6e6",
            "grid.linewidth": 0.6,
            "axes.prop_cycle": cycler(color=[COLORS[name] for name in ("query", "key", "value", "weights", "mask")]),
            "lines.linewidth": 1.6,
            "legend.frameon": False,
            "image.interpolation": "nearest",
        }
    )


def weights_colormap() -> LinearSegmentedColormap:
    """Give the colours of attention weights, from white (0) to the course's violet (1)."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("weights", ["white", COLORS["weights"]])
