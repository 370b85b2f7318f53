import numpy as np
import pytest
import torch
from torch import nn

from companion import (
    Decoder,
    DecoderLayer,
    Encoder,
    EncoderLayer,
    KVCache,
    MultiHeadAttention,
    RotaryPositionalEmbedding,
    attention_weights,
    causal_mask,
    combine_masks,
    merge_heads,
    scaled_dot_product_attention,
    split_heads,
    use_implementation,
)
from tests.helpers import (
    BATCH,
    D_MODEL,
    HEAD_DIM,
    HEADS,
    SOURCE_LEN,
    TARGET_LEN,
    assert_close,
    copy_attention,
    normal,
    padding,
    randomised,
)


def layer(implementation="fused", **options):
    return use_implementation(randomised(MultiHeadAttention(D_MODEL, HEADS, **options)), implementation)


def test_split_heads_by_hand():
    x = torch.tensor([[[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]])  # one sequence of three tokens
    assert split_heads(x, 2).tolist() == [[[[1, 2], [5, 6], [9, 10]], [[3, 4], [7, 8], [11, 12]]]]


def test_merging_undoes_splitting():
    x = normal(BATCH, TARGET_LEN, D_MODEL)
    assert split_heads(x, HEADS).shape == (BATCH, HEADS, TARGET_LEN, HEAD_DIM)
    assert torch.equal(merge_heads(split_heads(x, HEADS)), x)
    # whatever the strides
    assert torch.equal(merge_heads(split_heads(x.transpose(0, 1), HEADS)), x.transpose(0, 1))


def test_split_and_merge_refuse_other_shapes():
    with pytest.raises(ValueError, match=r"d_model \(10\) must be divisible by num_heads \(3\)"):
        split_heads(torch.zeros(2, 5, 10), 3)
    with pytest.raises(ValueError, match=r"expected \(batch, length, d_model\), got shape \(5, 10\)"):
        split_heads(torch.zeros(5, 10), 2)
    with pytest.raises(ValueError, match=r"expected \(batch, heads, length, head_dim\), got shape \(5, 10\)"):
        merge_heads(torch.zeros(5, 10))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("cross", [False, True])
def test_equals_torch(implementation, bias, cross):
    theirs = randomised(nn.MultiheadAttention(D_MODEL, HEADS, bias=bias, batch_first=True))
    ours = copy_attention(layer(implementation, bias=bias), theirs)
    query = normal(BATCH, TARGET_LEN, D_MODEL)
    memory = normal(BATCH, SOURCE_LEN, D_MODEL) if cross else query
    mask = padding([3, memory.size(1)], memory.size(1))
    expected, _ = theirs(query, memory, memory, key_padding_mask=~mask[:, 0, 0])
    assert_close(ours(query, memory if cross else None, mask), expected)
    if not cross:
        expected, _ = theirs(query, query, query, attn_mask=~causal_mask(TARGET_LEN))
        assert_close(ours(query, causal=True), expected)
        assert_close(ours(query, mask=causal_mask(TARGET_LEN)), expected)


@pytest.mark.parametrize("cross", [False, True])
def test_gradcheck(implementation, cross):
    attention = layer(implementation=implementation)
    query, memory = normal(1, 3, D_MODEL, requires_grad=True), normal(1, 2, D_MODEL, requires_grad=True)
    if cross:
        assert torch.autograd.gradcheck(lambda q, m: attention(q, m), (query, memory))
    else:
        assert torch.autograd.gradcheck(lambda q: attention(q, causal=True), query)


def test_names_and_number_of_parameters():
    assert list(layer().state_dict()) == [
        f"{p}_proj.{kind}" for p in ("q", "k", "v", "out") for kind in ("weight", "bias")
    ]
    assert list(layer(bias=False).state_dict()) == [f"{p}_proj.weight" for p in ("q", "k", "v", "out")]
    for heads in (1, 8, 64):
        assert sum(p.numel() for p in MultiHeadAttention(512, heads).parameters()) == 1_050_624


@pytest.mark.parametrize("training", [False, True])
def test_a_forbidden_token_moves_nothing(implementation, training):
    attention = layer(implementation=implementation).train(training)
    x, memory = normal(BATCH, TARGET_LEN, D_MODEL), normal(BATCH, SOURCE_LEN, D_MODEL)
    later, padded = x.clone(), memory.clone()
    later[:, 4:] += 1
    padded[0, 3:] += 1
    assert torch.equal(attention(x, causal=True)[:, :4], attention(later, causal=True)[:, :4])
    mask = padding([3, 5], SOURCE_LEN)
    assert torch.equal(attention(x, memory, mask), attention(x, padded, mask))


def test_permutation_equivariance(implementation):
    attention, x, order = (
        layer(implementation=implementation),
        normal(BATCH, TARGET_LEN, D_MODEL),
        torch.randperm(TARGET_LEN),
    )
    assert_close(attention(x[:, order]), attention(x)[:, order])


@pytest.mark.parametrize("chunks", [[1] * 7, [3, 1, 3], [7], [2, 5]], ids=str)
def test_cached_self_attention_equals_the_full_one(implementation, chunks):
    attention, x = layer(implementation=implementation), normal(BATCH, TARGET_LEN, D_MODEL)
    cache = KVCache(BATCH, HEADS, TARGET_LEN, HEAD_DIM, dtype=torch.float64)
    with torch.no_grad():
        parts = [attention(part, causal=True, cache=cache) for part in x.split(chunks, dim=1)]
        assert_close(torch.cat(parts, dim=1), attention(x, causal=True))


@torch.no_grad()
def test_a_token_that_comes_later_moves_no_cached_output(implementation):
    attention, x = layer(implementation=implementation), normal(BATCH, TARGET_LEN, D_MODEL)
    later = x.clone()
    later[:, 3:] += 1
    outputs = []
    for tokens in (x, later):
        cache = KVCache(BATCH, HEADS, TARGET_LEN, HEAD_DIM, dtype=torch.float64)
        outputs.append(attention(tokens, causal=True, cache=cache)[:, :3])
    assert torch.equal(*outputs)


@torch.no_grad()
def test_cross_attention_projects_the_memory_once(implementation):
    attention, memory = layer(implementation=implementation), normal(BATCH, SOURCE_LEN, D_MODEL)
    cache = KVCache(BATCH, HEADS, SOURCE_LEN, HEAD_DIM, dtype=torch.float64)
    calls = []
    attention.k_proj.register_forward_hook(lambda *_: calls.append(1))
    for _ in range(3):
        query = normal(BATCH, 1, D_MODEL)
        cached = attention(query, memory, cache=cache)
        assert len(calls) == 1
        assert_close(cached, attention(query, memory))
        calls.pop()
    with pytest.raises(ValueError, match="keys of 5 memory tokens, but the memory has 7: make a new cache"):
        attention(query, normal(BATCH, TARGET_LEN, D_MODEL), cache=cache)


def test_the_cache_says_when_it_is_full_or_asked_for_gradients():
    cache = KVCache(BATCH, HEADS, 2, HEAD_DIM)
    tokens = torch.zeros(BATCH, HEADS, 3, HEAD_DIM)
    with pytest.raises(ValueError, match=r"3 tokens does not fit max_len \(2\)"):
        cache.append(tokens, tokens)
    assert cache.length == 0
    with pytest.raises(RuntimeError, match=r"keeps no gradients: decode under torch.no_grad\(\)"):
        cache.append(tokens[:, :, :1].requires_grad_(), tokens[:, :, :1])


@pytest.mark.parametrize(
    "tokens", [torch.zeros(1, HEADS, 1, HEAD_DIM), torch.zeros(BATCH, HEADS, 1, HEAD_DIM, dtype=torch.float64)]
)
def test_the_cache_does_not_stretch_or_round_what_it_is_given(tokens):
    cache = KVCache(BATCH, HEADS, 2, HEAD_DIM)
    with pytest.raises(ValueError, match="the cache was made for"):
        cache.append(tokens, tokens)


@torch.no_grad()
def test_a_cache_made_before_autocast_says_what_to_make():
    attention, cache = layer().float(), KVCache(BATCH, HEADS, TARGET_LEN, HEAD_DIM)
    rotary = MultiHeadAttention(12, 3, rotary=RotaryPositionalEmbedding(4, 16))
    halves = KVCache(BATCH, 3, TARGET_LEN, 4, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        message = (
            "made for torch.float32 .* got torch.bfloat16 .* make a new cache for these, and under autocast with its"
        )
        with pytest.raises(ValueError, match=message):
            attention(normal(BATCH, 3, D_MODEL, dtype=torch.float32), cache=cache)
        rotary(normal(BATCH, 3, 12, dtype=torch.float32), cache=halves)
    assert halves.length == 3


def test_dropout_only_while_training(implementation):
    attention, x = layer(dropout=0.5, implementation=implementation), normal(BATCH, TARGET_LEN, D_MODEL)
    assert torch.equal(attention(x), attention(x))
    attention.train()
    assert not torch.equal(attention(x), attention(x))


def test_errors_say_what_to_do():
    attention, x = layer(), normal(BATCH, TARGET_LEN, D_MODEL)
    with pytest.raises(ValueError, match=r"d_model \(10\) must be divisible by num_heads \(3\)"):
        MultiHeadAttention(10, 3)
    with pytest.raises(ValueError, match=r"num_heads \(0\)"):
        MultiHeadAttention(10, 0)
    with pytest.raises(ValueError, match=r"broadcast its batch onto the heads: pass mask\[:, None\]"):
        attention(x, mask=torch.ones(BATCH, TARGET_LEN, TARGET_LEN, dtype=torch.bool))
    with pytest.raises(TypeError, match="a mask must be a bool tensor"):
        attention(x, mask=torch.ones(TARGET_LEN, TARGET_LEN))
    with pytest.raises(ValueError, match=r"query has shape \(2, 7, 5\): its last dimension must be d_model \(33\)"):
        attention(normal(BATCH, TARGET_LEN, 5))
    with pytest.raises(ValueError, match="memory has shape"):
        attention(x, normal(BATCH, SOURCE_LEN, 5))


NO_MASKS = {
    "float32": torch.ones(SOURCE_LEN),
    "ndarray": np.ones((TARGET_LEN, SOURCE_LEN), dtype=bool),
    "list": [[True] * SOURCE_LEN] * TARGET_LEN,
    "str": "causal",
    "bool": True,
}


@pytest.mark.parametrize(("kind", "mask"), NO_MASKS.items(), ids=NO_MASKS)
def test_what_is_no_mask_is_told_what_a_mask_is(kind, mask):
    x, memory = normal(BATCH, TARGET_LEN, D_MODEL), normal(BATCH, SOURCE_LEN, D_MODEL)
    sizes = D_MODEL, HEADS, 13
    calls = [
        lambda: layer()(x, memory, mask),
        lambda: layer()(x, mask=mask),
        lambda: randomised(EncoderLayer(*sizes))(x, mask),
        lambda: randomised(Encoder(2, *sizes))(x, mask),
        lambda: randomised(DecoderLayer(*sizes))(x, memory, mask),
        lambda: randomised(Decoder(2, *sizes))(x, memory, None, mask),
        lambda: scaled_dot_product_attention(x, memory, memory, mask),
        lambda: scaled_dot_product_attention(x, memory, memory, mask, causal=True, implementation="reference"),
        lambda: attention_weights(x, memory, mask, causal=True),
        lambda: combine_masks(None, mask),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=rf"^a mask must be a bool tensor in which True .* got {kind}; "):
            call()


def test_called_as_torchs_layer_is_it_says_what_the_third_argument_is():
    x = normal(BATCH, TARGET_LEN, D_MODEL)
    message = "a mask must be a bool tensor .* got float64; .* the layer takes query, memory and mask: the memory gives"
    with pytest.raises(TypeError, match=message) as told:
        layer()(x, x, x)
    assert "mask[:, None]" not in str(told.value)
    with pytest.raises(
        TypeError, match=r"got list; for an array or a list pass torch.as_tensor\(mask\), .* pass mask == 0$"
    ):
        layer()(x, mask=[True])


@pytest.mark.parametrize("sizes", [(1, 2), (2, 1), (2, 3)], ids=str)
def test_a_memory_of_another_batch_is_not_stretched(sizes):
    query, memory = normal(sizes[0], TARGET_LEN, D_MODEL), normal(sizes[1], SOURCE_LEN, D_MODEL)
    message = "query and memory must have the same batch size, got {} and {} .* expand the one".format(*sizes)
    options = D_MODEL, HEADS, 13
    for attend in (layer(), randomised(DecoderLayer(*options)), randomised(Decoder(2, *options))):
        with pytest.raises(ValueError, match=message):
            attend(query, memory)


def rotary_layer(implementation="fused"):
    layer = randomised(MultiHeadAttention(12, 3, rotary=RotaryPositionalEmbedding(4, 16)))
    return use_implementation(layer, implementation)


def test_rotary_positions_turn_queries_and_keys_but_no_values(implementation):
    attention = rotary_layer(implementation=implementation)
    x = normal(BATCH, 7, 12)
    q, k, v = (split_heads(project(x), 3) for project in (attention.q_proj, attention.k_proj, attention.v_proj))
    heads = scaled_dot_product_attention(attention.rotary(q), attention.rotary(k), v, causal_mask(7))
    assert_close(attention(x, causal=True), attention.out_proj(merge_heads(heads)))


def test_rotary_positions_go_on_where_the_cache_stands(implementation):
    attention = rotary_layer(implementation=implementation)
    x = normal(BATCH, 7, 12)
    cache = KVCache(BATCH, 3, 7, 4, dtype=torch.float64)
    with torch.no_grad():
        steps = [attention(part, causal=True, cache=cache) for part in x.split([3, 1, 2, 1], dim=1)]
        assert_close(torch.cat(steps, dim=1), attention(x, causal=True))


def test_rotary_positions_are_for_one_sequence():
    with pytest.raises(ValueError, match="leave memory out, or rotary"):
        rotary_layer()(normal(1, 3, 12), normal(1, 5, 12))
