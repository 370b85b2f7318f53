import pytest
import torch
from torch import nn

from companion import Decoder, DecoderLayer, causal_mask, use_implementation
from tests.helpers import (
    BATCH,
    D_FF,
    D_MODEL,
    HEADS,
    SOURCE_LEN,
    TARGET_LEN,
    assert_close,
    copy_layer,
    copy_stack,
    normal,
    padding,
    randomised,
)

MEMORY_MASK = padding([3, 5], SOURCE_LEN)
TARGET_MASK = padding([7, 4], TARGET_LEN)
REAL = TARGET_MASK[:, 0, 0]


def decoder(implementation="fused", **options):
    return use_implementation(randomised(Decoder(2, D_MODEL, HEADS, D_FF, **options)), implementation)


def inputs():
    return normal(BATCH, TARGET_LEN, D_MODEL), normal(BATCH, SOURCE_LEN, D_MODEL)


def torchs_layer(norm_first):
    return nn.TransformerDecoderLayer(D_MODEL, HEADS, D_FF, dropout=0.1, norm_first=norm_first, batch_first=True)


def torchs_stack(norm_first):
    return nn.TransformerDecoder(torchs_layer(norm_first), 2, nn.LayerNorm(D_MODEL) if norm_first else None)


@pytest.mark.parametrize(
    ("ours", "theirs", "copy"),
    [(DecoderLayer, torchs_layer, copy_layer), (lambda *a, **k: Decoder(2, *a, **k), torchs_stack, copy_stack)],
    ids=["layer", "stack"],
)
def test_equals_torch(ours, theirs, copy, norm_first, implementation):
    theirs = randomised(theirs(norm_first))
    ours = ours(D_MODEL, HEADS, D_FF, dropout=0.1, norm_first=norm_first)
    copy(use_implementation(ours, implementation).double(), theirs)
    x, memory = inputs()
    masks = {"tgt_mask": ~causal_mask(TARGET_LEN), "memory_key_padding_mask": ~MEMORY_MASK[:, 0, 0]}
    assert_close(ours(x, memory, memory_mask=MEMORY_MASK), theirs(x, memory, **masks))
    expected = theirs(x, memory, **masks, tgt_key_padding_mask=~REAL)
    assert_close(ours(x, memory, TARGET_MASK, MEMORY_MASK)[REAL], expected[REAL])


def test_gradcheck(norm_first, implementation):
    layer = use_implementation(randomised(DecoderLayer(6, 2, 5, norm_first=norm_first)), implementation)
    x, memory = normal(2, 3, 6, requires_grad=True), normal(2, 5, 6, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, memory: layer(x, memory, None, MEMORY_MASK), (x, memory))


@pytest.mark.parametrize("training", [False, True])
def test_a_forbidden_token_moves_nothing(norm_first, implementation, training):
    model = decoder(norm_first=norm_first, implementation=implementation).train(training)
    x, memory = inputs()
    before = model(x, memory, None, MEMORY_MASK)
    for position in range(1, TARGET_LEN):
        later = x.clone()
        later[:, position] += 1
        after = model(later, memory, None, MEMORY_MASK)
        assert torch.equal(before[:, :position], after[:, :position])
        assert (before[:, position:] != after[:, position:]).any(dim=-1).all()
    hidden = memory.clone()
    hidden[0, 3:] += 1
    assert torch.equal(before, model(x, hidden, None, MEMORY_MASK))
    hidden[0, 2] += 1
    assert (before[0] != model(x, hidden, None, MEMORY_MASK)[0]).any(dim=-1).all()
    padded = x.clone()
    padded[~REAL] += 1
    masks = (TARGET_MASK, MEMORY_MASK)
    assert torch.equal(model(x, memory, *masks)[REAL], model(padded, memory, *masks)[REAL])


@torch.no_grad()
@pytest.mark.parametrize("chunks", [[1] * 7, [4, 1, 2]], ids=str)
def test_cached_equals_uncached(norm_first, implementation, chunks):
    model = decoder(norm_first=norm_first, implementation=implementation)
    x, memory = inputs()
    cache = model.make_cache(BATCH, TARGET_LEN, SOURCE_LEN, device=x.device, dtype=x.dtype)
    parts = [model(part, memory, None, MEMORY_MASK, cache) for part in x.split(chunks, dim=1)]
    assert_close(torch.cat(parts, dim=1), model(x, memory, None, MEMORY_MASK))
    assert [layer.self_attention.length for layer in cache] == [TARGET_LEN] * 2
    assert [layer.cross_attention.length for layer in cache] == [SOURCE_LEN] * 2


@torch.no_grad()
def test_a_forbidden_token_moves_no_cached_output(norm_first, implementation):
    model = decoder(norm_first=norm_first, implementation=implementation)
    x, memory = inputs()
    later, hidden = x.clone(), memory.clone()
    later[:, 4:] += 1
    hidden[0, 3:] += 1
    outputs = []
    for target, source in ((x, memory), (later, hidden)):
        cache = model.make_cache(BATCH, TARGET_LEN, SOURCE_LEN, device=x.device, dtype=x.dtype)
        outputs.append(
            torch.cat([model(part, source, None, MEMORY_MASK, cache) for part in target.split([2, 1, 4], 1)], 1)
        )
    assert torch.equal(outputs[0][:, :4], outputs[1][:, :4])


def test_names():
    names = {"self_attention", "cross_attention", "feed_forward", "add_norm1", "add_norm2", "add_norm3"}
    assert {name for name, _ in DecoderLayer(D_MODEL, HEADS, D_FF).named_children()} == names
    assert ("norm.weight" in decoder(norm_first=True).state_dict()) is True
    assert ("norm.weight" in decoder().state_dict()) is False
