"""Where to compute."""

from __future__ import annotations

import torch


def default_device() -> torch.device:
    """Return the GPU if there is one, NVIDIA's ("cuda") or that of a Mac ("mps"), else the CPU.

    For the top of a notebook; the package itself never asks. The GPU of a Mac has no float64: what is to be exact
    to many digits stays on the CPU.
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
