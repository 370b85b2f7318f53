import pytest
import torch

from companion import MultiHeadAttention, causal_mask, influence
from tests.helpers import normal, randomised


def test_by_hand():
    # y_0 = 3 x_0, y_1 = x_0 + 4 x_1: of two features each, so the norm is the factor times √2.
    mix = torch.tensor([[3.0, 0.0], [1.0, 4.0]])
    found = influence(lambda x: mix @ x, torch.zeros(1, 2, 2))
    assert torch.allclose(found, mix * 2**0.5)


def test_a_causal_layer_is_influenced_by_its_past_alone():
    layer = randomised(MultiHeadAttention(6, 3))
    found = influence(lambda x: layer(x, causal=True), normal(1, 5, 6))
    assert torch.equal(found > 0, causal_mask(5))


def test_it_sees_as_many_outputs_as_there_are():
    memory = normal(1, 7, 6)
    layer = randomised(MultiHeadAttention(6, 3))
    query = normal(1, 5, 6)
    assert influence(lambda memory: layer(query, memory), memory).shape == (5, 7)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"x must be one sequence, .* got \(2, 3, 4\)"):
        influence(lambda x: x, torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match=r"must return one sequence .* got \(1, 4\)"):
        influence(lambda x: x.sum(dim=1), torch.zeros(1, 3, 4))


def test_what_has_no_derivatives_is_refused():
    with pytest.raises(TypeError, match=r"x must be a tensor of floats, got torch.int64: ids have no derivatives"):
        influence(lambda x: x, torch.ones(1, 3, 4, dtype=torch.long))
    with pytest.raises(TypeError, match="x must be a tensor of floats, got list"):
        influence(lambda x: x, [[[1.0]]])
    with pytest.raises(
        TypeError, match=r"must return one tensor, got tuple: of torch's attention take the first, \[0\]"
    ):
        influence(lambda x: (x, None), torch.zeros(1, 3, 4))
