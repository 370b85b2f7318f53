"""Wrong GRU cells, continued: what is mixed, what the gates see, and in which order the blocks stand.

Shapes as in `recurrent_gru`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from companion.checks.engine.bank import Bank
from companion.checks.recurrent.gru import GATES, parts, right_gru_cell

BLOCK_BUGS = Bank(section=GATES)


def _mixed(reset: Tensor, update: Tensor, x_n: Tensor, h_n: Tensor, h: Tensor) -> Tensor:
    return (1 - update) * torch.tanh(x_n + reset * h_n) + update * h


def _in_order(order: tuple[int, int, int], *inputs: Tensor) -> Tensor:
    """Return the next state of a cell that takes its three blocks for reset, update and candidate in this order."""
    x, h, *stacked = inputs
    return right_gru_cell(x, h, *(torch.cat([block.chunk(3)[place] for place in order]) for block in stacked))


@BLOCK_BUGS.bug("With an update gate of 1, what should the next state be?")
def old_state_not_kept(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """The update gate times the old state is missing: you return the candidate's share alone."""
    x_r, x_z, x_n, h_r, h_z, h_n = parts(x, h, w_x, w_h, b_x, b_h)
    reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    return (1 - update) * torch.tanh(x_n + reset * h_n)


@BLOCK_BUGS.bug("Do the two shares sum to 1?")
def candidate_added_whole(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """You add the whole candidate; it should be multiplied by 1 - update, as the old state is by update."""
    x_r, x_z, x_n, h_r, h_z, h_n = parts(x, h, w_x, w_h, b_x, b_h)
    reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    return torch.tanh(x_n + reset * h_n) + update * h


@BLOCK_BUGS.bug(
    "Do the two shares sum to 1?", also=(lambda x, h, w_x, w_h, b_x, b_h: _same_share(x, h, w_x, w_h, b_x, b_h),)
)
def both_with_the_same_share(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Candidate and old state are both multiplied by the same share; one share is update, the other 1 - update."""
    x_r, x_z, x_n, h_r, h_z, h_n = parts(x, h, w_x, w_h, b_x, b_h)
    reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    return update * (torch.tanh(x_n + reset * h_n) + h)


def _same_share(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    x_r, x_z, x_n, h_r, h_z, h_n = parts(x, h, w_x, w_h, b_x, b_h)
    reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    return (1 - update) * (torch.tanh(x_n + reset * h_n) + h)


@BLOCK_BUGS.bug(
    "Can your state leave the range of -1 to 1?",
    also=(lambda x, h, w_x, w_h, b_x, b_h: _other_candidate(torch.relu, x, h, w_x, w_h, b_x, b_h),),
)
def candidate_not_squashed(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Your candidate does not go through tanh (it is the sum itself, or goes through relu), so that the state can
    grow without a bound.
    """
    return _other_candidate(lambda total: total, x, h, w_x, w_h, b_x, b_h)


def _other_candidate(squash: Callable[[Tensor], Tensor], *inputs: Tensor) -> Tensor:
    x_r, x_z, x_n, h_r, h_z, h_n = parts(*inputs)
    reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    return (1 - update) * squash(x_n + reset * h_n) + update * inputs[1]


@BLOCK_BUGS.bug("Can a share be negative, or larger than 1?")
def gates_not_squashed(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Your gates do not go through a sigmoid; it is what makes shares between 0 and 1 of them."""
    x_r, x_z, x_n, h_r, h_z, h_n = parts(x, h, w_x, w_h, b_x, b_h)
    return _mixed(x_r + h_r, x_z + h_z, x_n, h_n, h)


@BLOCK_BUGS.bug("Which of the two decides what is forgotten?")
def gates_ignore_the_state(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Your gates do not look at the old state: both x and h contribute to each gate."""
    x_r, x_z, x_n, h_r, h_z, h_n = parts(x, h, w_x, w_h, b_x, b_h)
    return _mixed(torch.sigmoid(x_r), torch.sigmoid(x_z), x_n, h_n, h)


@BLOCK_BUGS.bug("Which of the two decides what is forgotten?")
def gates_ignore_the_input(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Your gates do not look at the input: both x and h contribute to each gate."""
    x_r, x_z, x_n, h_r, h_z, h_n = parts(x, h, w_x, w_h, b_x, b_h)
    return _mixed(torch.sigmoid(h_r), torch.sigmoid(h_z), x_n, h_n, h)


@BLOCK_BUGS.bug("What should a reset gate of 0 make the candidate forget?")
def reset_on_the_input(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """The reset gate multiplies what the input contributes to the candidate; it should multiply what the state does."""
    x_r, x_z, x_n, h_r, h_z, h_n = parts(x, h, w_x, w_h, b_x, b_h)
    reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    return (1 - update) * torch.tanh(reset * x_n + h_n) + update * h


@BLOCK_BUGS.bug(
    "In which order are the three blocks stacked?",
    also=(
        lambda x, h, w_x, w_h, b_x, b_h: _in_order((2, 1, 0), x, h, w_x, w_h, b_x, b_h),
        lambda x, h, w_x, w_h, b_x, b_h: _in_order((2, 0, 1), x, h, w_x, w_h, b_x, b_h),
        lambda x, h, w_x, w_h, b_x, b_h: _in_order((0, 2, 1), x, h, w_x, w_h, b_x, b_h),
    ),
)
def candidate_not_the_last_block(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """The candidate is taken from the wrong block: the three blocks of rows are the reset gate, the update gate and
    the candidate, in this order.
    """
    return _in_order((1, 2, 0), x, h, w_x, w_h, b_x, b_h)


@BLOCK_BUGS.bug("Which rows of w_x belong to the reset gate: 0, 3, 6, ... or the first D?")
def rows_dealt_out(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """The rows are dealt out to the three gates in turn (a reshape to (B, D, 3), or [::3]); each gate has a block of
    D rows.
    """
    dealt = (torch.cat([stacked[gate::3] for gate in range(3)]) for stacked in (w_x, w_h, b_x, b_h))
    return right_gru_cell(x, h, *dealt)


@BLOCK_BUGS.bug("The blocks of w_h are square, so both ways fit. Which index is the new feature?")
def blocks_not_transposed(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """You multiply by the square blocks of w_h; it should be by their transposes, since a row belongs to a feature
    of the next state.
    """
    return right_gru_cell(x, h, w_x, torch.cat([block.T for block in w_h.chunk(3)]), b_x, b_h)


@BLOCK_BUGS.bug("Which of the two biases belongs to h?")
def biases_exchanged(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """b_x and b_h are exchanged; it shows in the candidate, where the reset gate multiplies b_h."""
    return right_gru_cell(x, h, w_x, w_h, b_h, b_x)


@BLOCK_BUGS.bug(
    "Do both biases appear in your code?",
    also=(lambda x, h, w_x, w_h, b_x, b_h: right_gru_cell(x, h, w_x, w_h, 0 * b_x, b_h),),
)
def one_bias_missing(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """One of the two biases is missing: b_x goes with the input, b_h with the state."""
    return right_gru_cell(x, h, w_x, w_h, b_x, 0 * b_h)


@BLOCK_BUGS.bug("With an update gate of 1, what is the next state, and which block is that gate?")
def order_and_mixture_swapped(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Reset and update are swapped, and the update gate is inverted: the second block is the update gate, and where
    it is 1 the old state is kept.
    """
    x_r, x_z, x_n, h_r, h_z, h_n = parts(x, h, w_x, w_h, b_x, b_h)
    reset, update = torch.sigmoid(x_z + h_z), torch.sigmoid(x_r + h_r)
    return _mixed(reset, 1 - update, x_n, h_n, h)


@BLOCK_BUGS.bug("Two things differ between descriptions of a GRU. Which description do you follow?")
def first_paper_throughout(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """You multiply h by the reset gate before the matrix, and your update gate is inverted. Here the reset gate
    comes after the matrix and its bias, and an update gate of 1 keeps the old state.
    """
    x_r, x_z, x_n, h_r, h_z, h_n = parts(x, h, w_x, w_h, b_x, b_h)
    reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    h_n = (reset * h) @ w_h.chunk(3)[2].T + b_h.chunk(3)[2]
    return update * torch.tanh(x_n + h_n) + (1 - update) * h


@BLOCK_BUGS.bug("How could the candidate forget the past? And with an update gate of 1, what is the next state?")
def reset_ignored_and_update_inverted(
    x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor
) -> Tensor:
    """The reset gate is missing, and your update gate is inverted: where it is 1 the old state should be kept."""
    _, x_z, x_n, _, h_z, h_n = parts(x, h, w_x, w_h, b_x, b_h)
    update = torch.sigmoid(x_z + h_z)
    return update * torch.tanh(x_n + h_n) + (1 - update) * h
