"""Checking a function that is called many times: a sequence in chunks, with a cache handed from call to call.

The check calls it as one function of the whole sequence and of the sizes of the chunks; what the learner keeps in the
cache is the learner's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from companion.checks._calls import KnownBug, Problem, arrange, codes_of, signature_problem, type_name, unfinished


@dataclass(frozen=True)
class Steps:
    """What a check expects of a function ``fn(query, key, value, cache) -> (output, cache)``."""

    what = "function"  # is handed in
    sizes = ()
    call = "fn(query, key, value, cache)"

    def function(self, fn: Any) -> StepFunction:
        """Return it as a function of a whole sequence."""
        return fn if isinstance(fn, StepFunction) else StepFunction(fn)


class StepFunction:
    """A step as a function of a sequence: ``fn(query=…, key=…, value=…, chunks=…)``, everything by name.

    Args:
        step: the learner's function.
    """

    by_name = True

    def __init__(self, step: Any) -> None:
        self.step = step
        self.codes = codes_of(step)

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, chunks: list[int]) -> Tensor:
        """Feed the sequence chunk by chunk and join the outputs."""
        cache, outputs, start = None, [], 0
        for chunk in chunks:
            here = slice(start, start + chunk)
            new = {"query": query[:, :, here], "key": key[:, :, here], "value": value[:, :, here], "cache": cache}
            args, kwargs = arrange(self.step, new)
            returned = self.step(*args, **kwargs)
            start += chunk
            if problem := unfinished(returned):
                raise Problem(problem)
            if not isinstance(returned, (tuple, list)) or len(returned) != 2:
                raise Problem(f"Your function returned {_told(returned)}; it should return two things, output, cache.")
            output, cache = returned
            if isinstance(cache, Tensor) and not isinstance(output, Tensor):
                raise Problem("Your function returns the cache first; it should return output, cache, in this order.")
            if not isinstance(output, Tensor):
                raise Problem(f"The output that your function returned is {type_name(output)}, not a torch tensor.")
            _look_into(cache, key[:, :, :start], value[:, :, :start])
            outputs.append(output)
        try:
            return torch.cat(outputs, dim=-2)
        except (RuntimeError, IndexError):
            shapes = ", ".join(str(tuple(output.shape)) for output in outputs)
            chunked = ", ".join(str(chunk) for chunk in chunks)
            raise Problem(
                f"For chunks of {chunked} tokens your outputs have shapes {shapes}; they should be (B, H, N, V) with N "
                "the number of new tokens."
            ) from None

    def signature_problem(self) -> str:
        """Say in a sentence why it cannot be called as the check calls it; empty if it can."""
        return signature_problem(self.step, ("query", "key", "value", "cache"), Steps.call)

    def has_default(self, name: str) -> bool:
        """Nothing is left out of a call."""
        return False


def _look_into(cache: Any, keys: Tensor, values: Tensor) -> None:
    """Say it if a cache holds the keys alone, or the values alone: the next call can only crash."""
    held = [x.shape for x in _tensors(cache)]
    if held == [keys.shape] and keys.shape != values.shape:
        raise KnownBug("only_keys_cached")
    if held == [values.shape] and keys.shape != values.shape:
        raise KnownBug("only_values_cached")


def _tensors(held: Any) -> Iterator[Tensor]:
    if isinstance(held, Tensor):
        yield held
    elif isinstance(held, Mapping):
        for value in held.values():
            yield from _tensors(value)
    elif isinstance(held, (list, tuple)):
        for value in held:
            yield from _tensors(value)
    elif hasattr(held, "__dict__"):
        yield from _tensors(vars(held))


def _told(returned: Any) -> str:
    if isinstance(returned, tuple):
        return f"a tuple of {len(returned)}"
    return "None" if returned is None else type_name(returned)
