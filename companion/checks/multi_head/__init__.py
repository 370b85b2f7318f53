"""Checks of chapter *multi_head*: `split_heads`, `merge_heads` and `multi_head`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from companion.checks.engine.check import Check
from companion.checks.engine.classes import ClassForm
from companion.checks.engine.evidence import Call, Evidence
from companion.checks.engine.handed_in import FunctionForm
from companion.checks.engine.probe import Probe
from companion.checks.engine.properties import MOVED, Run, heads_ignored
from companion.checks.engine.report import Table
from companion.checks.multi_head import right as bank
from companion.checks.multi_head.heads import HEADS_BUGS
from companion.checks.multi_head.masks import WEIGH_BUGS
from companion.checks.multi_head.merge import MERGE_BUGS
from companion.checks.multi_head.output import OUTPUT_BUGS
from companion.checks.multi_head.projections import PROJECT_BUGS
from companion.checks.multi_head.scores import SCORES_BUGS
from companion.checks.multi_head.softmax import SOFTMAX_BUGS
from companion.checks.multi_head.split import SPLIT_BUGS

_NOTHING = (
    "A query that may attend to nothing gets NaN: the softmax of a row of -inf is 0/0. In this course such a query "
    "finds nothing, and its output is the bias of out_proj; a single NaN spreads to every position in the next layer."
)


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


_MULTI_HEAD = ClassForm(bank.RightMultiHead, sizes=("d_model", "num_heads"), inputs=("query", "memory", "mask"))


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


def _look_at_layer(check: Check, call: Call) -> Evidence:
    """Change one token, item or parameter at a time, and see what moves."""
    free, causal, cross = (Run(check, call, probe) for probe in check.core[1:4])
    facts, tables = [], []
    influence = _influence(causal)
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
    facts += _crossings(free)
    facts += heads_ignored(free)
    names = [name for name, x in cross.inputs.items() if isinstance(x, Tensor) and name != "k_proj.bias"]
    effects = {name: cross.far({name: cross.inputs[name].flip(-1) + 0.25}) for name in names}
    if still := [name for name, far in effects.items() if far is not None and far.max() < MOVED]:
        facts.append(f"With a memory, changing {', '.join(still)} does not move your output; it should.")
    return Evidence(facts, tables)


def _influence(run: Run) -> Tensor | None:
    """Return the matrix (Q, Q) that is 1 where the token of a column moves the output of a row."""
    query, columns = run.inputs["query"], []
    for token in range(query.size(1)):
        changed = query.clone()
        changed[:, token] = changed[:, token].flip(-1) + 0.25
        far = run.far({"query": changed})
        if far is None:
            return None
        columns.append((far.amax(dim=0) > MOVED).double())
    return torch.stack(columns, dim=1)


def _crossings(run: Run) -> list[str]:
    """Say whether items of a batch meet, and whether the order of the tokens matters."""
    facts = []
    query = run.inputs["query"]
    changed = query.clone()
    changed[1] *= -2.0
    if run.moves({"query": changed}, 0):
        facts.append("Changing the second item of the batch moves the first.")
    straight, turned = run.maybe({}), run.maybe({"query": query.flip(1)})
    if straight is not None and turned is not None and (turned.flip(1) - straight).abs().max() > MOVED:
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
    form=FunctionForm("x", "num_heads"),
    kind="tensor",
    right=bank.right_split,
    make_probes=make_split_probes,
    bank=tuple(SPLIT_BUGS),
    section=bank.LOOPS,
)

MERGE_HEADS = Check(
    name="merge_heads",
    expects="``fn(x)``, which puts heads (B, H, L, E) side by side, (B, L, H * E).",
    form=FunctionForm("x"),
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
    form=_MULTI_HEAD,
    kind="float",
    right=bank.RightMultiHead,
    make_probes=make_multi_head_probes,
    bank=(*PROJECT_BUGS, *HEADS_BUGS, *SCORES_BUGS, *WEIGH_BUGS, *SOFTMAX_BUGS, *OUTPUT_BUGS),
    section=bank.LOOPS,
    build=bank.build_multi_head,
    look=_look_at_layer,
)
