import pytest
import torch
from torch import nn

from companion import Encoder, EncoderLayer, use_implementation
from tests.helpers import (
    BATCH,
    D_FF,
    D_MODEL,
    HEADS,
    SOURCE_LEN,
    assert_close,
    copy_layer,
    copy_stack,
    normal,
    padding,
    randomised,
)

MASK = padding([3, 5], SOURCE_LEN)
REAL = MASK[:, 0, 0]


def stack(norm_first, implementation):
    return use_implementation(randomised(Encoder(2, D_MODEL, HEADS, D_FF, norm_first=norm_first)), implementation)


def torchs_layer(norm_first):
    return nn.TransformerEncoderLayer(D_MODEL, HEADS, D_FF, dropout=0.1, norm_first=norm_first, batch_first=True)


def torchs_stack(norm_first):
    norm = nn.LayerNorm(D_MODEL) if norm_first else None
    return nn.TransformerEncoder(torchs_layer(norm_first), 2, norm, enable_nested_tensor=False)


@pytest.mark.parametrize(
    ("ours", "theirs", "copy"),
    [(EncoderLayer, torchs_layer, copy_layer), (lambda *a, **k: Encoder(2, *a, **k), torchs_stack, copy_stack)],
    ids=["layer", "stack"],
)
def test_equals_torch(ours, theirs, copy, norm_first, implementation):
    theirs = randomised(theirs(norm_first))
    ours = ours(D_MODEL, HEADS, D_FF, dropout=0.1, norm_first=norm_first)
    copy(use_implementation(ours, implementation).double(), theirs)
    x = normal(BATCH, SOURCE_LEN, D_MODEL)
    assert_close(ours(x), theirs(x))
    assert_close(ours(x, MASK)[REAL], theirs(x, src_key_padding_mask=~REAL)[REAL])


def test_gradcheck(norm_first, implementation):
    layer = use_implementation(randomised(EncoderLayer(6, 2, 5, norm_first=norm_first)), implementation)
    x = normal(2, 3, 6, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: layer(x, padding([2, 3], 3)), x)


@pytest.mark.parametrize("training", [False, True])
def test_padding_moves_no_real_token(norm_first, implementation, training):
    encoder = stack(norm_first, implementation)
    encoder.train(training)
    x = normal(BATCH, SOURCE_LEN, D_MODEL)
    moved = x.clone()
    moved[~REAL] += 1
    assert torch.equal(encoder(x, MASK)[REAL], encoder(moved, MASK)[REAL])
    assert not torch.equal(encoder(x)[REAL], encoder(moved)[REAL])


def test_permutation_equivariance(norm_first, implementation):
    encoder = stack(norm_first, implementation)
    x, order = normal(BATCH, SOURCE_LEN, D_MODEL), torch.randperm(SOURCE_LEN)
    assert_close(encoder(x[:, order], MASK[..., order]), encoder(x, MASK)[:, order])


def test_layers_have_weights_of_their_own():
    encoder = Encoder(3, D_MODEL, HEADS, D_FF)
    one = sum(p.numel() for p in EncoderLayer(D_MODEL, HEADS, D_FF).parameters())
    assert sum(p.numel() for p in encoder.parameters()) == 3 * one
    first, second, _ = (layer.self_attention.q_proj.weight for layer in encoder.layers)
    assert not torch.equal(first, second)


def test_names_and_the_last_norm():
    names = {"self_attention", "feed_forward", "add_norm1", "add_norm2"}
    assert {name for name, _ in EncoderLayer(D_MODEL, HEADS, D_FF).named_children()} == names
    last = [name for name in Encoder(1, D_MODEL, HEADS, D_FF, norm_first=True).state_dict() if name.startswith("norm")]
    assert last == ["norm.weight", "norm.bias"]
    assert not any(name.startswith("norm") for name in Encoder(1, D_MODEL, HEADS, D_FF).state_dict())


def test_a_source_of_nothing_but_padding_stays_finite(norm_first, implementation):
    encoder = stack(norm_first, implementation)
    x = normal(BATCH, SOURCE_LEN, D_MODEL, requires_grad=True)
    output = encoder(x, padding([0, 5], SOURCE_LEN))
    output.square().sum().backward()
    assert output.isfinite().all()
    assert all(tensor.grad.isfinite().all() for tensor in (x, *encoder.parameters()))
