"""The questions that the checks of chapter *attention* ask."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from companion.checks.attention.weights import NOTHING
from companion.checks.engine.probe import Probe

_NO_MASK = "Without a mask every query may attend to every key; nothing is hidden, not even the future."


def make_probes(seed: int = 20170612) -> tuple[Probe, ...]:
    """Return the probes for attention. All sizes in a probe differ, so that no size can stand in for another."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        # Numbers that float32 holds exactly, so that a float32 run gets the same inputs.
        return torch.randn(shape, generator=generator).double()

    def inputs(
        batch: int, heads: int, queries: int, keys: int, d_k: int, d_v: int, mask: Tensor, spread: float = 1.0
    ) -> dict[str, Tensor]:
        query, key = draw(batch, heads, queries, d_k) * spread, draw(batch, heads, keys, d_k)
        return {"query": query, "key": key, "value": draw(batch, heads, keys, d_v), "mask": mask}

    everything = torch.ones(5, 7, dtype=torch.bool)
    padding = torch.arange(5) < torch.tensor([5, 3, 2])[:, None]
    some = torch.rand(2, 3, 5, 7, generator=generator) < 0.4
    some[..., 0] |= ~some.any(dim=-1)  # each query may attend to something
    nothing = everything.clone()
    nothing[2] = False
    names = ("query", "key", "value")
    return (
        Probe("a mask that hides nothing", inputs(2, 3, 5, 7, 11, 13, everything), names),
        Probe("a causal mask", inputs(2, 3, 5, 5, 7, 7, torch.ones(5, 5, dtype=torch.bool).tril()), names),
        Probe("a padded batch", inputs(3, 2, 7, 5, 13, 11, padding[:, None, None, :]), names),
        Probe("large scores", inputs(2, 3, 5, 7, 11, 13, some, spread=20.0)),
        Probe("one item, one head, one query", inputs(1, 1, 1, 5, 7, 3, torch.ones(1, 5, dtype=torch.bool))),
        Probe("no mask", inputs(2, 3, 5, 7, 11, 13, everything), omit="mask", remedy=_NO_MASK),
        Probe(
            "a query that may attend to nothing",
            inputs(2, 3, 5, 7, 11, 13, nothing),
            edge_warning=NOTHING,
            remedy="All its weights should be 0, and its output with them.",
        ),
        Probe(
            "no mask and as many queries as keys",
            inputs(2, 3, 5, 5, 11, 7, everything[:, :5]),
            omit="mask",
            remedy=_NO_MASK,
        ),
    )


def make_probes_without_value(seed: int = 20170612) -> tuple[Probe, ...]:
    """Return the same probes for a function that takes no values."""
    return tuple(
        replace(
            probe,
            inputs={name: x for name, x in probe.inputs.items() if name != "value"},
            gradients=tuple(name for name in probe.gradients if name != "value"),
        )
        for probe in make_probes(seed)
    )
