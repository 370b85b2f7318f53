"""Wrong recurrent cells: the tanh cell and the GRU's.

Shapes: B batch, I features of the input, D features of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from companion.checks.engine.bank import Bank, section

CELL = section("recurrent", "By hand")

RNN_BUGS = Bank(part="sum", section=CELL)


# --- rnn_cell(x, h, w_x, w_h, b): the next state (B, D), from two parts: what is summed, and what is made of the sum


def right_sum(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    """Add up what input, old state and bias contribute, (B, D)."""
    return x @ w_x.T + h @ w_h.T + b


def right_squash(total: Tensor) -> Tensor:
    """Squash the sum into -1 to 1."""
    return torch.tanh(total)


def build_cell(parts: Mapping[str, Callable[..., Any]]) -> Callable[..., Tensor]:
    """Return ``fn(x, h, w_x, w_h, b)`` made of the given parts, the rest being right."""
    total, squash = parts.get("sum", right_sum), parts.get("squash", right_squash)

    def cell(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
        return squash(total(x, h, w_x, w_h, b))

    return cell


@RNN_BUGS.bug("What keeps the state from growing without a bound?", part="squash")
def no_tanh(total: Tensor) -> Tensor:
    """There is no tanh: your next state is the sum itself."""
    return total


@RNN_BUGS.bug("Can your state be negative?", part="squash")
def sigmoid_for_tanh(total: Tensor) -> Tensor:
    """You squash the sum with a sigmoid, which gives 0 to 1; it should be tanh, which gives -1 to 1."""
    return torch.sigmoid(total)


@RNN_BUGS.bug("Can your state be negative?", part="squash")
def relu_for_tanh(total: Tensor) -> Tensor:
    """You cut the sum off at 0, with relu; it should go through tanh."""
    return torch.relu(total)


@RNN_BUGS.bug("A state is no distribution: its features need not sum to 1.", part="squash")
def softmax_for_tanh(total: Tensor) -> Tensor:
    """You take a softmax over the features; each feature should go through tanh on its own."""
    return total.softmax(dim=-1)


@RNN_BUGS.bug("What is the next state when x and h are zero?")
def bias_missing(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    """The bias is missing from your sum."""
    return x @ w_x.T + h @ w_h.T


@RNN_BUGS.bug("There is one b. How often does it stand in your code?")
def bias_twice(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    """You add the bias twice, once with the input and once with the state."""
    return x @ w_x.T + b + h @ w_h.T + b


@RNN_BUGS.bug("Which term of the sum reads what came in?")
def input_ignored(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    """Your next state does not depend on the input x."""
    return h @ w_h.T + b


@RNN_BUGS.bug("Which term of the sum carries the past?")
def state_ignored(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    """Your next state does not depend on the old state h: the cell has no memory."""
    return x @ w_x.T + b


@RNN_BUGS.bug("w_h is square, so both ways fit. Which index of w_h is the new feature?")
def w_h_not_transposed(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    """You multiply by w_h; it should be by its transpose, since its rows belong to the features of the next state."""
    return x @ w_x.T + h @ w_h + b


@RNN_BUGS.bug("w_x is (D, I): one row for each feature of the next state.")
def w_x_not_transposed(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    """You multiply by w_x; it should be by its transpose. It only fits when x has as many features as the state."""
    return x @ w_x + h @ w_h.T + b


@RNN_BUGS.bug("w_x is (D, I): one row for each feature of the next state.")
def neither_transposed(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    """You transpose neither matrix: multiply by the transposes of w_x and w_h."""
    return x @ w_x + h @ w_h + b


@RNN_BUGS.bug("Which matrix has as many columns as x has features?")
def input_and_state_swapped(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    """You have swapped input and state: w_x belongs to x, and w_h to h."""
    return h @ w_x.T + x @ w_h.T + b


@RNN_BUGS.bug("What would a zero input do to the memory?")
def multiplied_not_added(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    """You multiply the two contributions feature by feature; they should be added."""
    return (x @ w_x.T) * (h @ w_h.T) + b


@RNN_BUGS.bug("Through which matrix does h reach the next state, and only through it?", part="")
def old_state_added(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    """You add the old state to the next one, which makes a residual connection. This cell has none."""
    return h + torch.tanh(right_sum(x, h, w_x, w_h, b))


@RNN_BUGS.bug("Can your state leave the range of -1 to 1?", part="")
def bias_outside(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    """You add the bias after the tanh; it should be part of the sum inside."""
    return torch.tanh(x @ w_x.T + h @ w_h.T) + b


@RNN_BUGS.bug(
    "Can your state leave the range of -1 to 1?",
    part="",
    also=(lambda x, h, w_x, w_h, b: torch.tanh(x @ w_x.T) + torch.tanh(h @ w_h.T + b),),
)
def tanh_of_each_part(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    """You take a tanh of each contribution and add the results; add first, then take one tanh of the sum."""
    return torch.tanh(x @ w_x.T + b) + torch.tanh(h @ w_h.T)


@RNN_BUGS.bug("Which of your variables holds the tanh?", part="")
def old_state_returned(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    """You return the old state; return the new one."""
    return h.clone()


@RNN_BUGS.bug("Can your state leave the range of -1 to 1?", part="squash")
def tan_for_tanh(total: Tensor) -> Tensor:
    """You take the tangent, tan; it should be tanh, which gives -1 to 1: an h is missing."""
    return torch.tan(total)


@RNN_BUGS.bug(
    "Which signs stand between the three terms of your sum?",
    also=(
        lambda x, h, w_x, w_h, b: right_sum(x, h, w_x, w_h, -b),
        lambda x, h, w_x, w_h, b: right_sum(-x, h, w_x, w_h, b),
    ),
)
def subtracted(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    """One of the terms has a minus; the input's, the state's and the bias's contributions are all added."""
    return right_sum(x, -h, w_x, w_h, b)


@RNN_BUGS.bug("Does w_h appear in your code?")
def state_added_without_its_matrix(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b: Tensor) -> Tensor:
    """The old state is added as it is; it should be multiplied by w_h, transposed, first."""
    return x @ w_x.T + h + b
