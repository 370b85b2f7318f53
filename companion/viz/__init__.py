"""Pictures: the course's figure style, attention maps, masks, and pictures to play with.

The model never imports this package, and matplotlib is imported only when something is drawn.
"""

from companion.viz.architecture import ArchitectureMap
from companion.viz.attention_map import plot_attention
from companion.viz.by_layer import WordByLayer
from companion.viz.clock import PositionClock
from companion.viz.explorer import AttentionExplorer
from companion.viz.heads import HeadsSideBySide
from companion.viz.mask_lab import MaskLab
from companion.viz.mask_map import plot_mask
from companion.viz.norm_axes import NormAxes
from companion.viz.player import Player, play
from companion.viz.source import show_source
from companion.viz.style import COLORS, use_style, weights_colormap

__all__ = [
    "COLORS",
    "ArchitectureMap",
    "AttentionExplorer",
    "HeadsSideBySide",
    "MaskLab",
    "NormAxes",
    "Player",
    "PositionClock",
    "WordByLayer",
    "play",
    "plot_attention",
    "plot_mask",
    "show_source",
    "use_style",
    "weights_colormap",
]
