"""Wrong additive scores, and how to put additive attention together from right and wrong parts.

A bug in the scores is a part of its own; the mask, the softmax and the average are those of attention's bank.

Shapes: B batch, Q queries, K keys, H features of the hidden layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from companion.checks.attention.masks import MASK_BUGS
from companion.checks.attention.right import Softmax, right_mask, right_output, right_softmax
from companion.checks.attention.softmax import SOFTMAX_BUGS
from companion.checks.engine.bank import Bank, section

SCORE = section("additive", "The additive score")
TANH = section("additive", "What goes wrong")
SHAPES = section("masks", "What a mask is")

ADDITIVE_BUGS = Bank(part="scores", section=SCORE)


def right_score(query: Tensor, key: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor) -> Tensor:
    """Return v · tanh(W_q q + W_k k) for every pair, (B, Q, K)."""
    return torch.tanh(_pairs(query @ w_q.T, key @ w_k.T)) @ v


def build_additive(parts: Mapping[str, Callable[..., Any]]) -> Callable[..., Tensor]:
    """Return ``fn(query, key, value, w_q, w_k, v, mask)`` made of the given parts, the rest being right."""
    scores = parts.get("scores", right_score)
    hide, softmax = parts.get("mask", right_mask), parts.get("softmax", right_softmax)
    output = parts.get("output", right_output)

    def additive(
        query: Tensor, key: Tensor, value: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor, mask: Tensor
    ) -> Tensor:
        weights = hide(scores(query, key, w_q, w_k, v), mask, softmax)
        return output(weights, query, key, value)

    return additive


def _pairs(queries: Tensor, keys: Tensor) -> Tensor:
    return queries[:, :, None] + keys[:, None]  # (B, Q, K, H)


@ADDITIVE_BUGS.bug(
    "Query and key are added before the hidden layer's tanh. Where do yours meet?",
    also=(
        lambda query, key, w_q, w_k, v: query @ key.mT,
        lambda query, key, w_q, w_k, v: query @ key.mT / query.size(-1) ** 0.5,
        lambda query, key, w_q, w_k, v: query @ w_q.T @ (key @ w_k.T).mT / v.size(0) ** 0.5,
    ),
)
def dot_product_for_additive(query: Tensor, key: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor) -> Tensor:
    """Your score is a dot product of query and key; the additive score is v . tanh(W_q q + W_k k)."""
    return query @ w_q.T @ (key @ w_k.T).mT


@ADDITIVE_BUGS.bug("Do two different queries get different weights from your function?", section=TANH)
def tanh_missing(query: Tensor, key: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor) -> Tensor:
    """The tanh is missing: the query's part of the score is then the same for every key, and the softmax cancels it.
    The score is v . tanh(W_q q + W_k k).
    """
    return _pairs(query @ w_q.T, key @ w_k.T) @ v


@ADDITIVE_BUGS.bug(
    "Do two different queries get different weights from your function?",
    section=TANH,
    also=(lambda query, key, w_q, w_k, v: (torch.tanh(key @ w_k.T) @ v)[:, None].expand(-1, query.size(1), -1),),
)
def tanh_of_each(query: Tensor, key: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor) -> Tensor:
    """Query and key do not meet inside the tanh (each has a tanh of its own, or the query has no part in the score):
    what the query adds is the same for every key, and the softmax cancels it. Add them first: tanh(W_q q + W_k
    k).
    """
    return _pairs(torch.tanh(query @ w_q.T), torch.tanh(key @ w_k.T)) @ v


@ADDITIVE_BUGS.bug("How many numbers does your tanh see for one pair: one, or as many as the hidden layer has?")
def tanh_after_v(query: Tensor, key: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor) -> Tensor:
    """The tanh comes after v: the score is v . tanh(W_q q + W_k k), with the tanh on the hidden layer."""
    return torch.tanh(_pairs(query @ w_q.T, key @ w_k.T) @ v)


@ADDITIVE_BUGS.bug(
    "Which values can your hidden layer take? A tanh lies between -1 and 1.",
    also=(lambda query, key, w_q, w_k, v: _pairs(query @ w_q.T, key @ w_k.T).sigmoid() @ v,),
)
def another_nonlinearity(query: Tensor, key: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor) -> Tensor:
    """The hidden layer has another nonlinearity (relu or sigmoid); the additive score takes tanh."""
    return _pairs(query @ w_q.T, key @ w_k.T).relu() @ v


@ADDITIVE_BUGS.bug("Which of the two matrices has as many columns as a query has features?")
def matrices_swapped(query: Tensor, key: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor) -> Tensor:
    """W_q and W_k are swapped: W_q belongs to the query, W_k to the key."""
    return right_score(query, key, w_k, w_q, v)


@ADDITIVE_BUGS.bug(
    "Do both w_q and w_k appear in your code?",
    also=(lambda query, key, w_q, w_k, v: right_score(query, key, w_k, w_k, v),),
)
def one_matrix_for_both(query: Tensor, key: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor) -> Tensor:
    """One matrix serves queries and keys alike; the query is multiplied by W_q, the key by W_k."""
    return right_score(query, key, w_q, w_q, v)


@ADDITIVE_BUGS.bug("Write down the shapes of query and w_q. Which dimension do they share?")
def not_transposed(query: Tensor, key: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor) -> Tensor:
    """W_q and W_k are not transposed: they are (hidden, features), so that a query becomes query @ w_q.T."""
    return right_score(query, key, w_q.T, w_k.T, v)


@ADDITIVE_BUGS.bug(
    "Does v appear in your code? It says how much each hidden feature counts.",
    also=(lambda query, key, w_q, w_k, v: torch.tanh(_pairs(query @ w_q.T, key @ w_k.T)).mean(dim=-1),),
)
def v_missing(query: Tensor, key: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor) -> Tensor:
    """v is missing: the hidden layer is summed or averaged, where it should be weighted by v."""
    return torch.tanh(_pairs(query @ w_q.T, key @ w_k.T)).sum(dim=-1)


@ADDITIVE_BUGS.bug(
    "Is there a square root in your code? The additive score needs none: its tanh is bounded.",
    also=(
        lambda query, key, w_q, w_k, v: right_score(query, key, w_q, w_k, v) / query.size(-1) ** 0.5,
        lambda query, key, w_q, w_k, v: right_score(query, key, w_q, w_k, v) / key.size(-1) ** 0.5,
    ),
)
def scaled_scores(query: Tensor, key: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor) -> Tensor:
    """Your scores are scaled, as those of the dot product are; the additive score is not divided by anything."""
    return right_score(query, key, w_q, w_k, v) / v.size(0) ** 0.5


@ADDITIVE_BUGS.bug(
    "Additive means that the two projections are added.",
    also=(lambda query, key, w_q, w_k, v: right_score(-query, key, w_q, w_k, v),),
)
def subtracted(query: Tensor, key: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor) -> Tensor:
    """Query and key are subtracted: the hidden layer is tanh(W_q q + W_k k), with a plus."""
    return right_score(query, -key, w_q, w_k, v)


@ADDITIVE_BUGS.bug("Additive means that the two projections are added.")
def multiplied_inside(query: Tensor, key: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor) -> Tensor:
    """Query and key are multiplied feature by feature inside the tanh; they should be added: tanh(W_q q + W_k k)."""
    return torch.tanh((query @ w_q.T)[:, :, None] * (key @ w_k.T)[:, None]) @ v


@ADDITIVE_BUGS.bug("mask broadcasts to (batch, queries, keys) as it is.", section=SHAPES, part="mask")
def mask_transposed(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    """The mask is transposed: its rows belong to the queries and its columns to the keys, as in the scores."""
    return softmax(scores.masked_fill(~mask.transpose(-2, -1), float("-inf")))


@ADDITIVE_BUGS.bug("A padded batch: which item's padding does your code look at?", section=SHAPES, part="mask")
def first_mask_for_all(scores: Tensor, mask: Tensor, softmax: Softmax) -> Tensor:
    """The mask of the first item is used for the whole batch: each item has a mask of its own."""
    first = mask[:1] if mask.dim() == 3 else mask
    return softmax(scores.masked_fill(~first, float("-inf")))


@ADDITIVE_BUGS.bug("Which values can your hidden layer take? A tanh lies between -1 and 1.")
def tan_for_tanh(query: Tensor, key: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor) -> Tensor:
    """Your hidden layer has tan, the tangent, where tanh is meant: an h is missing."""
    return torch.tan(_pairs(query @ w_q.T, key @ w_k.T)) @ v


@ADDITIVE_BUGS.bug("Does a dot product add up or average?")
def mean_for_sum(query: Tensor, key: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor) -> Tensor:
    """Your score is divided by the number of hidden features, as a mean over them is; v . tanh(W_q q + W_k k) is
    their sum, weighted by v.
    """
    return right_score(query, key, w_q, w_k, v) / v.size(0)


@ADDITIVE_BUGS.bug("Which of the two gets its new axis in front of the other's tokens?")
def reshaped_for_transposed(query: Tensor, key: Tensor, w_q: Tensor, w_k: Tensor, v: Tensor) -> Tensor:
    """The scores are laid out (batch, keys, queries) and then reshaped: a reshape does not transpose. Put the
    queries before the keys when you add, queries[:, :, None] + keys[:, None].
    """
    return right_score(query, key, w_q, w_k, v).mT.reshape(query.size(0), query.size(1), key.size(1))


# Of attention's own bugs, those that do not speak of heads.
_OWN = {entry.name for entry in ADDITIVE_BUGS} | {"softmax_over_heads"}
BORROWED_BUGS = tuple(entry for entry in (*MASK_BUGS, *SOFTMAX_BUGS) if entry.name not in _OWN)
