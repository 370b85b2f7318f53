"""Checks of chapter *recurrent*: `rnn_cell` and `gru_cell`."""

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks.engine.check import Check
from companion.checks.engine.evidence import Call, Evidence
from companion.checks.engine.handed_in import FunctionForm
from companion.checks.engine.probe import Probe
from companion.checks.engine.properties import Run
from companion.checks.engine.report import Table, number
from companion.checks.recurrent import gru, gru_blocks, rnn

_STILL = 1e-9


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


def _look_at_rnn(check: Check, call: Call) -> Evidence:
    """Change one input at a time, draw the next states, and see how large they become."""
    run = Run(check, call, check.core[0])
    facts, largest = _what_moves(run), float(run.yours.abs().max())
    if largest > 1:
        facts.append(f"Your state reaches {number(largest)}; tanh stays between -1 and 1.")
    return Evidence(facts, [_states(check, run)])


def _look_at_gru(check: Check, call: Call) -> Evidence:
    """Change one input at a time, draw the next states, and hold the gates."""
    run = Run(check, call, check.core[0])
    return Evidence(_what_moves(run), [_states(check, run)], _gates(check, run))


def _states(check: Check, run: Run) -> Table:
    return Table.compare("Next state, rows are items of the batch", run.yours, check.expected(check.core[0]))


def _what_moves(run: Run) -> list[str]:
    far = {name: run.far({name: -2.0 * x}) for name, x in run.inputs.items()}
    facts = []
    if still := [name for name, moved in far.items() if moved is not None and moved.max() < _STILL]:
        facts.append(f"Changing {', '.join(still)} does not move your next state; it should.")
    x = run.inputs["x"]
    if run.moves({"x": torch.cat([x[:1], -x[1:]])}, 0):
        facts.append("Changing the second item of the batch moves the first.")
    return facts


def _gates(check: Check, run: Run) -> list[str]:
    """Hold the gates open or shut by their biases, and say in which case the next state is not what it should be."""
    size, facts = run.inputs["h"].size(1), []
    for reset, update, what in (
        (0, 1, "the old state"),
        (0, 0, "the tanh of what the input alone contributes to the candidate, and no old state"),
        (1, 0, "the candidate, with all that the old state contributes to it"),
    ):
        biases = run.inputs["b_x"].clone()
        biases[: 2 * size] = torch.tensor([reset, update]).repeat_interleave(size) * 2000.0 - 1000.0
        yours, right = run.maybe({"b_x": biases}), check.answer({**run.inputs, "b_x": biases})
        if yours is not None and not (yours - right).abs().max() < 1e-3:
            held = f"With a reset gate of {reset} and an update gate of {update}"
            facts.append(f"{held} the next state should be {what}; yours is not.")
    return facts


RNN_CELL: Check = Check(
    name="rnn_cell",
    expects="""
    ``fn(x, h, w_x, w_h, b)``, which returns the next state (B, D) of a tanh cell.

    The inputs are x (B, I), the old state h (B, D), the matrices w_x (D, I) and w_h (D, D), which have one row for
    each feature of the next state as in torch, and the bias b (D,). The next state is
    tanh(x w_x^T + h w_h^T + b).
    """,
    form=FunctionForm("x", "h", "w_x", "w_h", "b"),
    kind="tensor",
    right=rnn.build_cell({}),
    make_probes=make_rnn_probes,
    bank=tuple(rnn.RNN_BUGS),
    section=rnn.CELL,
    build=rnn.build_cell,
    look=_look_at_rnn,
)

GRU_CELL: Check = Check(
    name="gru_cell",
    expects="""
    ``fn(x, h, w_x, w_h, b_x, b_h)``, which returns the next state (B, D) of torch's GRU cell.

    The inputs are x (B, I), the old state h (B, D), w_x (3 D, I), w_h (3 D, D), b_x and b_h (3 D,); their three
    blocks of D rows are the reset gate, the update gate and the candidate.
    """,
    form=FunctionForm("x", "h", "w_x", "w_h", "b_x", "b_h"),
    kind="tensor",
    right=gru.right_gru_cell,
    make_probes=make_gru_probes,
    bank=(*gru.GRU_BUGS, *gru_blocks.BLOCK_BUGS),
    section=gru.GATES,
    look=_look_at_gru,
)
