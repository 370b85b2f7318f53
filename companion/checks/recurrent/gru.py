"""Wrong GRU cells.

Shapes: B batch, I features of the input, D features of the state. The three gates' matrices are stacked as torch
stacks them: reset, update, candidate.
"""

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks.engine.bank import Bank, section

GATES = section("recurrent", "Gates: LSTM and GRU")

GRU_BUGS = Bank(section=GATES)


def _parts(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> tuple[Tensor, ...]:
    """Return what input and state contribute to reset, update and candidate: six tensors (B, D)."""
    return *(x @ w_x.T + b_x).chunk(3, dim=-1), *(h @ w_h.T + b_h).chunk(3, dim=-1)


parts = _parts  # for `recurrent_gru_blocks`


def right_gru_cell(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Return the next state (B, D)."""
    x_r, x_z, x_n, h_r, h_z, h_n = _parts(x, h, w_x, w_h, b_x, b_h)
    reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    return (1 - update) * torch.tanh(x_n + reset * h_n) + update * h


@GRU_BUGS.bug("With an update gate of 1, what is the next state?")
def update_inverted(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Your update gate is inverted: where it is 1 the old state should be kept, where it is 0 the candidate taken."""
    x_r, x_z, x_n, h_r, h_z, h_n = _parts(x, h, w_x, w_h, b_x, b_h)
    reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    return update * torch.tanh(x_n + reset * h_n) + (1 - update) * h


@GRU_BUGS.bug("In which order are the three blocks stacked?")
def gates_swapped(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Reset and update are swapped: the first third of the matrices is the reset gate, the second the update gate."""
    x_z, x_r, x_n, h_z, h_r, h_n = _parts(x, h, w_x, w_h, b_x, b_h)
    reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    return (1 - update) * torch.tanh(x_n + reset * h_n) + update * h


@GRU_BUGS.bug("How could the candidate forget the past?")
def reset_ignored(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """The reset gate is missing: it should multiply what the old state contributes to the candidate."""
    _, x_z, x_n, _, h_z, h_n = _parts(x, h, w_x, w_h, b_x, b_h)
    update = torch.sigmoid(x_z + h_z)
    return (1 - update) * torch.tanh(x_n + h_n) + update * h


@GRU_BUGS.bug("Is it reset * (h @ ...), or (reset * h) @ ...?")
def reset_before_the_matrix(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """You multiply h by the reset gate before the matrix. That is the form of the first paper; torch, and this
    exercise, multiply after the matrix and its bias.
    """
    x_r, x_z, x_n, h_r, h_z, _ = _parts(x, h, w_x, w_h, b_x, b_h)
    reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    h_n = (reset * h) @ w_h.chunk(3)[2].T + b_h.chunk(3)[2]
    return (1 - update) * torch.tanh(x_n + h_n) + update * h


@GRU_BUGS.bug("What should a reset gate of 0 leave of the candidate?")
def reset_of_the_input_too(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """The reset gate multiplies the input's contribution to the candidate too; it should multiply the state's only."""
    x_r, x_z, x_n, h_r, h_z, h_n = _parts(x, h, w_x, w_h, b_x, b_h)
    reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    return (1 - update) * torch.tanh(reset * (x_n + h_n)) + update * h


@GRU_BUGS.bug("How could a state pass through unchanged?")
def update_ignored(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Your next state is the candidate: the update gate, which mixes it with the old state, is missing."""
    x_r, _, x_n, h_r, _, h_n = _parts(x, h, w_x, w_h, b_x, b_h)
    return torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)


@GRU_BUGS.bug("Do the two shares sum to 1?")
def old_state_added_whole(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """You add the whole old state; it should be multiplied by the update gate, as the candidate is by the rest."""
    x_r, x_z, x_n, h_r, h_z, h_n = _parts(x, h, w_x, w_h, b_x, b_h)
    reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    return (1 - update) * torch.tanh(x_n + reset * h_n) + h


@GRU_BUGS.bug("Can a share be negative?")
def tanh_gates(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Your gates go through tanh; they should go through a sigmoid, so that they lie between 0 and 1."""
    x_r, x_z, x_n, h_r, h_z, h_n = _parts(x, h, w_x, w_h, b_x, b_h)
    reset, update = torch.tanh(x_r + h_r), torch.tanh(x_z + h_z)
    return (1 - update) * torch.tanh(x_n + reset * h_n) + update * h


@GRU_BUGS.bug("Can your candidate be negative?")
def sigmoid_candidate(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Your candidate goes through a sigmoid; it should go through tanh."""
    x_r, x_z, x_n, h_r, h_z, h_n = _parts(x, h, w_x, w_h, b_x, b_h)
    reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    return (1 - update) * torch.sigmoid(x_n + reset * h_n) + update * h


@GRU_BUGS.bug("What exactly does the reset gate multiply?")
def bias_outside_the_reset(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """The candidate's b_h stands outside the reset gate; the gate should multiply it too, with the matrix product."""
    x_r, x_z, x_n, h_r, h_z, h_n = _parts(x, h, w_x, w_h, b_x, b_h)
    reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    bias = b_h.chunk(3)[2]
    return (1 - update) * torch.tanh(x_n + reset * (h_n - bias) + bias) + update * h


@GRU_BUGS.bug("What is the next state when x and h are zero?")
def biases_missing(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """The biases are missing."""
    return right_gru_cell(x, h, w_x, w_h, torch.zeros_like(b_x), torch.zeros_like(b_h))
