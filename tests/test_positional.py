import math

import pytest
import torch

from companion import (
    LearnedPositionalEmbedding,
    RotaryPositionalEmbedding,
    SinusoidalPositionalEncoding,
    sinusoidal_encoding,
)
from tests.helpers import BATCH, HEADS, TARGET_LEN, assert_close, normal

D_MODEL, MAX_LEN = 22, 13
ADDED = [SinusoidalPositionalEncoding, LearnedPositionalEmbedding]


def test_sinusoids_by_hand():
    encoding = sinusoidal_encoding(3, 16)
    assert encoding[0].tolist() == [0.0, 1.0] * 8
    assert encoding[1, 2].item() == pytest.approx(0.3110, abs=5e-5)
    for position in range(3):
        for i in range(8):
            angle = position / 10_000 ** (2 * i / 16)
            assert encoding[position, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-7)
            assert encoding[position, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-7)


def test_products_of_sinusoids_depend_on_the_distance_alone():
    encoding = sinusoidal_encoding(1000, D_MODEL)
    products = (encoding[:-3] * encoding[3:]).sum(dim=-1)
    torch.testing.assert_close(products, products[:1].expand_as(products))


def test_far_positions_keep_their_digits():
    assert sinusoidal_encoding(100_001, 2)[-1, 0].item() == pytest.approx(math.sin(100_000), abs=1e-7)


@pytest.mark.parametrize("layer", ADDED)
def test_the_same_offsets_for_every_item_of_the_batch(layer):
    positions = layer(D_MODEL, MAX_LEN)
    added = positions(torch.zeros(BATCH, TARGET_LEN, D_MODEL))
    assert torch.equal(added[0], added[1])
    assert not torch.equal(added[0, 0], added[0, 1])
    x = normal(BATCH, TARGET_LEN, D_MODEL, dtype=torch.float32)
    assert torch.equal(positions(x), x + added)


@pytest.mark.parametrize("layer", [*ADDED, RotaryPositionalEmbedding])
def test_start_goes_on_where_a_cache_stopped(layer):
    positions, x = layer(D_MODEL, MAX_LEN), normal(BATCH, HEADS, TARGET_LEN, D_MODEL)
    parts = [positions(x[..., :3, :], 0), positions(x[..., 3:4, :], 3), positions(x[..., 4:, :], 4)]
    assert torch.equal(torch.cat(parts, dim=-2), positions(x))


@pytest.mark.parametrize("layer", [*ADDED, RotaryPositionalEmbedding])
def test_too_long_or_too_wide_is_refused(layer):
    positions = layer(D_MODEL, MAX_LEN)
    assert positions(torch.zeros(1, MAX_LEN, D_MODEL)).shape == (1, MAX_LEN, D_MODEL)
    with pytest.raises(ValueError, match=r"14 tokens does not fit max_len \(13\): raise max_len or shorten it"):
        positions(torch.zeros(1, 7, D_MODEL), start=7)
    with pytest.raises(ValueError, match="its last dimension must be"):
        positions(torch.zeros(1, 7, 5))


@pytest.mark.parametrize("make", [lambda: sinusoidal_encoding(5, 7), lambda: RotaryPositionalEmbedding(7, 5)])
def test_odd_features_are_refused(make):
    with pytest.raises(ValueError, match=r"\(7\) must be divisible by 2.*a sine and a cosine"):
        make()


@pytest.mark.parametrize("layer", [SinusoidalPositionalEncoding, RotaryPositionalEmbedding])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_tables_are_no_weights_and_take_the_inputs_dtype(layer, dtype):
    positions = layer(D_MODEL, MAX_LEN)
    assert not positions.state_dict()
    assert not list(positions.parameters())
    assert positions(torch.zeros(1, 5, D_MODEL, dtype=dtype)).dtype == dtype
    assert positions.to("meta")(torch.zeros(1, 5, D_MODEL, device="meta")).is_meta


def test_learned_positions_are_weights():
    positions = LearnedPositionalEmbedding(D_MODEL, MAX_LEN)
    assert {name: tensor.shape for name, tensor in positions.state_dict().items()} == {"weight": (MAX_LEN, D_MODEL)}
    positions(normal(BATCH, TARGET_LEN, D_MODEL)).sum().backward()
    assert positions.weight.grad[:TARGET_LEN].eq(BATCH).all()
    assert positions.weight.grad[TARGET_LEN:].eq(0).all()
    assert LearnedPositionalEmbedding(100, 400).weight.std().item() == pytest.approx(0.1, rel=0.02)


def test_rotary_by_hand():
    x = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])[None].expand(1, 2, 3, 2)  # at positions 0, 1, 2
    rotated = RotaryPositionalEmbedding(2, 3)(x)
    sines, cosines = [math.sin(t) for t in range(3)], [math.cos(t) for t in range(3)]
    first = torch.tensor(list(zip(cosines, sines, strict=True)))
    second = torch.tensor([[-s, c] for s, c in zip(sines, cosines, strict=True)])
    torch.testing.assert_close(rotated, torch.stack([first, second])[None])


def test_rotary_products_depend_on_the_distance_alone():
    rotary = RotaryPositionalEmbedding(D_MODEL, MAX_LEN).double()
    query, key = normal(1, HEADS, 1, D_MODEL), normal(1, HEADS, 1, D_MODEL)
    products = [(rotary(query, t + 3) * rotary(key, t)).sum() for t in range(MAX_LEN - 3)]
    for product in products[1:]:
        assert_close(product, products[0], 1e-6)  # the tables are float32
    assert_close(rotary(query, 5).norm(), query.norm(), 1e-6)


@pytest.mark.parametrize("layer", [*ADDED, RotaryPositionalEmbedding])
def test_gradcheck(layer):
    positions = layer(6, 5).double()
    assert torch.autograd.gradcheck(positions, normal(1, 2, 3, 6, requires_grad=True))
