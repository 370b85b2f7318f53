import pytest
import torch
from torch import nn

from companion import (
    Decoder,
    EncoderLayer,
    LayerNorm,
    ScaledDotProductAttention,
    Transformer,
    use_implementation,
)
from companion._shapes import IMPLEMENTATIONS
from tests.helpers import D_FF, D_MODEL, HEADS, SOURCE_LEN, config, normal, randomised


def used(model):
    return {getattr(part, "implementation", None) for part in model.modules()} - {None}


def switches(model):
    """Every part that says which implementation it computes with."""
    return [part for part in model.modules() if hasattr(part, "implementation")]


def test_a_model_is_switched_by_its_config_and_is_fused_by_default():
    assert used(Transformer(config())) == {"fused"}
    for name in IMPLEMENTATIONS:
        assert used(Transformer(config(implementation=name, norm_first=True))) == {name}


@pytest.mark.parametrize(
    "make",
    [
        ScaledDotProductAttention,
        lambda: LayerNorm(D_MODEL),
        lambda: EncoderLayer(D_MODEL, HEADS, D_FF),
        lambda: Decoder(2, D_MODEL, HEADS, D_FF, norm_first=True),
        lambda: Transformer(config()),
    ],
    ids=["attention", "norm", "layer", "stack", "model"],
)
def test_every_part_that_has_two_is_switched(make):
    model = make()
    assert switches(model)
    for name in reversed(IMPLEMENTATIONS):
        assert use_implementation(model, name) is model
        assert used(model) == {name}


def test_it_is_the_readable_formula_that_runs(monkeypatch):
    layer, x = randomised(EncoderLayer(D_MODEL, HEADS, D_FF)), normal(1, SOURCE_LEN, D_MODEL)
    fused = layer(x)

    def never(*args, **kwargs):
        raise AssertionError("torch's kernel was called")

    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", never)
    monkeypatch.setattr(nn.functional, "layer_norm", never)
    torch.testing.assert_close(use_implementation(layer, "reference")(x), fused, rtol=1e-12, atol=1e-12)
    with pytest.raises(AssertionError, match="torch's kernel was called"):
        use_implementation(layer, "fused")(x)


def test_what_has_one_implementation_stays_as_it_is():
    model = nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5))
    before = [dict(vars(part)) for part in model.modules()]
    assert use_implementation(model, "reference") is model
    assert [dict(vars(part)) for part in model.modules()] == before


def test_an_unknown_one_is_refused():
    model = Transformer(config())
    with pytest.raises(ValueError, match="implementation must be one of 'fused', 'reference', got 'fast'"):
        use_implementation(model, "fast")
    assert used(model) == {"fused"}
