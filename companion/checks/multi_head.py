"""Checks of chapter *multi_head*: `split_heads`, `merge_heads` and `multi_head`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from companion.checks._looks import heads_ignored, run_on
from companion.checks._modules import Module
from companion.checks._public import public
from companion.checks._report import Table
from companion.checks._spec import Check, Evidence, Probe
from companion.checks.bank import multi_head as bank
from companion.checks.bank.multi_head_heads import HEADS_BUGS
from companion.checks.bank.multi_head_masks import WEIGH_BUGS
from companion.checks.bank.multi_head_merge import MERGE_BUGS
from companion.checks.bank.multi_head_output import OUTPUT_BUGS
from companion.checks.bank.multi_head_projections import PROJECT_BUGS
from companion.checks.bank.multi_head_scores import SCORES_BUGS
from companion.checks.bank.multi_head_softmax import SOFTMAX_BUGS
from companion.checks.bank.multi_head_split import SPLIT_BUGS

_NOTHING = (
    "A query that may attend to nothing gets NaN: the softmax of a row of -inf is 0/0. In this course such a query "
    "finds nothing, and its output is the bias of out_proj; a single NaN spreads to every position in the next layer."
)
_MOVED = 1e-6


def make_split_probes(seed: int = 1706) -> tuple[Probe, ...]:
    """Return the probes for splitting; all sizes in a probe differ, except that there may be one of something."""
    generator = torch.Generator().manual_seed(seed)

    def probe(name: str, batch: int, length: int, num_heads: int, head_dim: int) -> Probe:
        x = torch.randn(batch, length, num_heads * head_dim, generator=generator).double()
        return Probe(name, {"x": x, "num_heads": num_heads}, ("x",))

    return (
        probe("more features of a head than heads", 2, 6, 3, 5),
        probe("more heads than features of a head", 3, 10, 5, 2),
        probe("a single item", 1, 7, 2, 3),
        probe("a single head", 2, 5, 1, 3),
    )


def make_merge_probes(seed: int = 1706) -> tuple[Probe, ...]:
    """Return the probes for merging."""
    generator = torch.Generator().manual_seed(seed)

    def probe(name: str, *shape: int) -> Probe:
        return Probe(name, {"x": torch.randn(shape, generator=generator).double()}, ("x",))

    return (
        probe("more features of a head than heads", 2, 3, 7, 5),
        probe("more heads than features of a head", 3, 5, 7, 2),
        probe("a single item", 1, 2, 7, 3),
        probe("a single head", 2, 1, 5, 3),
    )


_MULTI_HEAD = Module(bank.RightMultiHead, sizes=("d_model", "num_heads"), inputs=("query", "memory", "mask"))


def make_multi_head_probes(seed: int = 1706) -> tuple[Probe, ...]:
    """Return the probes: self-attention and cross-attention, and masks of all shapes."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).double()

    def probe(name: str, d_model: int, num_heads: int, inputs: dict[str, Any], edge_warning: str = "") -> Probe:
        sizes = {"d_model": d_model, "num_heads": num_heads}
        # A bias of the keys moves all scores of a query alike, and a single weight is 1 whatever its score.
        flat = ("k_proj.bias", "k_proj.weight", "q_proj.weight", "q_proj.bias")[: 4 if num_heads == 1 else 1]
        return _MULTI_HEAD.probe(name, sizes, inputs, generator, no_gradient=flat, edge_warning=edge_warning)

    causal = torch.ones(7, 7, dtype=torch.bool).tril()
    padding = (torch.arange(7) < torch.tensor([7, 5, 2])[:, None])[:, None, None]  # (B, 1, 1, K)
    both = (torch.arange(4) < torch.tensor([4, 3, 1])[:, None])[:, None, None] & causal[:4, :4]  # (B, 1, Q, K)
    own = torch.rand(2, 3, 5, 7, generator=generator) < 0.4
    own[..., 0] |= ~own.any(dim=-1)  # each query may attend to something
    nothing = causal.clone()
    nothing[2] = False
    return (
        # The first one shows most bugs at once, which makes a diagnosis fast.
        probe("as many items as heads", 15, 3, {"query": draw(3, 4, 15), "mask": both}),
        probe("self-attention without a mask", 15, 3, {"query": draw(2, 7, 15)}),
        probe("self-attention with a causal mask", 12, 2, {"query": draw(3, 7, 12), "mask": causal}),
        probe("a memory", 15, 3, {"query": draw(2, 4, 15), "memory": draw(2, 7, 15)}),
        probe("a padded memory", 10, 2, {"query": draw(3, 7, 10), "memory": draw(3, 7, 10), "mask": padding}),
        probe("a mask for each head", 6, 3, {"query": draw(2, 5, 6), "memory": draw(2, 7, 6), "mask": own}),
        probe("a single token and a single head", 5, 1, {"query": draw(2, 1, 5), "memory": None, "mask": None}),
        probe("a query that may attend to nothing", 12, 2, {"query": draw(3, 7, 12), "mask": nothing}, _NOTHING),
    )


def _look_at_layer(call: Callable[..., Tensor | None]) -> Evidence:
    """Change one token, item or parameter at a time, and see what moves."""
    free, causal, cross = (dict(MULTI_HEAD.core[number].inputs) for number in (1, 2, 3))
    mover = partial(_mover, call)
    facts, tables = [], []
    influence = _influence(mover(causal), causal["query"])
    if influence is not None:
        right = torch.ones_like(influence).tril()
        caption = "Under a causal mask: 1 where changing a token (column) moves an output (row)"
        tables.append(Table.compare(caption, influence, right))
        if leaks := (influence > right).nonzero().tolist():
            row, column = leaks[0]
            facts.append(
                f"Under a causal mask, changing token {column} moves the output of token {row}, which may not attend "
                f"to it; there are {len(leaks)} such leaks."
            )
        if blind := (influence < right).nonzero().tolist():
            row, column = blind[0]
            facts.append(
                f"Under a causal mask, changing token {column} does not move the output of token {row}, which may "
                "attend to it."
            )
    facts += _crossings(call, mover(free), free)
    run = run_on(call, MULTI_HEAD.core[1])
    yours = run()
    facts += [] if yours is None else heads_ignored(run, MULTI_HEAD.core[1], yours)
    moved = mover(cross)
    names = [name for name, x in cross.items() if isinstance(x, Tensor) and name != "k_proj.bias"]
    effects = {name: moved(**{name: cross[name].flip(-1) + 0.25}) for name in names}
    if still := [name for name, effect in effects.items() if effect is not None and effect.max() < _MOVED]:
        facts.append(f"With a memory, changing {', '.join(still)} does not move your output; it should.")
    return Evidence(facts, tables)


def _mover(call: Callable[..., Tensor | None], inputs: dict[str, Any]) -> Callable[..., Tensor | None]:
    """Return a function that says how far each output (B, Q) is moved by a change of some inputs."""
    before = call(**inputs)

    def moved(**changes: Tensor) -> Tensor | None:
        after = call(**{**inputs, **changes})
        if before is None or after is None or not before.shape == after.shape == inputs["query"].shape:
            return None
        return (after - before).abs().amax(dim=-1)

    return moved


def _influence(moved: Callable[..., Tensor | None], query: Tensor) -> Tensor | None:
    """Return the matrix (Q, Q) that is 1 where the token of a column moves the output of a row."""
    columns = []
    for token in range(query.size(1)):
        changed = query.clone()
        changed[:, token] = changed[:, token].flip(-1) + 0.25
        effect = moved(query=changed)
        if effect is None:
            return None
        columns.append((effect.amax(dim=0) > _MOVED).double())
    return torch.stack(columns, dim=1)


def _crossings(
    call: Callable[..., Tensor | None], moved: Callable[..., Tensor | None], inputs: dict[str, Any]
) -> list[str]:
    """Say whether items of a batch meet, and whether the order of the tokens matters."""
    facts = []
    query = inputs["query"]
    changed = query.clone()
    changed[1] *= -2.0
    effect = moved(query=changed)
    if effect is not None and effect[0].max() > _MOVED:
        facts.append("Changing the second item of the batch moves the first.")
    straight, turned = call(**inputs), call(**{**inputs, "query": query.flip(1)})
    if straight is None or turned is None or not straight.shape == turned.shape == query.shape:
        return facts
    if (turned.flip(1) - straight).abs().max() > _MOVED:
        facts.append(
            "Without a mask, the same tokens in reversed order should give the same outputs in reversed order; "
            "yours change."
        )
    return facts


SPLIT_HEADS = Check(
    name="split_heads",
    expects="""
    ``fn(x, num_heads)``, which reshapes x (B, L, D) into heads (B, H, L, D / H).

    Head h holds the features h D / H up to (h + 1) D / H of every token.
    """,
    parameters=("x", "num_heads"),
    kind="tensor",
    right=bank.right_split,
    make_probes=make_split_probes,
    bank=tuple(SPLIT_BUGS),
    section=bank.LOOPS,
)

MERGE_HEADS = Check(
    name="merge_heads",
    expects="``fn(x)``, which puts heads (B, H, L, E) side by side, (B, L, H * E).",
    parameters=("x",),
    kind="tensor",
    right=bank.right_merge,
    make_probes=make_merge_probes,
    bank=tuple(MERGE_BUGS),
    section=bank.LOOPS,
)

MULTI_HEAD: Check = Check(
    name="multi_head",
    expects="""
    ``cls(d_model, num_heads)``, a module that does multi-head attention.

    Its forward takes query (B, Q, D), memory (B, K, D) or None for self-attention, and mask, None or a bool tensor
    that broadcasts to (B, H, Q, K), True = may attend; it returns the output (B, Q, D), or the output and the weights.
    The projections are `nn.Linear` layers q_proj, k_proj, v_proj and out_proj, or anything whose parameters have the
    same names and shapes. It is checked in eval mode. A query that may attend to nothing should find zeros; NaN there
    is a warning. Values may be off by 1e-4 of the largest one, so that float32 passes.
    """,
    parameters=_MULTI_HEAD.inputs,
    kind="float",
    right=bank.RightMultiHead,
    make_probes=make_multi_head_probes,
    bank=(*PROJECT_BUGS, *HEADS_BUGS, *SCORES_BUGS, *WEIGH_BUGS, *SOFTMAX_BUGS, *OUTPUT_BUGS),
    section=bank.LOOPS,
    build=bank.build_multi_head,
    look=_look_at_layer,
    module=_MULTI_HEAD,
)

split_heads = public(SPLIT_HEADS)
merge_heads = public(MERGE_HEADS)
multi_head = public(MULTI_HEAD)
