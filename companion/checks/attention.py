"""Checks of chapter *attention*: `attention` and `attention_weights`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from companion.checks._facts import CAPTION, NOTHING, facts_of_weights
from companion.checks._measured import fill_of, of_large_scores, scale_of
from companion.checks._public import public
from companion.checks._report import Table
from companion.checks._spec import Check, Evidence, Probe, section
from companion.checks.bank.attention import build_attention, build_weights
from companion.checks.bank.attention_masks import MASK_BUGS
from companion.checks.bank.attention_scores import SCORES_BUGS, VALUE_BUGS
from companion.checks.bank.attention_softmax import OUTPUT_BUGS, SOFTMAX_BUGS

_MOVED = 1e-4
_LARGE = 3  # the probe with large scores
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
        Probe(
            probe.name,
            {name: x for name, x in probe.inputs.items() if name != "value"},
            tuple(name for name in probe.gradients if name != "value"),
            probe.edge_warning,
            probe.omit,
            probe.remedy,
        )
        for probe in make_probes(seed)
    )


def _look_at_attention(call: Callable[..., Tensor | None]) -> Evidence:
    def weights(query: Tensor, key: Tensor, mask: Tensor) -> Tensor | None:
        # With the identity for values, the output is the weights.
        identity = torch.eye(key.size(-2), dtype=key.dtype).expand(*key.shape[:-2], -1, -1)
        return call(query=query, key=key, value=identity, mask=mask)

    evidence = _look(weights)
    if any(any(map(any, table.wrong)) for table in evidence.tables):
        return evidence
    # The weights do not show it; what moves what may.
    return Evidence(evidence.facts, [*_influence_table(call), *evidence.tables], evidence.measured)


def _influence_table(call: Callable[..., Tensor | None]) -> list[Table]:
    """Draw how far each output moves when a token's key and value are changed."""
    inputs = ATTENTION.core[1].inputs

    def influence(run: Callable[..., Tensor | None]) -> Tensor | None:
        before, columns = run(**inputs), []
        for token in range(inputs["key"].size(2)):
            changed = {name: inputs[name].clone() for name in ("key", "value")}
            for x in changed.values():
                x[:, :, token] *= -2.0
            after = run(**{**inputs, **changed})
            if before is None or after is None or not before.shape == after.shape == inputs["query"].shape:
                return None
            columns.append((after - before)[0, 0].abs().amax(dim=-1))
        return torch.stack(columns, dim=1)

    yours, right = influence(call), influence(ATTENTION.right)
    if yours is None or right is None:
        return []
    caption = "How far output t moves when key and value s are changed (t down, s across)"
    return [Table.compare(caption, yours, right)]


def _look_at_weights(call: Callable[..., Tensor | None]) -> Evidence:
    return _look(lambda query, key, mask: call(query=query, key=key, mask=mask))


def _look(weights_of: Callable[[Tensor, Tensor, Tensor], Tensor | None]) -> Evidence:
    """Say what is odd about the weights under a causal mask: sums, signs, leaks, influence."""
    inputs = ATTENTION_WEIGHTS.core[1].inputs
    query, key, mask = inputs["query"], inputs["key"], inputs["mask"]
    right = ATTENTION_WEIGHTS.expected(ATTENTION_WEIGHTS.core[1])
    weights = weights_of(query, key, mask)
    if weights is None or weights.shape != right.shape:
        return Evidence()
    facts = facts_of_weights(weights, mask) + _influences(weights_of, weights, query, key, mask)
    tables = [Table.compare(CAPTION, weights[0, 0], right[0, 0])]
    return Evidence(facts, tables, _measure(weights_of, weights, query, key, mask))


def _measure(
    weights_of: Callable[[Tensor, Tensor, Tensor], Tensor | None],
    weights: Tensor,
    query: Tensor,
    key: Tensor,
    mask: Tensor,
) -> list[str]:
    """Read off the weights with what the scores were scaled and the hidden ones filled, and what large ones do."""
    facts = []
    everything = weights_of(query, key, torch.ones_like(mask))
    if everything is not None and everything.shape == weights.shape:
        facts += scale_of(everything, query, key)
    facts += fill_of(weights, query, key, mask)
    inputs = [[probe.inputs[name] for name in ("query", "key", "mask")] for probe in ATTENTION_WEIGHTS.core]
    large = weights_of(*inputs.pop(_LARGE))
    others = [weights_of(*each) for each in inputs]
    if large is not None and all(other is not None and (other.sum(-1) - 1).abs().max() < _MOVED for other in others):
        facts += of_large_scores(large)
    return facts


def _influences(
    weights_of: Callable[[Tensor, Tensor, Tensor], Tensor | None],
    weights: Tensor,
    query: Tensor,
    key: Tensor,
    mask: Tensor,
) -> list[str]:
    """Change one input at a time and see what moves that should not."""
    changes = (
        ((slice(None), slice(None), -1), (slice(None), slice(None), 0), "Changing the last key moves query 0, which "
         "may not attend to it."),
        ((1,), (0,), "Changing the second item of the batch moves the first."),
        ((slice(None), 1), (slice(None), 0), "Changing the second head moves the first."),
    )  # fmt: skip
    facts = []
    for place, watched, sentence in changes:
        changed = key.clone()
        changed[place] *= -2.0
        moved = weights_of(query, changed, mask)
        if moved is not None and moved.shape == weights.shape:
            difference = (moved[watched] - weights[watched]).abs()
            if difference.max() > _MOVED:
                facts.append(sentence)
    return facts


_SECTION = section("attention", "As matrices")
_WEIGHT_BUGS = (*SCORES_BUGS, *MASK_BUGS, *SOFTMAX_BUGS)

ATTENTION = Check(
    name="attention",
    expects="""
    ``fn(query, key, value, mask)``, which computes scaled dot-product attention.

    The inputs are query (B, H, Q, D), key (B, H, K, D), value (B, H, K, V) and a bool mask, True = may attend,
    that broadcasts to (B, H, Q, K). The function returns the output (B, H, Q, V), or the output and the weights.
    If mask has a default, it is also called without it. A query that may attend to nothing should get zeros; NaN
    there is a warning. Values may be off by 1e-4 of the largest one, so that float32 passes.
    """,
    parameters=("query", "key", "value", "mask"),
    kind="float",
    right=build_attention({}),
    make_probes=make_probes,
    bank=(*_WEIGHT_BUGS, *OUTPUT_BUGS, *VALUE_BUGS),
    section=_SECTION,
    build=build_attention,
    look=_look_at_attention,
)

ATTENTION_WEIGHTS = Check(
    name="attention_weights",
    expects="""
    ``fn(query, key, mask)``, which returns the attention weights (B, H, Q, K).
    """,
    parameters=("query", "key", "mask"),
    kind="tensor",
    right=build_weights({}),
    make_probes=make_probes_without_value,
    bank=_WEIGHT_BUGS,
    section=_SECTION,
    build=build_weights,
    look=_look_at_weights,
)

attention = public(ATTENTION)
attention_weights = public(ATTENTION_WEIGHTS)
