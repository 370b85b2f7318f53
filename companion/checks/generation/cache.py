"""Wrong ways of attending with a cache, and how to put a step together. Here: what may be seen, and the answer.

Shapes: B batch, H heads, N new tokens, K tokens so far, E features of a key, V of a value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from companion.checks.engine.bank import Bank, section

ALIGNED = section("masks", "Aligned to which corner?")
MODES = section("masks", "In both modes, with a cache and without")
ONE_BY_ONE = section("transformer", "One token at a time")
SCORES = section("attention", "By hand")

NO_CACHE = "Derived: not at all, as long as training uses no cache. It shows when a cache decodes."

SEE_BUGS = Bank(part="see", section=MODES, derived=NO_CACHE)
ANSWER_BUGS = Bank(part="scores", section=SCORES, derived=NO_CACHE)

Cache = Any
Seen = tuple[Tensor, Tensor]


def build_kv_cache(parts: Mapping[str, Callable[..., Any]]) -> Callable[..., tuple[Tensor, Cache]]:
    """Return a step of attention with a cache, some parts replaced.

    The parts: remember(cache, key, value) gives the keys and values to look at and the new cache; see(queries, keys,
    first) the mask; scores(query, keys); finish(weights, values).
    """
    remember = parts.get("remember", right_remember)
    see = parts.get("see", _see)
    scores = parts.get("scores", _scores)
    answer = parts.get("answer", _answer)

    def step(query: Tensor, key: Tensor, value: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        (keys, values), new_cache = remember(cache, key, value)
        mask = see(query.size(-2), keys.size(-2), cache is None)
        logits = scores(query, keys).masked_fill(~mask, -torch.inf)
        return answer(logits.softmax(dim=-1), values), new_cache

    return step


def right_remember(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    """Return the keys and values so far, which are the new cache as well."""
    seen = (key, value) if cache is None else (after(cache[0], key), after(cache[1], value))
    return seen, seen


def _see(queries: int, keys: int, first: bool) -> Tensor:
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)


def _scores(query: Tensor, keys: Tensor) -> Tensor:
    return query @ keys.mT / math.sqrt(query.size(-1))  # (B, H, N, K)


def _answer(weights: Tensor, values: Tensor) -> Tensor:
    return weights @ values  # (B, H, N, V)


def after(old: Tensor, new: Tensor) -> Tensor:
    """Append new tokens (B, H, N, E) to old ones."""
    return torch.cat([old, new], dim=-2)


# --- what may be seen


@SEE_BUGS.bug("One new query and five keys: which of the keys may it see?", section=ALIGNED)
def mask_aligned_top_left(queries: int, keys: int, first: bool) -> Tensor:
    """The causal mask is aligned top-left, as torch's is_causal=True is: the first new query counts as the first
    token. With a cache it is a later one, so the mask has to be aligned bottom-right.
    """
    return torch.ones(queries, keys, dtype=torch.bool).tril()


@SEE_BUGS.bug("Three tokens come at once. May the first look at the third?")
def no_mask(queries: int, keys: int, first: bool) -> Tensor:
    """There is no causal mask: where several tokens come in one call, each sees those after it."""
    return torch.ones(queries, keys, dtype=torch.bool)


@SEE_BUGS.bug("What is the mask when the cache is None?")
def prompt_unmasked(queries: int, keys: int, first: bool) -> Tensor:
    """The first call has no causal mask: the tokens of the prompt see those after them. Later calls are right."""
    return no_mask.wrong(queries, keys, first) if first else _see(queries, keys, first)


@SEE_BUGS.bug("What is the mask when there is a cache and two tokens come at once?")
def later_calls_unmasked(queries: int, keys: int, first: bool) -> Tensor:
    """Only the first call has a causal mask: where several tokens come in a later call, each sees those after it."""
    return _see(queries, keys, first) if first else no_mask.wrong(queries, keys, first)


@SEE_BUGS.bug(
    "Is the key of the new token among those that its query may look at?",
    section=ALIGNED,
    also=(lambda queries, keys, first: _see(queries, keys, first).tril(keys - queries - 1),),
)
def own_key_hidden(queries: int, keys: int, first: bool) -> Tensor:
    """A new token does not see itself: the mask leaves out its own key."""
    mask = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries - 1)
    return mask | (torch.arange(keys) == 0) & ~mask.any(dim=-1, keepdim=True)  # the first token sees itself


@SEE_BUGS.bug("Which diagonal of the mask belongs to the last of the new tokens?", section=ALIGNED)
def one_token_ahead(queries: int, keys: int, first: bool) -> Tensor:
    """A new token sees one token into the future, where it came in the same call: the mask is off by one."""
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries + 1)


@SEE_BUGS.bug("Change the first token: does the last output move?")
def cache_not_looked_at(queries: int, keys: int, first: bool) -> Tensor:
    """Only the newest tokens are looked at: the cache is handed on, but attention does not use it."""
    return _see(queries, keys, first) & (torch.arange(keys) >= keys - queries)


@SEE_BUGS.bug("Which keys does the first token of a prompt know?")
def mask_inverted(queries: int, keys: int, first: bool) -> Tensor:
    """The causal mask is the wrong way round: each new token sees those after it, and not itself or those before."""
    return ~_see(queries, keys, first)


# --- the scores, the answer


@ANSWER_BUGS.bug("Compare a single call with plain attention, step by step.")
def no_scaling(query: Tensor, keys: Tensor) -> Tensor:
    """The scores are not divided by the root of the number of features, sqrt(E)."""
    return query @ keys.mT


@ANSWER_BUGS.bug("Does your scale change from call to call?")
def divided_by_root_of_length(query: Tensor, keys: Tensor) -> Tensor:
    """The scores are divided by the root of the number of tokens so far; it should be sqrt(E), the features of a
    key.
    """
    return query @ keys.mT / math.sqrt(keys.size(-2))


@ANSWER_BUGS.bug(
    "Three tokens come in a call: how many rows should come back?",
    section=ONE_BY_ONE,
    part="answer",
    also=(lambda weights, values: (weights @ values)[:, :, -1:].expand(-1, -1, weights.size(-2), -1),),
)
def only_the_last_output(weights: Tensor, values: Tensor) -> Tensor:
    """Your output is only that of the last new token; each new token should get one."""
    return (weights @ values)[:, :, -1:]


@ANSWER_BUGS.bug("With one new token, what does a softmax over the new tokens give?", part="")
def softmax_over_queries(query: Tensor, key: Tensor, value: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
    """Your weights sum to 1 over the new tokens: the softmax runs over dim -2; it should run over the keys, dim -1."""
    (keys, values), new_cache = right_remember(cache, key, value)
    mask = _see(query.size(-2), keys.size(-2), cache is None)
    return _answer(_scores(query, keys).masked_fill(~mask, -torch.inf).softmax(dim=-2).nan_to_num(), values), new_cache
