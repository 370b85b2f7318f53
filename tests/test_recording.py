"""Recording takes attention maps out of a running model, and leaves the model as it was."""

import pytest
import torch
from torch import nn

from companion.attention import ScaledDotProductAttention, attention_weights
from companion.implementation import use_implementation
from companion.masks import causal_mask, combine_masks
from companion.multi_head import MultiHeadAttention, split_heads
from companion.recording import record_attention

B, H, Q, K, D = 2, 3, 5, 7, 33


class Block(nn.Module):
    """Two layers with names, as a decoder has them."""

    def __init__(self):
        super().__init__()
        self.self_attention = MultiHeadAttention(D, H)
        self.cross_attention = MultiHeadAttention(D, H)

    def forward(self, x, memory, mask=None):
        return self.cross_attention(self.self_attention(x, causal=True), memory, mask=mask)


@pytest.fixture
def block():
    torch.manual_seed(0)
    return Block().double()


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(B, Q, D, generator=generator, dtype=torch.float64)
    return x, torch.randn(B, K, D, generator=generator, dtype=torch.float64)


def test_by_hand():
    attention = ScaledDotProductAttention()
    query, key, value = torch.tensor([[0.0]]), torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [5.0]])
    with record_attention(attention) as maps:
        output = attention(query, key, value)
    assert maps["attention"].tolist() == [[0.5, 0.5]]
    assert output.tolist() == [[4.0]]


def test_names_shapes_and_order(block, inputs):
    with record_attention(nn.ModuleDict({"decoder": block})) as maps:
        block(*inputs)
    assert list(maps) == ["decoder.self_attention", "decoder.cross_attention"]
    assert maps["decoder.self_attention"].shape == (B, H, Q, Q)
    assert maps["decoder.cross_attention"].shape == (B, H, Q, K)
    assert not any(weights.requires_grad for weights in maps.values())


def test_a_layer_that_is_the_model(inputs):
    layer = MultiHeadAttention(D, H).double()
    with record_attention(layer) as maps:
        layer(inputs[0])
    assert list(maps) == ["attention"]


def test_two_attentions_of_one_owner_keep_their_own_names():
    pair = nn.ModuleDict({"pair": nn.ModuleList([ScaledDotProductAttention(), ScaledDotProductAttention()])})
    x = torch.ones(1, 2, 3)
    with record_attention(pair) as maps:
        for attention in pair["pair"]:
            attention(x, x, x)
    assert list(maps) == ["pair.0", "pair.1"]


@pytest.mark.parametrize("implementation", ["fused", "reference"])
def test_weights_explain_the_output(inputs, implementation):
    x, memory = inputs
    layer = use_implementation(MultiHeadAttention(D, H), implementation).double()
    mask = torch.rand(B, 1, Q, K, generator=torch.Generator().manual_seed(2)) < 0.5
    mask[0, :, 0] = False
    with record_attention(layer) as maps:
        output = layer(x, memory, mask=mask)
    weights = maps["attention"]
    heads = weights @ split_heads(layer.v_proj(memory), H)
    expected = layer.out_proj(heads.transpose(1, 2).flatten(2))
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)
    assert weights.masked_select(~mask).eq(0).all()


def test_causal_joins_the_mask(inputs):
    x, memory = inputs
    mask = torch.ones(Q, K, dtype=torch.bool)
    mask[:, 0] = False
    attention = ScaledDotProductAttention()
    with record_attention(attention) as maps:
        attention(x, memory, value=memory, mask=mask, causal=True)
    both = combine_masks(mask, causal_mask(Q, K))
    assert torch.equal(maps["attention"], attention_weights(x, memory, both))


def test_a_layer_that_runs_again_has_a_list(inputs):
    x, memory = inputs
    attention = ScaledDotProductAttention()
    with record_attention(attention) as maps:
        for keys in (3, 4, 5):
            attention(x[:, :1], memory[:, :keys], memory[:, :keys], causal=True)
    assert [tuple(weights.shape) for weights in maps["attention"]] == [(B, 1, 3), (B, 1, 4), (B, 1, 5)]


def test_output_gradients_and_dropout_stay_bit_for_bit(inputs):
    x, memory = inputs
    torch.manual_seed(3)
    block = Block().double()
    block.self_attention.attention.dropout = 0.3
    results = []
    for record in (False, True):
        block.zero_grad()
        torch.manual_seed(4)
        if record:
            with record_attention(block):
                output = block(x, memory)
        else:
            output = block(x, memory)
        output.sum().backward()
        results.append([output.detach(), *(p.grad.clone() for p in block.parameters())])
    assert all(torch.equal(plain, recorded) for plain, recorded in zip(*results, strict=True))


def test_nothing_stays_on_the_model(block, inputs):
    def state():
        return [(sorted(vars(module)), len(module._forward_pre_hooks)) for module in block.modules()]

    before = state()
    with record_attention(block):
        block(*inputs)
    assert state() == before
    with pytest.raises(KeyError, match="the caller's own"), record_attention(block):
        raise KeyError("the caller's own")
    assert state() == before


def test_recordings_nest(block, inputs):
    with record_attention(block) as outer, record_attention(block.cross_attention) as inner:
        block(*inputs)
    assert torch.equal(outer["cross_attention"], inner["attention"])


def test_nothing_recorded_is_an_error(block):
    message = r"nothing was recorded: Block did not run inside the with block; call the very model that was passed"
    with pytest.raises(RuntimeError, match=message), record_attention(block):
        pass
    message = r"nothing was recorded: Linear has no ScaledDotProductAttention inside; pass a model that attends"
    with pytest.raises(RuntimeError, match=message), record_attention(nn.Linear(2, 3)):
        pass
