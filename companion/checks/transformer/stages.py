"""Following a Transformer from stage to stage: which is the first that is wrong?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from companion.checks.engine.properties import Run

_ENTERS = "What enters the first {half} layer is not the embeddings times sqrt(d_model) plus the positions."
_LEAVES = "What enters the first {half} layer is right, and what leaves the last one is not: look at the layers{given}."
_LOGITS = "What leaves the last decoder layer is right: look at what stands between it and the logits."
_CLOSE = 1e-4


def first_wrong_stage(yours: Run, right: Run) -> list[str]:
    """Say which stage is the first to be wrong, as far as the layers of both models are called and can be watched."""
    seen, expected = _stages(yours), _stages(right)
    for (name, stage), wanted in zip(seen.items(), expected.values(), strict=True):
        if stage is None or wanted is None:
            return []
        if stage.shape != wanted.shape or not (stage.double() - wanted).abs().max() <= _CLOSE:  # or it is NaN
            return [name]
    return [_LOGITS]


def _stages(run: Run) -> dict[str, Tensor | None]:
    """Return what enters and leaves each half of a model, under the sentence that is told where it is wrong."""
    with _watched() as calls:
        run.call(**run.inputs)
    model = calls[-1][0] if calls else nn.Module()  # it returns last
    found = {}
    for half, given in (("encoder", " and at the mask"), ("decoder", ", the memory and the masks")):
        layers = [layer for name, layer in model.named_modules() if re.fullmatch(rf"{half}\.layers\.\d+", name)]
        of_first = [inputs for module, inputs, _ in calls if module in layers[:1]]
        of_last = [output for module, _, output in calls if module in layers[-1:]]
        found[_ENTERS.format(half=half)] = of_first[0] if of_first else None
        found[_LEAVES.format(half=half, given=given)] = of_last[-1] if of_last else None
    return found


@contextmanager
def _watched() -> Iterator[list[tuple[nn.Module, Any, Any]]]:
    """Collect the modules that return, with what each was given first and what it returned."""
    calls: list[tuple[nn.Module, Any, Any]] = []

    def watch(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        first = next(iter((*args, *kwargs.values())), None)
        if isinstance(first, Tensor) and isinstance(output, Tensor):
            calls.append((module, first.detach(), output.detach()))

    handle = register_module_forward_hook(watch, with_kwargs=True)
    try:
        yield calls
    finally:
        handle.remove()
