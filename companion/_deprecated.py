"""The way out for a public name: it warns for at least one minor version before it goes.

Nothing is deprecated yet; this is how it will be done. A test fails when a version is reached that a name should not
have lived to see.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

_Thing = TypeVar("_Thing", bound=Callable[..., Any])

DEPRECATED: dict[str, str] = {}
"""What is deprecated, and the first version without it."""


def deprecated(*, since: str, until: str, use: str) -> Callable[[_Thing], _Thing]:
    """Mark a function or class that will go.

    Args:
        since: the version, such as "0.2", in which it begins to warn.
        until: the first version without it, a later minor or major one.
        use: what to use instead.

    Returns:
        a decorator; what it decorates works as before, and gives a `DeprecationWarning` to its caller.

    Raises:
        ValueError: no minor version lies between the two.
    """
    if version(until) <= version(since):
        raise ValueError(f"a name warns for a minor version: it cannot go in {until} and be deprecated since {since}")

    def mark(thing: _Thing) -> _Thing:
        name = thing.__name__
        message = f"companion.{name} is deprecated since {since}, and version {until} is without it: use {use}"
        DEPRECATED[name] = until
        target: Any = thing.__init__ if isinstance(thing, type) else thing  # type: ignore[misc]

        @functools.wraps(target)
        def warn(*args: Any, **kwargs: Any) -> Any:
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            return target(*args, **kwargs)

        if isinstance(thing, type):
            thing.__init__ = warn  # type: ignore[misc]
            return thing
        return warn  # type: ignore[return-value]

    return mark


def version(text: str) -> tuple[int, int]:
    """Return the major and the minor number of a version; the patch decides nothing."""
    major, minor, *_ = text.split(".")
    return int(major), int(minor)
