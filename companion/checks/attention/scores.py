"""Wrong scores: products of queries and keys that are not scaled, scaled wrongly, or not products at all."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from companion.checks import in_training
from companion.checks.attention.right import build_attention
from companion.checks.engine.bank import Bank, section

SCALING = section("attention", "An experiment: what the scale is for")
SCORES = section("attention", "As matrices")

SCORES_BUGS = Bank(part="scores", section=SCALING)
VALUE_BUGS = Bank(section=SCALING)  # those that need the values, and so a whole function


@SCORES_BUGS.bug(
    "How large is a dot product of two random vectors with 100 features, compared to one with 4?",
    derived=in_training.FACTOR,
)
def no_scaling(query: Tensor, key: Tensor) -> Tensor:
    """Your scores are not scaled: divide them by sqrt(d_k), the root of the number of features of a query."""
    return query @ key.transpose(-2, -1)


@SCORES_BUGS.bug(
    "The dot product's standard deviation grows like the root of d_k, its variance like d_k.",
    derived=in_training.FACTOR,
)
def divided_by_d_k(query: Tensor, key: Tensor) -> Tensor:
    """Your scores are divided by d_k, or scaled twice; they should be divided once by its root, sqrt(d_k)."""
    return query @ key.transpose(-2, -1) / query.size(-1)


@SCORES_BUGS.bug("Scaling is there to keep the scores small. Which way does yours go?", derived=in_training.FACTOR)
def multiplied_by_root_d_k(query: Tensor, key: Tensor) -> Tensor:
    """Your scores are multiplied by sqrt(d_k); they should be divided by it."""
    return query @ key.transpose(-2, -1) * query.size(-1) ** 0.5


@SCORES_BUGS.bug("Which dimension of query do you read the size from? The last one holds the features.")
def divided_by_root_of_keys(query: Tensor, key: Tensor) -> Tensor:
    """Your scores are divided by the root of the number of keys; they should be divided by sqrt(d_k), the root of
    the number of features.
    """
    return query @ key.transpose(-2, -1) / key.size(-2) ** 0.5


@SCORES_BUGS.bug("Which dimension of query do you read the size from? The last one holds the features.")
def divided_by_root_of_queries(query: Tensor, key: Tensor) -> Tensor:
    """Your scores are divided by the root of the number of queries; they should be divided by sqrt(d_k), the root of
    the number of features.
    """
    return query @ key.transpose(-2, -1) / query.size(-2) ** 0.5


@SCORES_BUGS.bug(
    "query is (batch, heads, queries, features). Which of the four does size(1) give?", derived=in_training.FACTOR
)
def divided_by_root_of_heads(query: Tensor, key: Tensor) -> Tensor:
    """Your scores are divided by the root of the number of heads; they should be divided by sqrt(d_k), the root of
    the number of features of a query.
    """
    return query @ key.transpose(-2, -1) / query.size(1) ** 0.5


@SCORES_BUGS.bug(
    "A dot product here runs over the features of one head. How many are they?", derived=in_training.FACTOR
)
def divided_by_root_d_model(query: Tensor, key: Tensor) -> Tensor:
    """Your scores are divided by sqrt(d_model), the width of all heads together; they should be divided by
    sqrt(d_k), the width of one head.
    """
    d_model = query.size(1) * query.size(-1)
    return query @ key.transpose(-2, -1) / d_model**0.5


@SCORES_BUGS.bug("The scores should have one row for each query and one column for each key.", section=SCORES)
def keys_times_queries(query: Tensor, key: Tensor) -> Tensor:
    """Your scores are key @ query.T; they should be query @ key.T, with a row for each query."""
    return key @ query.transpose(-2, -1) / query.size(-1) ** 0.5


@SCORES_BUGS.bug(
    "Scaling divides by a number that depends on the shape only, not on the values.",
    section=SCORES,
    also=(
        lambda query, key: right_cosine(query, key) / query.size(-1) ** 0.5,
        lambda query, key: right_cosine(query, key) * query.size(-1) ** 0.5,
    ),
)
def cosine_similarity(query: Tensor, key: Tensor) -> Tensor:
    """Your scores are cosines: queries and keys are normalised to length 1. They should be dot products over
    sqrt(d_k), in which lengths count.
    """
    return right_cosine(query, key)


def right_cosine(query: Tensor, key: Tensor) -> Tensor:
    """Return the cosine of the angle between each query and each key."""
    return F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1)


@VALUE_BUGS.bug(
    "Values may have another width than queries and keys. Which of the two makes the dot products large?",
    derived=in_training.FACTOR,
)
def divided_by_root_d_v(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Your scores are divided by the root of the number of features of a value; they should be divided by sqrt(d_k),
    the root of the number of features of a query.
    """

    def scores(query: Tensor, key: Tensor) -> Tensor:
        return query @ key.transpose(-2, -1) / value.size(-1) ** 0.5

    return build_attention({"scores": scores})(query, key, value, mask)


@SCORES_BUGS.bug("Two vectors that point the same way: is your score large or small?", section=SCORES)
def scores_negated(query: Tensor, key: Tensor) -> Tensor:
    """Your scores have the wrong sign: the key that fits a query best gets the smallest weight."""
    return -query @ key.transpose(-2, -1) / query.size(-1) ** 0.5


@SCORES_BUGS.bug(
    "Python raises to a power before it divides. What is 16 ** 1/2?",
    also=(lambda query, key: query @ key.transpose(-2, -1) * (query.size(-1) / 2),),
)
def half_power_without_parentheses(query: Tensor, key: Tensor) -> Tensor:
    """Your scores are divided, or multiplied, by d_k / 2, which is what Python makes of d_k ** 1/2: it reads (d_k **
    1) / 2. Divide by d_k ** 0.5.
    """
    return query @ key.transpose(-2, -1) / (query.size(-1) / 2)


@VALUE_BUGS.bug("What should a row of weights sum to?")
def scaled_after_softmax(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """You divide by sqrt(d_k) after the softmax; divide the scores by it, before the softmax."""
    scale = query.size(-1) ** 0.5
    return build_attention({"scores": no_scaling.wrong})(query, key, value, mask) / scale
