"""Where to compute."""

from __future__ import annotations

import torch


def default_device() -> torch.device:
    """Return the GPU if there is one, else the CPU. For the top of a notebook; the package itself never asks."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
