"""Does a network learn what its gradient, before training, hardly reaches?

Run ``python book/experiments/recall.py``. It goes on where it was stopped.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import companion
from companion.results import store_runs

QUESTION = (
    "The answer is the sign of one feature of the first token, asked for after "
    "the last of 10, 20 or 40. Which networks learn it, after 500 steps and "
    "after 1,500, and how strongly did and does their last output react to "
    "the first token?"
)
SIZE = 32
ARMS = (
    "tanh",
    "LSTM",
    "LSTM, forget bias +1",
    "LSTM, forget bias +3",
    "attention",
)
LENGTHS = (10, 20, 40)
MEASURED_AT = (500, 1500)


class Recaller(nn.Module):
    """A layer, and a linear map of its last output to one logit."""

    def __init__(self, arm: str) -> None:
        super().__init__()
        self.layer: nn.Module
        if arm == "attention":
            self.layer = companion.MultiHeadAttention(SIZE, num_heads=4)
        elif arm == "tanh":
            self.layer = nn.RNN(SIZE, SIZE, batch_first=True)
        elif arm.startswith("LSTM"):
            self.layer = nn.LSTM(SIZE, SIZE, batch_first=True)
            with torch.no_grad():  # torch's order: input, forget, cell, output
                more = float(arm.partition("+")[2] or 0)
                self.layer.bias_ih_l0[SIZE : 2 * SIZE] += more
        else:
            known = ", ".join(ARMS)
            raise ValueError(f"there is no arm {arm!r}; there are: {known}")
        self.to_logit = nn.Linear(SIZE, 1)

    def last(self, x: Tensor) -> Tensor:
        """Return the layer's last output (B, size) for x (B, T, size)."""
        output = self.layer(x)
        return (output[0] if isinstance(output, tuple) else output)[:, -1]

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B,)."""
        return self.to_logit(self.last(x))[:, 0]


def draw(length: int, number: int) -> tuple[Tensor, Tensor]:
    """Return random sequences, and whether the first token's feature 0 is > 0.

    Feature 1 is 0 but at the first token, so that attention, which does not
    know positions, can tell which that is.
    """
    x = torch.randn(number, length, SIZE)
    x[:, :, 1] = 0
    x[:, 0, 1] = 3
    return x, x[:, 0, 0] > 0


def reaction(model: Recaller, length: int) -> float:
    """Return the norm of d(last output)/d(first input), mean of 8 sequences."""
    x, _ = draw(length, 8)
    copies = x.repeat_interleave(SIZE, 0).requires_grad_()  # one for each output
    rows = torch.arange(len(copies))
    model.last(copies)[rows, rows % SIZE].sum().backward()
    jacobians = copies.grad[:, 0].view(8, SIZE, SIZE)
    return jacobians.square().sum((1, 2)).sqrt().mean().item()


def train_arm(
    arm: str, length: int, seed: int, measured_at: tuple[int, ...]
) -> dict:
    """Train on new sequences at every step; measure on 2,000 others."""
    torch.manual_seed(seed)
    model = Recaller(arm)
    result = {"reaction_before": float(f"{reaction(model, length):.2e}")}
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    right = []
    for step in range(1, max(measured_at) + 1):
        x, answer = draw(length, 64)
        loss = F.binary_cross_entropy_with_logits(model(x), answer.float())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step in measured_at:
            x, answer = draw(length, 2000)
            with torch.no_grad():
                share = ((model(x) > 0) == answer).float().mean().item()
            right.append(round(share, 4))
    result["right"] = right
    result["reaction_after"] = float(f"{reaction(model, length):.2e}")
    return result


def run(
    seed: int,
    arms: tuple[str, ...] = ARMS,
    lengths: tuple[int, ...] = LENGTHS,
    measured_at: tuple[int, ...] = MEASURED_AT,
) -> dict:
    """Train every arm at every length."""
    return {
        "lengths": list(lengths),
        "measured_at": list(measured_at),
        "arms": {
            arm: [train_arm(arm, n, seed, measured_at) for n in lengths]
            for arm in arms
        },
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(5))
