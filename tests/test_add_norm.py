import math

import pytest
import torch
from torch import nn

from companion import AddNorm, LayerNorm, use_implementation
from tests.helpers import BATCH, D_MODEL, TARGET_LEN, assert_close, normal, randomised


def test_layer_norm_by_hand(implementation):
    # Mean 1/4 and variance 3/16: (1 - 1/4) / √(3/16) = √3, (0 - 1/4) / √(3/16) = -1/√3.
    normed = LayerNorm(4, eps=0.0, implementation=implementation)(torch.tensor([1.0, 0, 0, 0]))
    torch.testing.assert_close(normed, torch.tensor([math.sqrt(3), *[-1 / math.sqrt(3)] * 3]))


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_layer_norm_equals_torch(implementation, scale):
    theirs = randomised(nn.LayerNorm(D_MODEL))
    ours = LayerNorm(D_MODEL, implementation=implementation).double()
    ours.load_state_dict(theirs.state_dict())
    x = normal(BATCH, TARGET_LEN, D_MODEL) * scale
    assert_close(ours(x), theirs(x))


def test_layer_norm_gradcheck(implementation):
    norm = randomised(LayerNorm(5, implementation=implementation))
    assert torch.autograd.gradcheck(norm, normal(2, 3, 5, requires_grad=True))


def test_layer_norm_looks_at_one_token_at_a_time(implementation):
    norm, x = randomised(LayerNorm(D_MODEL, implementation=implementation)), normal(BATCH, TARGET_LEN, D_MODEL)
    moved = x.clone()
    moved[0, 3] += normal(D_MODEL)
    same = torch.ones(BATCH, TARGET_LEN, dtype=torch.bool)
    same[0, 3] = False
    assert torch.equal(norm(x)[same], norm(moved)[same])
    assert not torch.equal(norm(x)[~same], norm(moved)[~same])


def test_a_fresh_layer_norm_has_gain_one_and_shift_zero(implementation):
    norm = LayerNorm(D_MODEL, implementation=implementation)
    assert {name: value.unique().tolist() for name, value in norm.state_dict().items()} == {"weight": [1], "bias": [0]}
    normed = norm.double()(normal(BATCH, TARGET_LEN, D_MODEL) * 5 + 3)
    torch.testing.assert_close(normed.mean(dim=-1), torch.zeros(BATCH, TARGET_LEN, dtype=torch.float64))
    torch.testing.assert_close(
        normed.var(dim=-1, correction=0), torch.ones(BATCH, TARGET_LEN).double(), rtol=1e-5, atol=0
    )


def test_layer_norm_refuses_other_sizes_and_names():
    with pytest.raises(ValueError, match=r"x has shape \(2, 5\): its last dimension must be d_model \(33\)"):
        LayerNorm(D_MODEL)(torch.zeros(2, 5))
    with pytest.raises(ValueError, match="implementation must be one of 'fused', 'reference', got 'fast'"):
        LayerNorm(D_MODEL, implementation="fast")


def test_add_norm_is_its_formula(implementation, norm_first):
    around = use_implementation(randomised(AddNorm(D_MODEL, norm_first=norm_first)), implementation)
    x = normal(BATCH, TARGET_LEN, D_MODEL)
    sublayer = randomised(nn.Linear(D_MODEL, D_MODEL))
    expected = x + sublayer(around.norm(x)) if norm_first else around.norm(x + sublayer(x))
    assert torch.equal(around(x, sublayer), expected)


def test_add_norm_drops_the_sublayer_and_never_the_residual(norm_first):
    around = AddNorm(D_MODEL, dropout=0.5, norm_first=norm_first).double()
    around.norm = nn.Identity()
    x = normal(BATCH, TARGET_LEN, D_MODEL)
    added = around(x, torch.zeros_like)
    assert torch.equal(added, x)
    added = around(x, torch.ones_like) - x
    torch.testing.assert_close(added.unique().round(decimals=9).unique(), torch.tensor([0.0, 2.0]).double())
    assert torch.equal(around.eval()(x, torch.ones_like), x + 1)


def test_add_norm_gradcheck(implementation, norm_first):
    around = use_implementation(randomised(AddNorm(5, norm_first=norm_first)), implementation)
    assert torch.autograd.gradcheck(lambda x: around(x, torch.tanh), normal(2, 3, 5, requires_grad=True))
