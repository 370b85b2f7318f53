"""The right class with some methods replaced: how a bank makes its wrong classes, and runs hundreds in a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from torch import nn


class Variant:
    """What builds the right class with some methods replaced; all variants of one size share what is in them.

    Args:
        base: the right class.
        methods: those that are different, by name.
    """

    def __init__(self, base: type[nn.Module], methods: Mapping[str, Callable[..., Any]]) -> None:
        self.base: Any = base
        self.cls: Any = type(base.__name__.removeprefix("Right"), (base,), dict(methods))

    def __call__(self, *sizes: Any) -> nn.Module:
        """Return a variant of these sizes."""
        return self.of(_built(self.base, *sizes))

    def of(self, right: nn.Module) -> nn.Module:
        """Return a right module as if it were of this class; both share all that is in it."""
        module: nn.Module = self.cls.__new__(self.cls)
        module.__dict__ = dict(right.__dict__)
        return module


@cache
def _built(base: Any, *sizes: Any) -> nn.Module:
    module: nn.Module = base(*sizes)
    return module
