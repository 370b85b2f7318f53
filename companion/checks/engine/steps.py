"""Checking a function that is called many times: a sequence in chunks, with a cache handed from call to call.

The check calls it as one function of the whole sequence and of the sizes of the chunks; what the learner keeps in the
cache is the learner's business.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from companion.checks.engine.bank import Bug, recognise
from companion.checks.engine.calling import Problem, codes_of, type_name, unfinished
from companion.checks.engine.handed_in import HandedIn, others
from companion.checks.engine.probe import Probe
from companion.checks.engine.signatures import arguments, problem_of_function

_TAKES = ("query", "key", "value", "cache")


class StepForm:
    """A function ``fn(query, key, value, cache) -> (output, cache)``."""

    what = "function"
    parameters = told = ("query", "key", "value", "chunks")
    call = "fn(query, key, value, cache)"
    kept = "Two sequences that take turns, each with its own cache, disturb one another: something is kept beside it."

    def hand_in(self, thing: Any, early: Sequence[Bug] = ()) -> HandedIn:
        """Return it as a function of a whole sequence."""
        return thing if isinstance(thing, HandedInStep) else HandedInStep(thing, early)

    def fill(self, probe: Probe) -> None:
        """Return nothing: a step has no parameters of its own."""


class HandedInStep:
    """A step as a function of a sequence: ``fn(query=…, key=…, value=…, chunks=…)``, everything by name.

    Args:
        step: the learner's function.
        early: the bugs that show in what it keeps.
    """

    remark = ""

    def __init__(self, step: Any, early: Sequence[Bug]) -> None:
        self.thing = step
        self.early = early
        self.is_used = False
        self.codes = codes_of(step)

    def __call__(self, **values: Any) -> Tensor:
        """Feed the sequence chunk by chunk and join the outputs."""
        query, key, value, chunks = (values[name] for name in StepForm.parameters)
        cache, outputs, start = None, [], 0
        another = others({"query": query, "key": key, "value": value})
        other_cache = None
        for chunk in chunks:
            here = slice(start, start + chunk)
            if self.is_used:  # another sequence has its turn first
                other_cache = self.step(**{name: x[:, :, here] for name, x in another.items()}, cache=other_cache)[1]
            returned = self.step(query=query[:, :, here], key=key[:, :, here], value=value[:, :, here], cache=cache)
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
            recognise(self.early, cache, key[:, :, :start], value[:, :, :start])
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

    def step(self, **new: Any) -> Any:
        """Call the learner's function once."""
        args, kwargs = arguments(self.thing, _TAKES, new)
        return self.thing(*args, **kwargs)

    def on(self, values: Mapping[str, Any], right: nn.Module | None) -> Any:
        """Call what is our own."""
        return self(**values)

    def problem(self) -> str:
        """Say in a sentence why it cannot be called as the check calls it; empty if it can."""
        return problem_of_function(self.thing, _TAKES, StepForm.call)

    def has_default(self, name: str) -> bool:
        """Nothing is left out of a call."""
        return False

    def used(self) -> HandedIn:
        """Return the same, but another sequence takes turns with the first: neither should notice."""
        other = copy.copy(self)
        other.is_used = True
        return other


def _told(returned: Any) -> str:
    if isinstance(returned, tuple):
        return f"a tuple of {len(returned)}"
    return "None" if returned is None else type_name(returned)
