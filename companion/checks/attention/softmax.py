"""Wrong softmaxes, and wrong ways of taking the average with right weights."""

from __future__ import annotations

from torch import Tensor

from companion.checks.engine.bank import Bank, section

SOFTMAX = section("attention", "By hand")
AVERAGE = section("attention", "By hand")

SOFTMAX_BUGS = Bank(part="softmax", section=SOFTMAX)
OUTPUT_BUGS = Bank(part="output", section=AVERAGE)


# --- softmax


@SOFTMAX_BUGS.bug("Each query shares out a weight of 1 among the keys. Which dimension holds the keys?")
def softmax_over_queries(scores: Tensor) -> Tensor:
    """Your weights sum to 1 over the queries: the softmax runs over dim -2; it should run over the keys, dim -1."""
    return scores.softmax(dim=-2)


@SOFTMAX_BUGS.bug("Scores are (batch, heads, queries, keys). Which dimension holds the keys?")
def softmax_over_heads(scores: Tensor) -> Tensor:
    """Your weights sum to 1 over the heads: the softmax runs over dim 1; it should run over the keys, dim -1."""
    return scores.softmax(dim=1)


@SOFTMAX_BUGS.bug("Items of a batch know nothing of each other. Which dimension holds the keys?")
def softmax_over_batch(scores: Tensor) -> Tensor:
    """Your weights sum to 1 over the batch: the softmax runs over dim 0; it should run over the keys, dim -1."""
    return scores.softmax(dim=0)


@SOFTMAX_BUGS.bug("How many sums should be 1: one for each matrix, or one for each of its rows?")
def softmax_over_the_matrix(scores: Tensor) -> Tensor:
    """Your weights sum to 1 over the whole matrix: the softmax runs over queries and keys together; each query
    should have a softmax of its own, over the keys.
    """
    return scores.flatten(-2).softmax(dim=-1).view_as(scores)


@SOFTMAX_BUGS.bug("An average needs weights that are not negative and sum to 1. What makes such weights from scores?")
def no_softmax(scores: Tensor) -> Tensor:
    """There is no softmax: your weights are the scores themselves, which may be negative and need not sum to 1."""
    return scores


@SOFTMAX_BUGS.bug("What does a softmax make of numbers that all lie between 0 and 1?")
def softmax_twice(scores: Tensor) -> Tensor:
    """The softmax is taken twice: the weights become nearly equal, and masked keys get some weight back."""
    return scores.softmax(dim=-1).softmax(dim=-1)


@SOFTMAX_BUGS.bug("The keys compete for a weight of 1. Where do yours compete?")
def sigmoid_for_softmax(scores: Tensor) -> Tensor:
    """Your weights are sigmoids: each key is judged alone, and a row does not sum to 1. Take a softmax over the
    keys.
    """
    return scores.sigmoid()


@SOFTMAX_BUGS.bug("Look at one row of your weights. May a weight be negative?")
def log_softmax_for_softmax(scores: Tensor) -> Tensor:
    """Your weights are logarithms: log_softmax, where softmax is meant."""
    return scores.log_softmax(dim=-1)


@SOFTMAX_BUGS.bug("What does each row of your weights sum to?")
def not_normalised(scores: Tensor) -> Tensor:
    """Your weights are exp(scores) without the division: divide each row by its sum."""
    return scores.exp()


@SOFTMAX_BUGS.bug(
    "Scores may be negative, weights may not. Which step of the softmax sees to that?",
    also=(lambda scores: _shares(scores.masked_fill(scores.isneginf(), 0.0)),),
)
def no_exponential(scores: Tensor) -> Tensor:
    """Your weights are the scores divided by their sum: the exponential is missing."""
    return scores / scores.sum(dim=-1, keepdim=True)


def _shares(scores: Tensor) -> Tensor:
    return scores / scores.sum(dim=-1, keepdim=True)


@SOFTMAX_BUGS.bug("What does a sum without dim add up?")
def softmax_over_everything(scores: Tensor) -> Tensor:
    """All your weights together sum to 1, over the whole batch: the sum (or the softmax) has no dimension. Each
    query should have a softmax of its own, over the keys, dim -1.
    """
    return scores.flatten().softmax(dim=0).view_as(scores)


# --- output


@OUTPUT_BUGS.bug("Keys say where to look. What is carried away from there?")
def weights_times_keys(weights: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Your output averages the keys; the weights should average the values."""
    return weights @ key


@OUTPUT_BUGS.bug("Row i of the weights belongs to query i. Which row of the output should it make?")
def weights_transposed(weights: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Your weights are transposed before they meet the values: an output then mixes values by the columns of the
    weights, not by the rows.
    """
    return weights.transpose(-2, -1) @ value


@OUTPUT_BUGS.bug("The values are an input of your function. What happened to them?")
def weights_returned(weights: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Your function returns the weights; it should return the output, weights @ value (or output and weights, in
    this order).
    """
    return weights
