"""Wrong ways of remembering with a cache.

Shapes: B batch, H heads, N new tokens, K tokens so far, E features of a key, V of a value.
"""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong function under it.

from __future__ import annotations

from torch import Tensor

from companion.checks._spec import Bug, bug
from companion.checks.bank.generation_cache import ALIGNED, ONE_BY_ONE, Cache, Seen, after, right_remember

REMEMBER_BUGS: list[Bug] = []


@bug(
    REMEMBER_BUGS,
    "The cache is overwritten by the newest keys and values; they should be added to those before.",
    hint="After the third call, how many tokens does your cache hold?",
    section=ONE_BY_ONE,
    part="remember",
)
def cache_overwritten(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    return right_remember(cache, key, value)[0], (key, value)


@bug(
    REMEMBER_BUGS,
    "The cache never grows: it holds what came in the first call, for ever.",
    hint="After the third call, how many tokens does your cache hold?",
    section=ONE_BY_ONE,
    part="remember",
)
def cache_never_extended(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    return right_remember(cache, key, value)[0], (key, value) if cache is None else cache


@bug(
    REMEMBER_BUGS,
    "New keys and values are put in front of the old ones. The causal mask then hides the wrong tokens.",
    hint="In which order do the tokens stand in your cache, and in which does the mask count them?",
    section=ALIGNED,
    part="remember",
)
def appended_in_front(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    seen = (key, value) if cache is None else (after(key, cache[0]), after(value, cache[1]))
    return seen, seen


@bug(
    REMEMBER_BUGS,
    "New keys are put in front of the old ones, new values behind: a key's weight falls on another token's value.",
    hint="Does row j of the keys belong to the same token as row j of the values?",
    section=ONE_BY_ONE,
    part="remember",
)
def keys_in_front_values_behind(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    seen = (key, value) if cache is None else (after(key, cache[0]), after(cache[1], value))
    return seen, seen


@bug(
    REMEMBER_BUGS,
    "New keys and values are added twice, so that they get a double share of attention.",
    hint="After a first call with three tokens and a second with one, how many does your cache hold?",
    section=ONE_BY_ONE,
    part="remember",
    also=(
        # The first call, too.
        lambda cache, key, value: 2 * (right_remember(right_remember(cache, key, value)[0], key, value)[0],),
    ),
)
def added_twice(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    seen = right_remember(cache, key, value)[0]
    return 2 * (seen if cache is None else right_remember(seen, key, value)[0],)


@bug(
    REMEMBER_BUGS,
    "Your cache holds only the keys; the values of earlier tokens are needed as well.",
    hint="Of what is the output a weighted mean?",
    section=ONE_BY_ONE,
    part="remember",
)
def only_keys_cached(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    keys = key if cache is None else after(cache, key)
    return (keys, value), keys


@bug(
    REMEMBER_BUGS,
    "Your cache holds only the values; the keys of earlier tokens are needed as well.",
    hint="With what does a new query compare itself?",
    section=ONE_BY_ONE,
    part="remember",
)
def only_values_cached(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    values = value if cache is None else after(cache, value)
    return (key, values), values


@bug(
    REMEMBER_BUGS,
    "Keys and values change places in your cache.",
    hint="In which order do you put them into the cache, and in which do you take them out?",
    section=ONE_BY_ONE,
    part="remember",
)
def keys_and_values_change_places(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    seen = (key, value) if cache is None else (after(cache[1], key), after(cache[0], value))
    return seen, seen
