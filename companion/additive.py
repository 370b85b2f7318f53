"""Additive attention: a small network compares query and key, instead of a dot product.

score(q, k) = vᵀ tanh(W_q q + W_k k), "Neural Machine Translation by Jointly Learning to Align and Translate"
(arXiv 1409.0473), section A.1.2. Chapter *additive*.

Shapes: B batch, Q queries, K keys.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from companion._shapes import check_features
from companion.attention import masked_softmax


class AdditiveAttention(nn.Module):
    """Attend with the additive score, without biases, as the paper writes it.

    So the score is odd: score(-q, -k) = -score(q, k). The chapter shows what that costs.

    Args:
        query_dim: features of a query.
        key_dim: features of a key.
        hidden_dim: features of the hidden layer that compares them.
    """

    def __init__(self, query_dim: int, key_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(query_dim, hidden_dim, bias=False)
        self.k_proj = nn.Linear(key_dim, hidden_dim, bias=False)
        self.score = nn.Linear(hidden_dim, 1, bias=False)

    def weights(self, query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
        """Say how much each query attends to each key.

        Args:
            query: (B, Q, query_dim).
            key: (B, K, key_dim).
            mask: bool, broadcastable to (B, Q, K); True = may attend.

        Returns:
            (B, Q, K). Each row sums to 1, or to 0 where the mask leaves a query nothing.
        """
        check_features(query, self.q_proj.in_features, "query")
        check_features(key, self.k_proj.in_features, "key")
        # Every pair of a query and a key goes through the hidden layer.
        pairs = self.q_proj(query)[:, :, None] + self.k_proj(key)[:, None]
        hidden = torch.tanh(pairs)  # (B, Q, K, hidden)
        scores = self.score(hidden).squeeze(-1)  # (B, Q, K)
        return masked_softmax(scores, mask)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """Average the values (B, K, V) with the weights of query and key: (B, Q, V)."""
        return self.weights(query, key, mask) @ value
