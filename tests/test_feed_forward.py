import pytest
import torch
from torch import nn

from companion import FeedForward
from tests.helpers import BATCH, D_FF, D_MODEL, TARGET_LEN, assert_close, normal, randomised


def test_by_hand():
    network = FeedForward(1, 2)
    with torch.no_grad():
        for parameter, value in zip(
            network.parameters(), ([[1.0], [-1.0]], [0.5, 0.5], [[2.0, 3.0]], [0.25]), strict=True
        ):
            parameter.copy_(torch.tensor(value))
    # x = 2: max(0, 2.5) · 2 + max(0, -1.5) · 3 + 0.25; x = -2: max(0, -1.5) · 2 + max(0, 2.5) · 3 + 0.25
    assert network(torch.tensor([[2.0], [-2.0]])).tolist() == [[5.25], [7.75]]


def test_equals_torch():
    theirs = randomised(nn.Sequential(nn.Linear(D_MODEL, D_FF), nn.ReLU(), nn.Linear(D_FF, D_MODEL)))
    ours = FeedForward(D_MODEL, D_FF).double()
    ours.linear1.load_state_dict(theirs[0].state_dict())
    ours.linear2.load_state_dict(theirs[2].state_dict())
    x = normal(BATCH, TARGET_LEN, D_MODEL)
    assert_close(ours(x), theirs(x))


def test_gradcheck():
    network = randomised(FeedForward(3, 5))
    assert torch.autograd.gradcheck(network, normal(2, 7, 3, requires_grad=True))


def test_no_position_influences_another():
    network = randomised(FeedForward(D_MODEL, D_FF))
    x = normal(BATCH, TARGET_LEN, D_MODEL, requires_grad=True)
    network(x)[1, 3].sum().backward()
    influence = x.grad.abs().sum(dim=-1)
    assert influence[1, 3] > 0
    influence[1, 3] = 0
    assert influence.eq(0).all()


def test_number_of_parameters_and_errors():
    assert sum(p.numel() for p in FeedForward(512, 2048).parameters()) == 2 * 512 * 2048 + 2048 + 512
    with pytest.raises(ValueError, match=r"x has shape \(7, 5\): its last dimension must be d_model \(33\)"):
        FeedForward(D_MODEL, D_FF)(torch.zeros(7, 5))
