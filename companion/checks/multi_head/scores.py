"""Wrong multi-head layers: the scores in each head."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from companion.checks import in_training
from companion.checks.engine.bank import Bank, section

SCALING = section("attention", "An experiment: what the scale is for")

SCORES_BUGS = Bank(part="scores", section=SCALING)


def _scaled(power: float) -> Any:
    def scores(self: Any, query: Tensor, key: Tensor) -> Tensor:
        return query @ key.transpose(-2, -1) * query.size(-1) ** power

    return scores


@SCORES_BUGS.bug("Which line keeps the scores of long vectors from growing?", derived=in_training.FACTOR)
def scores_not_scaled(self: Any, query: Tensor, key: Tensor) -> Tensor:
    """Your scores are not divided by sqrt(d_k), the root of the number of features of a head."""
    return query @ key.transpose(-2, -1)


@SCORES_BUGS.bug("Over how many features does a dot product in one head run?", derived=in_training.FACTOR)
def scaled_by_d_model(self: Any, query: Tensor, key: Tensor) -> Tensor:
    """Your scores are divided by sqrt(d_model); in a head it is sqrt(d_k), with d_k = d_model / num_heads."""
    return query @ key.transpose(-2, -1) / (query.size(1) * query.size(-1)) ** 0.5


@SCORES_BUGS.bug("Which size does your scale read? Queries in heads are (B, H, Q, d_k).", derived=in_training.FACTOR)
def scaled_by_num_heads(self: Any, query: Tensor, key: Tensor) -> Tensor:
    """Your scores are divided by the root of the number of heads; it should be sqrt(d_k), the root of the number of
    features of a head.
    """
    return query @ key.transpose(-2, -1) / self.num_heads**0.5


@SCORES_BUGS.bug(
    "The standard deviation of a dot product grows like the root of d_k.",
    also=(_scaled(0.5),),
    derived=in_training.FACTOR,
)
def scaled_by_d_k(self: Any, query: Tensor, key: Tensor) -> Tensor:
    """Your scores are scaled by d_k, or multiplied by its root; they should be divided by sqrt(d_k)."""
    return _scaled(-1.0)(self, query, key)


@SCORES_BUGS.bug("Which size does your scale read? Keys in heads are (B, H, K, d_k).")
def scaled_by_number_of_keys(self: Any, query: Tensor, key: Tensor) -> Tensor:
    """Your scores are divided by the root of the number of keys; it should be sqrt(d_k), the root of the number of
    features of a head.
    """
    return query @ key.transpose(-2, -1) / key.size(-2) ** 0.5


@SCORES_BUGS.bug(
    "Scaling divides by a number that depends on the shape only, not on the values.",
    also=(lambda self, query, key: F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).mT / query.size(-1) ** 0.5,),
)
def cosines_for_products(self: Any, query: Tensor, key: Tensor) -> Tensor:
    """Queries and keys are normalised to length 1 before their product; lengths count in a scaled dot product."""
    return F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).mT


@SCORES_BUGS.bug("Which size does your scale read? Queries in heads are (B, H, Q, d_k).")
def scaled_by_number_of_queries(self: Any, query: Tensor, key: Tensor) -> Tensor:
    """Your scores are divided by the root of the number of queries; it should be sqrt(d_k), the root of the number
    of features of a head.
    """
    return query @ key.transpose(-2, -1) / query.size(-2) ** 0.5


@SCORES_BUGS.bug(
    "What is the shape of your scores when there are 4 queries and 7 keys?", section=section("attention", "As matrices")
)
def rows_are_keys(self: Any, query: Tensor, key: Tensor) -> Tensor:
    """Your scores are K Q^T, with a row for each key; a row is a query's, Q K^T."""
    return key @ query.transpose(-2, -1) / query.size(-1) ** 0.5
