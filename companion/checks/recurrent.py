"""Checks of chapter *recurrent*: `rnn_cell` and `gru_cell`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from companion.checks._public import public
from companion.checks._report import Table, number
from companion.checks._spec import Check, Evidence, Probe
from companion.checks.bank import recurrent, recurrent_gru, recurrent_gru_blocks


def make_rnn_probes(seed: int = 19901) -> tuple[Probe, ...]:
    """Return the probes for the tanh cell; only in one have input and state the same size."""
    return _probes(seed, blocks=1, biases=("b",))


def make_gru_probes(seed: int = 19901) -> tuple[Probe, ...]:
    """Return the probes for the GRU cell."""
    return _probes(seed, blocks=3, biases=("b_x", "b_h"))


def _probes(seed: int, blocks: int, biases: tuple[str, ...]) -> tuple[Probe, ...]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).double()

    def inputs(batch: int, features: int, state: int) -> dict[str, Tensor]:
        rows = blocks * state
        tensors = {"x": draw(batch, features), "h": draw(batch, state)}
        tensors |= {"w_x": draw(rows, features) * 0.5, "w_h": draw(rows, state) * 0.5}
        return tensors | {name: draw(rows) for name in biases}

    sizes = {
        "more features in the input than in the state": (2, 7, 5),
        "fewer features in the input than in the state": (5, 2, 3),
        "as many features in the input as in the state": (7, 3, 3),
    }
    return tuple(Probe(name, each := inputs(*size), tuple(each)) for name, size in sizes.items())


def _look_at(check: Callable[[], Check]) -> Callable[[Callable[..., Tensor | None]], Evidence]:
    """Return a look that changes one input at a time, and draws the next states."""

    def look(call: Callable[..., Tensor | None]) -> Evidence:
        inputs = dict(check().core[0].inputs)
        yours, right = call(**inputs), check().expected(check().core[0])
        if yours is None or yours.shape != right.shape:
            return Evidence()
        facts = []
        if name := ", ".join(n for n in inputs if _unmoved(call, inputs, n, yours)):
            facts.append(f"Changing {name} does not move your next state; it should.")
        elsewhere = {**inputs, "x": torch.cat([inputs["x"][:1], -inputs["x"][1:]])}
        moved = call(**elsewhere)
        if moved is not None and moved.shape == yours.shape and (moved[0] - yours[0]).abs().max() > 1e-6:
            facts.append("Changing the second item of the batch moves the first.")
        if check().name == "rnn_cell" and yours.abs().max() > 1:
            facts.append(f"Your state reaches {number(float(yours.abs().max()))}; tanh stays between -1 and 1.")
        measured = _gates(call, inputs, check()) if check().name == "gru_cell" else []
        return Evidence(facts, [Table.compare("Next state, rows are items of the batch", yours, right)], measured)

    return look


def _gates(call: Callable[..., Tensor | None], inputs: dict[str, Tensor], check: Check) -> list[str]:
    """Hold the gates open or shut by their biases, and say in which case the next state is not what it should be."""
    size, facts = inputs["h"].size(1), []
    for reset, update, what in (
        (0, 1, "the old state"),
        (0, 0, "the tanh of what the input alone contributes to the candidate, and no old state"),
        (1, 0, "the candidate, with all that the old state contributes to it"),
    ):
        biases = inputs["b_x"].clone()
        biases[: 2 * size] = torch.tensor([reset, update]).repeat_interleave(size) * 2000.0 - 1000.0
        changed = {**inputs, "b_x": biases}
        yours, right = call(**changed), check.right(**changed)
        if yours is not None and yours.shape == right.shape and not (yours - right).abs().max() < 1e-3:
            held = f"With a reset gate of {reset} and an update gate of {update}"
            facts.append(f"{held} the next state should be {what}; yours is not.")
    return facts


def _unmoved(call: Callable[..., Tensor | None], inputs: dict[str, Tensor], name: str, yours: Tensor) -> bool:
    moved = call(**{**inputs, name: -2.0 * inputs[name]})
    return moved is not None and moved.shape == yours.shape and bool((moved - yours).abs().max() < 1e-9)


RNN_CELL: Check = Check(
    name="rnn_cell",
    expects="""
    ``fn(x, h, w_x, w_h, b)``, which returns the next state (B, D) of a tanh cell.

    The inputs are x (B, I), the old state h (B, D), the matrices w_x (D, I) and w_h (D, D), which have one row for
    each feature of the next state as in torch, and the bias b (D,). The next state is
    tanh(x w_x^T + h w_h^T + b).
    """,
    parameters=("x", "h", "w_x", "w_h", "b"),
    kind="tensor",
    right=recurrent.build_cell({}),
    make_probes=make_rnn_probes,
    bank=tuple(recurrent.RNN_BUGS),
    section=recurrent.CELL,
    build=recurrent.build_cell,
    look=_look_at(lambda: RNN_CELL),
)

GRU_CELL: Check = Check(
    name="gru_cell",
    expects="""
    ``fn(x, h, w_x, w_h, b_x, b_h)``, which returns the next state (B, D) of torch's GRU cell.

    The inputs are x (B, I), the old state h (B, D), w_x (3 D, I), w_h (3 D, D), b_x and b_h (3 D,); their three
    blocks of D rows are the reset gate, the update gate and the candidate.
    """,
    parameters=("x", "h", "w_x", "w_h", "b_x", "b_h"),
    kind="tensor",
    right=recurrent_gru.right_gru_cell,
    make_probes=make_gru_probes,
    bank=(*recurrent_gru.GRU_BUGS, *recurrent_gru_blocks.BLOCK_BUGS),
    section=recurrent_gru.GATES,
    look=_look_at(lambda: GRU_CELL),
)

rnn_cell = public(RNN_CELL)
gru_cell = public(GRU_CELL)
