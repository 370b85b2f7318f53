"""Wrong causal masks. True means may attend."""

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks.engine.bank import Bank, section

POLARITY = section("masks", "What a mask is")
CAUSAL = section("masks", "Looking ahead")
CACHE = section("masks", "Aligned to which corner?")
SHAPES = section("masks", "Looking ahead")

CAUSAL_BUGS = Bank(section=CAUSAL)

_EQUAL_LENGTHS = (
    "Derived: not at all, since queries and keys are equally many while training. It shows when a cache decodes."
)


# --- causal_mask(query_len, key_len): bool (Q, K), aligned bottom-right


def right_causal_mask(query_len: int, key_len: int) -> Tensor:
    """Let each query see the keys up to its own position; the last query sees every key."""
    return torch.ones(query_len, key_len, dtype=torch.bool).tril(diagonal=key_len - query_len)


def _ones(query_len: int, key_len: int) -> Tensor:
    return torch.ones(query_len, key_len, dtype=torch.bool)


def _row_by_row(query_len: int, key_len: int, first: int) -> Tensor:
    """Open the first keys to each query, `first` of them to query 0; a negative number counts from the end."""
    mask = torch.zeros(query_len, key_len, dtype=torch.bool)
    for query in range(query_len):
        mask[query, : first + query] = True
    return mask


@CAUSAL_BUGS.bug(
    "May query 0 attend to key 0? What does your mask say there?",
    section=POLARITY,
    also=(lambda query_len, key_len: _ones(query_len, key_len).triu(1),),
)
def causal_inverted(query_len: int, key_len: int) -> Tensor:
    """Your mask is inverted: it is True where a query may not attend. True should mean 'may attend'."""
    return ~right_causal_mask(query_len, key_len)


@CAUSAL_BUGS.bug(
    "Row i belongs to query i. Which columns are its past?",
    also=(lambda query_len, key_len: _ones(query_len, key_len).triu(),),
)
def upper_triangle(query_len: int, key_len: int) -> Tensor:
    """Your mask is the upper triangle: each query sees itself and what comes after it. It should see itself and what
    comes before it, the lower triangle.
    """
    return _ones(query_len, key_len).triu(key_len - query_len)


@CAUSAL_BUGS.bug(
    "May a token attend to itself? It has nobody else at the start.",
    also=(
        lambda query_len, key_len: _ones(query_len, key_len).tril(-1),
        lambda query_len, key_len: _row_by_row(query_len, key_len, key_len - query_len),
    ),
)
def cannot_see_itself(query_len: int, key_len: int) -> Tensor:
    """Your mask hides each query from itself: the diagonal is one step too low, and the first query sees nothing."""
    return _ones(query_len, key_len).tril(key_len - query_len - 1)


@CAUSAL_BUGS.bug(
    "Which keys may query 0 attend to, and how many does your mask give it?",
    also=(lambda query_len, key_len: _ones(query_len, key_len).tril(1),),
)
def sees_one_step_ahead(query_len: int, key_len: int) -> Tensor:
    """Your mask lets each query see one key of its future: the diagonal is one step too high."""
    return _ones(query_len, key_len).tril(key_len - query_len + 1)


@CAUSAL_BUGS.bug(
    "With a cache, one new query meets five keys. Which of them may it see?",
    section=CACHE,
    derived=_EQUAL_LENGTHS,
)
def aligned_top_left(query_len: int, key_len: int) -> Tensor:
    """Your mask is aligned top-left: with fewer queries than keys the last query does not see the last keys. Align
    it bottom-right, because the queries are the newest positions.
    """
    return _ones(query_len, key_len).tril()


@CAUSAL_BUGS.bug(
    "Try one query and five keys: how many Trues should the row hold?", section=CACHE, derived=_EQUAL_LENGTHS
)
def shifted_the_wrong_way(query_len: int, key_len: int) -> Tensor:
    """Your mask is shifted to the wrong side: the diagonal moves by query_len - key_len; it should move by key_len -
    query_len.
    """
    return _ones(query_len, key_len).tril(query_len - key_len)


@CAUSAL_BUGS.bug("Which keys does query 0 not know yet?")
def hides_nothing(query_len: int, key_len: int) -> Tensor:
    """Your mask lets every query see every key."""
    return _ones(query_len, key_len)


@CAUSAL_BUGS.bug(
    "A query may look at its past too.",
    also=(lambda query_len, key_len: torch.eye(query_len, key_len, dtype=torch.bool),),
)
def only_the_diagonal(query_len: int, key_len: int) -> Tensor:
    """Your mask lets each query see only itself: it is a diagonal, not a triangle."""
    return right_causal_mask(query_len, key_len) & _ones(query_len, key_len).triu(key_len - query_len)


@CAUSAL_BUGS.bug(
    "Make the answer to 'may query i attend to key j?', not a number to add.",
    section=POLARITY,
    also=(lambda query_len, key_len: -1e9 * ~right_causal_mask(query_len, key_len),),
)
def additive_mask(query_len: int, key_len: int) -> Tensor:
    """Your mask holds 0 and -inf, to be added to the scores; masks here are bool, and True means 'may attend'."""
    return torch.zeros(query_len, key_len).masked_fill(~right_causal_mask(query_len, key_len), float("-inf"))


@CAUSAL_BUGS.bug("The shape should be (query_len, key_len), in this order.", section=SHAPES)
def causal_transposed(query_len: int, key_len: int) -> Tensor:
    """Your mask is transposed: it has a row for each key; it should have a row for each query."""
    return right_causal_mask(query_len, key_len).T


@CAUSAL_BUGS.bug(
    "With a cache there are more keys than queries. How many columns does the mask need?",
    section=CACHE,
    derived=_EQUAL_LENGTHS,
)
def key_len_ignored(query_len: int, key_len: int) -> Tensor:
    """Your mask is square, (query_len, query_len): key_len is not used. It should be (query_len, key_len)."""
    return right_causal_mask(query_len, query_len)


@CAUSAL_BUGS.bug(
    "Two keys and five queries: the last query stands at the last key. Where does query 0 stand?",
    section=CACHE,
    also=(
        lambda query_len, key_len: _ones(query_len, key_len).tril(abs(key_len - query_len)),
        lambda query_len, key_len: _row_by_row(query_len, key_len, key_len - query_len + 1),
    ),
)
def first_queries_see_keys(query_len: int, key_len: int) -> Tensor:
    """With more queries than keys your first queries see keys; they come before all keys, and see nothing. Let the
    diagonal start at key_len - query_len, also where that is negative.
    """
    return _ones(query_len, key_len).tril(max(key_len - query_len, 0))
