"""Wrong softmaxes, and wrong ways of taking the average with right weights."""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong function under it.

from __future__ import annotations

from torch import Tensor

from companion.checks._spec import Bug, bug, section

SOFTMAX = section("attention", "By hand")
AVERAGE = section("attention", "By hand")

SOFTMAX_BUGS: list[Bug] = []
OUTPUT_BUGS: list[Bug] = []


# --- softmax


@bug(
    SOFTMAX_BUGS,
    "Your weights sum to 1 over the queries: the softmax runs over dim -2; it should run over the keys, dim -1.",
    hint="Each query shares out a weight of 1 among the keys. Which dimension holds the keys?",
    section=SOFTMAX,
    part="softmax",
)
def softmax_over_queries(scores: Tensor) -> Tensor:
    return scores.softmax(dim=-2)


@bug(
    SOFTMAX_BUGS,
    "Your weights sum to 1 over the heads: the softmax runs over dim 1; it should run over the keys, dim -1.",
    hint="Scores are (batch, heads, queries, keys). Which dimension holds the keys?",
    section=SOFTMAX,
    part="softmax",
)
def softmax_over_heads(scores: Tensor) -> Tensor:
    return scores.softmax(dim=1)


@bug(
    SOFTMAX_BUGS,
    "Your weights sum to 1 over the batch: the softmax runs over dim 0; it should run over the keys, dim -1.",
    hint="Items of a batch know nothing of each other. Which dimension holds the keys?",
    section=SOFTMAX,
    part="softmax",
)
def softmax_over_batch(scores: Tensor) -> Tensor:
    return scores.softmax(dim=0)


@bug(
    SOFTMAX_BUGS,
    "Your weights sum to 1 over the whole matrix: the softmax runs over queries and keys together; each query "
    "should have a softmax of its own, over the keys.",
    hint="How many sums should be 1: one for each matrix, or one for each of its rows?",
    section=SOFTMAX,
    part="softmax",
)
def softmax_over_the_matrix(scores: Tensor) -> Tensor:
    return scores.flatten(-2).softmax(dim=-1).view_as(scores)


@bug(
    SOFTMAX_BUGS,
    "There is no softmax: your weights are the scores themselves, which may be negative and need not sum to 1.",
    hint="An average needs weights that are not negative and sum to 1. What makes such weights from scores?",
    section=SOFTMAX,
    part="softmax",
)
def no_softmax(scores: Tensor) -> Tensor:
    return scores


@bug(
    SOFTMAX_BUGS,
    "The softmax is taken twice: the weights become nearly equal, and masked keys get some weight back.",
    hint="What does a softmax make of numbers that all lie between 0 and 1?",
    section=SOFTMAX,
    part="softmax",
)
def softmax_twice(scores: Tensor) -> Tensor:
    return scores.softmax(dim=-1).softmax(dim=-1)


@bug(
    SOFTMAX_BUGS,
    "Your weights are sigmoids: each key is judged alone, and a row does not sum to 1. Take a softmax over the keys.",
    hint="The keys compete for a weight of 1. Where do yours compete?",
    section=SOFTMAX,
    part="softmax",
)
def sigmoid_for_softmax(scores: Tensor) -> Tensor:
    return scores.sigmoid()


@bug(
    SOFTMAX_BUGS,
    "Your weights are logarithms: log_softmax, where softmax is meant.",
    hint="Look at one row of your weights. May a weight be negative?",
    section=SOFTMAX,
    part="softmax",
)
def log_softmax_for_softmax(scores: Tensor) -> Tensor:
    return scores.log_softmax(dim=-1)


@bug(
    SOFTMAX_BUGS,
    "Your weights are exp(scores) without the division: divide each row by its sum.",
    hint="What does each row of your weights sum to?",
    section=SOFTMAX,
    part="softmax",
)
def not_normalised(scores: Tensor) -> Tensor:
    return scores.exp()


@bug(
    SOFTMAX_BUGS,
    "Your weights are the scores divided by their sum: the exponential is missing.",
    hint="Scores may be negative, weights may not. Which step of the softmax sees to that?",
    section=SOFTMAX,
    part="softmax",
    # Scores times the mask: without an exponential that hides them.
    also=(lambda scores: _shares(scores.masked_fill(scores.isneginf(), 0.0)),),
)
def no_exponential(scores: Tensor) -> Tensor:
    return scores / scores.sum(dim=-1, keepdim=True)


def _shares(scores: Tensor) -> Tensor:
    return scores / scores.sum(dim=-1, keepdim=True)


@bug(
    SOFTMAX_BUGS,
    "All your weights together sum to 1, over the whole batch: the sum (or the softmax) has no dimension. Each query "
    "should have a softmax of its own, over the keys, dim -1.",
    hint="What does a sum without dim add up?",
    section=SOFTMAX,
    part="softmax",
)
def softmax_over_everything(scores: Tensor) -> Tensor:
    return scores.flatten().softmax(dim=0).view_as(scores)


# --- output


@bug(
    OUTPUT_BUGS,
    "Your output averages the keys; the weights should average the values.",
    hint="Keys say where to look. What is carried away from there?",
    section=AVERAGE,
    part="output",
)
def weights_times_keys(weights: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return weights @ key


@bug(
    OUTPUT_BUGS,
    "Your weights are transposed before they meet the values: an output then mixes values by the columns of the "
    "weights, not by the rows.",
    hint="Row i of the weights belongs to query i. Which row of the output should it make?",
    section=AVERAGE,
    part="output",
)
def weights_transposed(weights: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return weights.transpose(-2, -1) @ value


@bug(
    OUTPUT_BUGS,
    "Your function returns the weights; it should return the output, weights @ value (or output and weights, in "
    "this order).",
    hint="The values are an input of your function. What happened to them?",
    section=AVERAGE,
    part="output",
)
def weights_returned(weights: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return weights
