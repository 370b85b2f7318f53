"""Wrong scores: products of queries and keys that are not scaled, scaled wrongly, or not products at all."""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong function under it.

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from companion.checks._spec import Bug, bug, section
from companion.checks.bank.attention import build_attention

SCALING = section("attention", "An experiment: what the scale is for")
SCORES = section("attention", "As matrices")

SCORES_BUGS: list[Bug] = []
VALUE_BUGS: list[Bug] = []  # those that need the values, and so a whole function


@bug(
    SCORES_BUGS,
    "Your scores are not scaled: divide them by sqrt(d_k), the root of the number of features of a query.",
    hint="How large is a dot product of two random vectors with 100 features, compared to one with 4?",
    section=SCALING,
    part="scores",
)
def no_scaling(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.transpose(-2, -1)


@bug(
    SCORES_BUGS,
    "Your scores are divided by d_k, or scaled twice; they should be divided once by its root, sqrt(d_k).",
    hint="The dot product's standard deviation grows like the root of d_k, its variance like d_k.",
    section=SCALING,
    part="scores",
)
def divided_by_d_k(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.transpose(-2, -1) / query.size(-1)


@bug(
    SCORES_BUGS,
    "Your scores are multiplied by sqrt(d_k); they should be divided by it.",
    hint="Scaling is there to keep the scores small. Which way does yours go?",
    section=SCALING,
    part="scores",
)
def multiplied_by_root_d_k(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.transpose(-2, -1) * query.size(-1) ** 0.5


@bug(
    SCORES_BUGS,
    "Your scores are divided by the root of the number of keys; they should be divided by sqrt(d_k), the root of "
    "the number of features.",
    hint="Which dimension of query do you read the size from? The last one holds the features.",
    section=SCALING,
    part="scores",
)
def divided_by_root_of_keys(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.transpose(-2, -1) / key.size(-2) ** 0.5


@bug(
    SCORES_BUGS,
    "Your scores are divided by the root of the number of queries; they should be divided by sqrt(d_k), the root "
    "of the number of features.",
    hint="Which dimension of query do you read the size from? The last one holds the features.",
    section=SCALING,
    part="scores",
)
def divided_by_root_of_queries(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.transpose(-2, -1) / query.size(-2) ** 0.5


@bug(
    SCORES_BUGS,
    "Your scores are divided by the root of the number of heads; they should be divided by sqrt(d_k), the root of "
    "the number of features of a query.",
    hint="query is (batch, heads, queries, features). Which of the four does size(1) give?",
    section=SCALING,
    part="scores",
)
def divided_by_root_of_heads(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.transpose(-2, -1) / query.size(1) ** 0.5


@bug(
    SCORES_BUGS,
    "Your scores are divided by sqrt(d_model), the width of all heads together; they should be divided by "
    "sqrt(d_k), the width of one head.",
    hint="A dot product here runs over the features of one head. How many are they?",
    section=SCALING,
    part="scores",
)
def divided_by_root_d_model(query: Tensor, key: Tensor) -> Tensor:
    d_model = query.size(1) * query.size(-1)
    return query @ key.transpose(-2, -1) / d_model**0.5


@bug(
    SCORES_BUGS,
    "Your scores are key @ query.T; they should be query @ key.T, with a row for each query.",
    hint="The scores should have one row for each query and one column for each key.",
    section=SCORES,
    part="scores",
)
def keys_times_queries(query: Tensor, key: Tensor) -> Tensor:
    return key @ query.transpose(-2, -1) / query.size(-1) ** 0.5


@bug(
    SCORES_BUGS,
    "Your scores are cosines: queries and keys are normalised to length 1. They should be dot products over "
    "sqrt(d_k), in which lengths count.",
    hint="Scaling divides by a number that depends on the shape only, not on the values.",
    section=SCORES,
    part="scores",
    also=(
        lambda query, key: right_cosine(query, key) / query.size(-1) ** 0.5,
        lambda query, key: right_cosine(query, key) * query.size(-1) ** 0.5,
    ),
)
def cosine_similarity(query: Tensor, key: Tensor) -> Tensor:
    return right_cosine(query, key)


def right_cosine(query: Tensor, key: Tensor) -> Tensor:
    """Return the cosine of the angle between each query and each key."""
    return F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1)


@bug(
    VALUE_BUGS,
    "Your scores are divided by the root of the number of features of a value; they should be divided by sqrt(d_k), "
    "the root of the number of features of a query.",
    hint="Values may have another width than queries and keys. Which of the two makes the dot products large?",
    section=SCALING,
)
def divided_by_root_d_v(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    def scores(query: Tensor, key: Tensor) -> Tensor:
        return query @ key.transpose(-2, -1) / value.size(-1) ** 0.5

    return build_attention({"scores": scores})(query, key, value, mask)


@bug(
    SCORES_BUGS,
    "Your scores have the wrong sign: the key that fits a query best gets the smallest weight.",
    hint="Two vectors that point the same way: is your score large or small?",
    section=SCORES,
    part="scores",
)
def scores_negated(query: Tensor, key: Tensor) -> Tensor:
    return -query @ key.transpose(-2, -1) / query.size(-1) ** 0.5


@bug(
    SCORES_BUGS,
    "Your scores are divided, or multiplied, by d_k / 2, which is what Python makes of d_k ** 1/2: it reads (d_k ** 1) "
    "/ 2. Divide by d_k ** 0.5.",
    hint="Python raises to a power before it divides. What is 16 ** 1/2?",
    section=SCALING,
    part="scores",
    also=(lambda query, key: query @ key.transpose(-2, -1) * (query.size(-1) / 2),),
)
def half_power_without_parentheses(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.transpose(-2, -1) / (query.size(-1) / 2)


@bug(
    VALUE_BUGS,
    "You divide by sqrt(d_k) after the softmax; divide the scores by it, before the softmax.",
    hint="What should a row of weights sum to?",
    section=SCALING,
)
def scaled_after_softmax(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scale = query.size(-1) ** 0.5
    return build_attention({"scores": no_scaling.wrong})(query, key, value, mask) / scale
