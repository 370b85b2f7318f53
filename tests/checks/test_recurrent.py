"""`check.rnn_cell` and `check.gru_cell`."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion import check


def rnn_loops(x, h, w_x, w_h, b):
    rows = []
    for one, state in zip(x, h, strict=True):
        total = [w_x[i] @ one + w_h[i] @ state + b[i] for i in range(len(b))]
        rows.append(torch.stack(total).tanh())
    return torch.stack(rows)


def rnn_of_torch(x, h, w_x, w_h, b):
    cell = nn.RNNCell(x.size(1), h.size(1)).to(x.dtype)
    weights = {"weight_ih": w_x, "weight_hh": w_h, "bias_ih": b, "bias_hh": torch.zeros_like(b)}
    return torch.func.functional_call(cell, weights, (x, h))


def rnn_by_exp(x, h, w_x, w_h, b):
    up = torch.exp(2 * (x @ w_x.T + h @ w_h.T + b))
    return (up - 1) / (up + 1)


RNN_CELLS = [
    rnn_loops,
    rnn_of_torch,
    rnn_by_exp,
    lambda x, h, w_x, w_h, b: torch.tanh(x @ w_x.T + h @ w_h.T + b),
    lambda x, h, w_x, w_h, b: (w_x @ x.T + w_h @ h.T + b[:, None]).tanh().T,
    lambda x, h, w_x, w_h, b: torch.tanh(F.linear(x, w_x, b) + F.linear(h, w_h)),
    lambda x, h, w_x, w_h, b: F.linear(torch.cat([x, h], 1), torch.cat([w_x, w_h], 1), b).tanh(),
    lambda x, h, w_x, w_h, b: torch.tanh(torch.addmm(b, x, w_x.T) + h.mm(w_h.mT)),
    lambda x, h, w_x, w_h, b: torch.tanh(
        torch.einsum("bi,di->bd", x, w_x) + torch.einsum("be,de->bd", h, w_h) + b
    ),
    lambda x, h, w_x, w_h, b: 2 * torch.sigmoid(2 * (x @ w_x.T + h @ w_h.T + b)) - 1,
]  # fmt: skip


@pytest.mark.parametrize("function", RNN_CELLS)
def test_right_rnn_cells_pass(function):
    assert repr(check.rnn_cell(function)) == "rnn_cell: passed."


def gru_of_torch(x, h, w_x, w_h, b_x, b_h):
    cell = nn.GRUCell(x.size(1), h.size(1)).to(x.dtype)
    weights = {"weight_ih": w_x, "weight_hh": w_h, "bias_ih": b_x, "bias_hh": b_h}
    return torch.func.functional_call(cell, weights, (x, h))


def gru_rearranged(x, h, w_x, w_h, b_x, b_h):
    size = h.size(1)
    from_x, from_h = F.linear(x, w_x, b_x), F.linear(h, w_h, b_h)
    reset, update = torch.sigmoid(from_x[:, : 2 * size] + from_h[:, : 2 * size]).chunk(2, -1)
    candidate = (from_x[:, 2 * size :] + reset * from_h[:, 2 * size :]).tanh()
    return candidate + update * (h - candidate)


@pytest.mark.parametrize("function", [gru_of_torch, gru_rearranged])
def test_right_gru_cells_pass(function):
    assert repr(check.gru_cell(function)) == "gru_cell: passed."


def test_two_bugs_at_once_are_both_named():
    report = check.rnn_cell(lambda x, h, w_x, w_h, b: x @ w_x.T + h @ w_h.T, raises=False)
    assert set(report.bugs) == {"no_tanh", "bias_missing"}


@pytest.mark.parametrize(
    ("function", "fact"),
    [
        (
            lambda x, h, w_x, w_h, b: 1.5 * torch.tanh(x @ w_x.T + h @ w_h.T + b),
            "Your state reaches 1.50; tanh stays between -1 and 1.",
        ),
        (
            lambda x, h, w_x, w_h, b: torch.tanh(2 * h + b),
            "Changing x, w_x, w_h does not move your next state; it should.",
        ),
        (
            lambda x, h, w_x, w_h, b: torch.tanh(x.mean(0) @ w_x.T + h @ w_h.T + b),
            "Changing the second item of the batch moves the first.",
        ),
    ],
)
def test_unknown_cells_are_rejected_with_facts_and_without_a_name(function, fact):
    report = check.rnn_cell(function, raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert fact in report.facts
    assert report.tables


def test_a_gate_of_another_kind_is_rejected_without_a_name():
    def hard(x, h, w_x, w_h, b_x, b_h):
        x_r, x_z, x_n = (x @ w_x.T + b_x).chunk(3, -1)
        h_r, h_z, h_n = (h @ w_h.T + b_h).chunk(3, -1)
        update = F.hardsigmoid(x_z + h_z)
        return (1 - update) * torch.tanh(x_n + F.hardsigmoid(x_r + h_r) * h_n) + update * h

    report = check.gru_cell(hard, raises=False)
    assert not report.passed
    assert report.bugs == ()


def test_a_forgotten_transpose_is_named_though_it_crashes_on_other_sizes():
    report = check.rnn_cell(lambda x, h, w_x, w_h, b: torch.tanh(x @ w_x + h @ w_h.T + b), raises=False)
    assert report.bugs == ("w_x_not_transposed",)


def test_a_softmax_is_not_said_to_ignore_its_inputs():
    report = check.rnn_cell(lambda x, h, w_x, w_h, b: (x @ w_x.T + h @ w_h.T + b).softmax(-1), raises=False)
    assert report.bugs == ("softmax_for_tanh",)
    assert report.facts == ()


def test_gates_that_do_not_gate_are_told():
    def cell(x, h, w_x, w_h, b_x, b_h):
        return 0.5 * gru_of_torch(x, h, w_x, w_h, b_x, b_h) + 0.5 * h

    report = check.gru_cell(cell, raises=False)
    assert report.bugs == ()
    assert report.facts[0] == (
        "With a reset gate of 0 and an update gate of 0 the next state should be the tanh of what the input alone "
        "contributes to the candidate, and no old state; yours is not."
    )
    assert not any("an update gate of 1" in fact for fact in report.facts)


def test_the_state_comes_alone():
    report = check.rnn_cell(lambda x, h, w_x, w_h, b: (h, h), raises=False)
    assert report.message == "Your function returned a tuple of 2; one torch tensor is expected."


RIGHT_ANSWERS = {"rnn_cell": RNN_CELLS, "gru_cell": [gru_of_torch, gru_rearranged]}
