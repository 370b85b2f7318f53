"""The position-wise feed-forward network: the same two layers at every position, each position by itself.

"Attention Is All You Need" (arXiv 1706.03762), section 3.3, equation 2. Chapter *encoder* shows that no position
influences another here.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from companion._shapes import check_features


class FeedForward(nn.Module):
    """max(0, x W₁ + b₁) W₂ + b₂: widen from D to d_ff features, ReLU, and back to D.

    Args:
        d_model: features of input and output, D.
        d_ff: features in between; 4 D in the paper.
    """

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network to each position of `x` (..., D)."""
        check_features(x, self.linear1.in_features, "x")
        return self.linear2(F.relu(self.linear1(x)))  # (..., D) -> (..., d_ff) -> (..., D)
