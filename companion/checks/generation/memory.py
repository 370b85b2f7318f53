"""Wrong ways of remembering with a cache.

Shapes: B batch, H heads, N new tokens, K tokens so far, E features of a key, V of a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from companion.checks.engine.bank import Bank
from companion.checks.generation.cache import ALIGNED, NO_CACHE, ONE_BY_ONE, Cache, Seen, after, right_remember

REMEMBER_BUGS = Bank(part="remember", section=ONE_BY_ONE, derived=NO_CACHE)


@REMEMBER_BUGS.bug("After the third call, how many tokens does your cache hold?")
def cache_overwritten(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    """The cache is overwritten by the newest keys and values; they should be added to those before."""
    return right_remember(cache, key, value)[0], (key, value)


@REMEMBER_BUGS.bug("After the third call, how many tokens does your cache hold?")
def cache_never_extended(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    """The cache never grows: it holds what came in the first call, for ever."""
    return right_remember(cache, key, value)[0], (key, value) if cache is None else cache


@REMEMBER_BUGS.bug(
    "In which order do the tokens stand in your cache, and in which does the mask count them?", section=ALIGNED
)
def appended_in_front(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    """New keys and values are put in front of the old ones. The causal mask then hides the wrong tokens."""
    seen = (key, value) if cache is None else (after(key, cache[0]), after(value, cache[1]))
    return seen, seen


@REMEMBER_BUGS.bug("Does row j of the keys belong to the same token as row j of the values?")
def keys_in_front_values_behind(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    """New keys are put in front of the old ones, new values behind: a key's weight falls on another token's value."""
    seen = (key, value) if cache is None else (after(key, cache[0]), after(cache[1], value))
    return seen, seen


@REMEMBER_BUGS.bug(
    "After a first call with three tokens and a second with one, how many does your cache hold?",
    also=(
        # The first call, too.
        lambda cache, key, value: 2 * (right_remember(right_remember(cache, key, value)[0], key, value)[0],),
    ),
)
def added_twice(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    """New keys and values are added twice, so that they get a double share of attention."""
    seen = right_remember(cache, key, value)[0]
    return 2 * (seen if cache is None else right_remember(seen, key, value)[0],)


def _tensors(held: Any) -> Iterator[Tensor]:
    """Yield the tensors in a cache, whatever it is."""
    if isinstance(held, Tensor):
        yield held
    elif isinstance(held, Mapping):
        for value in held.values():
            yield from _tensors(value)
    elif isinstance(held, list | tuple):
        for value in held:
            yield from _tensors(value)
    elif hasattr(held, "__dict__"):
        yield from _tensors(vars(held))


def _holds_only(cache: Cache, wanted: Tensor, other: Tensor) -> bool:
    """Whether a cache holds the keys so far alone, or the values; the next call can only crash."""
    return [x.shape for x in _tensors(cache)] == [wanted.shape] and wanted.shape != other.shape


@REMEMBER_BUGS.bug("Of what is the output a weighted mean?", shows_in=_holds_only)
def only_keys_cached(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    """Your cache holds only the keys; the values of earlier tokens are needed as well."""
    keys = key if cache is None else after(cache, key)
    return (keys, value), keys


@REMEMBER_BUGS.bug(
    "With what does a new query compare itself?",
    shows_in=lambda cache, keys, values: _holds_only(cache, values, keys),
)
def only_values_cached(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    """Your cache holds only the values; the keys of earlier tokens are needed as well."""
    values = value if cache is None else after(cache, value)
    return (key, values), values


@REMEMBER_BUGS.bug("In which order do you put them into the cache, and in which do you take them out?")
def keys_and_values_change_places(cache: Cache, key: Tensor, value: Tensor) -> tuple[Seen, Cache]:
    """Keys and values change places in your cache."""
    seen = (key, value) if cache is None else (after(cache[1], key), after(cache[0], value))
    return seen, seen
