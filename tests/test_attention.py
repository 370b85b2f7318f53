import math

import pytest
import torch
import torch.nn.functional as F

from companion import (
    ScaledDotProductAttention,
    attention_weights,
    causal_mask,
    masked_softmax,
    scaled_dot_product_attention,
)
from tests.helpers import BATCH, DTYPES, HEAD_DIM, HEADS, SOURCE_LEN, TARGET_LEN, assert_close, normal, padding

VALUE_DIM = 13


def inputs(query_len=TARGET_LEN, key_len=SOURCE_LEN, **options):
    sizes = ((query_len, HEAD_DIM), (key_len, HEAD_DIM), (key_len, VALUE_DIM))
    return [normal(BATCH, HEADS, *size, **options) for size in sizes]


def random_mask(*shape):
    mask = torch.rand(*shape) < 0.6
    mask[..., 0] = True
    return mask


def test_the_masked_softmax_by_hand():
    # Of e⁰, e¹ and e² the mask leaves the first two, then none.
    first = 1 / (1 + math.e)
    scores = torch.tensor([[0.0, 1, 2], [0, 1, 2]], dtype=torch.float64)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    expected = torch.tensor([[first, 1 - first, 0], [0, 0, 0]], dtype=torch.float64)
    assert_close(masked_softmax(scores, mask), expected)
    assert torch.equal(masked_softmax(scores), scores.softmax(dim=-1))


@pytest.mark.parametrize("mask", [None, padding([5, 0], SOURCE_LEN)], ids=["no mask", "a mask"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_the_masked_softmax_computes_half_precision_in_float32(dtype, mask):
    scores = normal(BATCH, HEADS, TARGET_LEN, SOURCE_LEN, dtype=dtype)
    weights = masked_softmax(scores, mask)
    assert weights.dtype == dtype
    assert torch.equal(weights, masked_softmax(scores.float(), mask).to(dtype))


def test_the_masked_softmax_has_finite_gradients():
    scores = normal(BATCH, HEADS, 3, 5, requires_grad=True)
    mask = padding([3, 0], 5)
    assert torch.autograd.gradcheck(lambda scores: masked_softmax(scores, mask), [scores])
    masked_softmax(scores, mask).square().sum().backward()
    assert (scores.grad[1] == 0).all()
    assert (scores.grad[0, ..., 3:] == 0).all()
    assert (scores.grad[0, ..., :3] != 0).all()


def test_a_softmax_refuses_masks_that_do_not_fit():
    scores = normal(TARGET_LEN, SOURCE_LEN)
    with pytest.raises(TypeError, match="a mask must be a bool tensor .* got float64"):
        masked_softmax(scores, scores)
    with pytest.raises(ValueError, match=r"of shape \(2, 1, 1, 5\) does not broadcast to the scores' shape \(7, 5\)"):
        masked_softmax(scores, padding([5, 3], SOURCE_LEN))


@pytest.mark.parametrize(("query_len", "key_len"), [(5, 5), (3, 7), (7, 3), (1, 7)])
@pytest.mark.parametrize("masked", [False, True])
def test_causal_weights_are_those_of_the_causal_mask(query_len, key_len, masked):
    query, key, _ = inputs(query_len, key_len)
    mask = random_mask(BATCH, 1, 1, key_len) if masked else None
    both = causal_mask(query_len, key_len) if mask is None else causal_mask(query_len, key_len) & mask
    assert torch.equal(attention_weights(query, key, mask, causal=True), attention_weights(query, key, both))


def test_by_hand(implementation):
    # Scores 1 and 0 after the division by √4, so weights e / (e + 1) and 1 / (e + 1).
    query, key = torch.tensor([[2.0, 0, 0, 0]]), torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]])
    value = torch.tensor([[10.0], [20.0]])
    first = math.e / (math.e + 1)
    torch.testing.assert_close(attention_weights(query, key), torch.tensor([[first, 1 - first]]))
    output = scaled_dot_product_attention(query, key, value, implementation=implementation)
    torch.testing.assert_close(output, torch.tensor([[20 - 10 * first]]))


@pytest.mark.parametrize(
    "shape",
    [
        None,
        (),
        (1,),
        (SOURCE_LEN,),
        (TARGET_LEN, SOURCE_LEN),
        (TARGET_LEN, 1),
        (BATCH, 1, 1, SOURCE_LEN),
        (HEADS, 1, 1),
    ],
    ids=str,
)
def test_equals_torch(implementation, shape):
    query, key, value = inputs()
    mask = None if shape is None else random_mask(*shape) if shape else torch.tensor(True)
    full = None if mask is None else mask.expand(BATCH, HEADS, TARGET_LEN, SOURCE_LEN)
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=full)
    assert_close(scaled_dot_product_attention(query, key, value, mask, implementation=implementation), expected)
    assert_close(attention_weights(query, key, mask) @ value, expected)


@pytest.mark.parametrize(("query_len", "key_len"), [(5, 5), (3, 7), (1, 7), (1, 1)])
@pytest.mark.parametrize("masked", [False, True])
def test_causal_means_bottom_right(implementation, query_len, key_len, masked):
    query, key, value = inputs(query_len, key_len)
    mask = random_mask(BATCH, 1, 1, key_len) if masked else None
    both = causal_mask(query_len, key_len) if mask is None else causal_mask(query_len, key_len) & mask
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=both)
    actual = scaled_dot_product_attention(query, key, value, mask, causal=True, implementation=implementation)
    assert_close(actual, expected)


@pytest.mark.parametrize("causal", [False, True])
def test_gradcheck(implementation, causal):
    tensors = inputs(3, 5, requires_grad=True)
    mask = random_mask(BATCH, 1, 1, 5)
    mask[0] = False

    def attend(query, key, value):
        return scaled_dot_product_attention(query, key, value, mask, causal=causal, implementation=implementation)

    assert torch.autograd.gradcheck(attend, tensors)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("query_len", "key_len", "causal", "mask"),
    [
        (7, 5, True, None),
        (7, 5, True, torch.tensor([True, False, True, True, False])),
        (5, 5, True, ~causal_mask(5)),
        (3, 5, False, torch.zeros(3, 5, dtype=torch.bool)),
        (1, 5, True, torch.zeros(1, 5, dtype=torch.bool)),
        (3, 5, False, padding([5, 0], 5)),
        (3, 5, False, torch.tensor([[True], [False], [True]])),
        (3, 5, False, torch.tensor(False)),
        (3, 0, False, None),
        (3, 0, True, None),
    ],
)
def test_a_query_that_may_attend_to_nothing_gets_zeros(implementation, dtype, query_len, key_len, causal, mask):
    query, key, value = tensors = inputs(query_len, key_len, dtype=dtype, requires_grad=True)
    output = scaled_dot_product_attention(query, key, value, mask, causal=causal, implementation=implementation)
    allowed = torch.ones(BATCH, HEADS, query_len, key_len, dtype=torch.bool)
    if mask is not None:
        allowed &= mask
    if causal:
        allowed &= causal_mask(query_len, key_len)
    empty = ~allowed.any(dim=-1)
    assert empty.any()
    assert output.dtype == dtype
    assert (output[empty] == 0).all()
    assert (output[~empty] != 0).any(dim=-1).all()
    output.float().square().sum().backward()
    assert all(tensor.grad.isfinite().all() for tensor in tensors)
    assert (query.grad[empty] == 0).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rows_sum_to_one_or_zero(dtype):
    query, key, _ = inputs(dtype=dtype)
    weights = attention_weights(query, key, padding([5, 0], SOURCE_LEN))
    assert weights.dtype == dtype
    assert (weights >= 0).all()
    expected = torch.tensor([1.0, 0.0])[:, None, None].expand(BATCH, HEADS, TARGET_LEN)
    torch.testing.assert_close(weights.float().sum(dim=-1), expected, atol=2e-2, rtol=0)


def test_a_forbidden_key_moves_nothing(implementation):
    query, key, value = inputs()
    mask = random_mask(TARGET_LEN, SOURCE_LEN)
    before = scaled_dot_product_attention(query, key, value, mask, implementation=implementation)
    for forbidden in range(SOURCE_LEN):
        moved_key, moved_value = key.clone(), value.clone()
        moved_key[:, :, forbidden] += 100
        moved_value[:, :, forbidden] -= 100
        after = scaled_dot_product_attention(query, moved_key, moved_value, mask, implementation=implementation)
        hidden = ~mask[:, forbidden]
        assert torch.equal(before[:, :, hidden], after[:, :, hidden])
        assert (before[:, :, ~hidden] != after[:, :, ~hidden]).any()


def test_permutation_equivariance(implementation):
    query, key, value = inputs()
    over_queries, over_keys = torch.randperm(TARGET_LEN), torch.randperm(SOURCE_LEN)
    output = scaled_dot_product_attention(query, key, value, implementation=implementation)
    permuted = [query[:, :, over_queries], key[:, :, over_keys], value[:, :, over_keys]]
    assert_close(scaled_dot_product_attention(*permuted, implementation=implementation), output[:, :, over_queries])


def test_the_reference_path_does_not_overflow_in_float16():
    # 64 · 40 · 40 = 102,400 is beyond float16; scaled first, it is 12,800.
    query = key = torch.full((3, 64), 40.0, dtype=torch.float16)
    value = torch.ones(3, 5, dtype=torch.float16)
    assert (query @ key.T).isinf().all()
    output = scaled_dot_product_attention(query, key, value, causal=True, implementation="reference")
    torch.testing.assert_close(output, value)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_both_implementations_agree_in_every_dtype(dtype):
    query, key, value = inputs(dtype=dtype)
    fused, reference = (
        scaled_dot_product_attention(query, key, value, implementation=name) for name in ("fused", "reference")
    )
    assert fused.dtype == reference.dtype == dtype
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 5e-2}
    assert_close(fused.double(), reference.double(), tolerance[dtype])


def test_any_number_of_leading_dimensions(implementation):
    query, key, value = inputs()
    expected = scaled_dot_product_attention(query, key, value, implementation=implementation)
    single = scaled_dot_product_attention(query[1, 2], key[1, 2], value[1, 2], implementation=implementation)
    assert_close(single, expected[1, 2])


def test_one_item_of_the_batch_does_not_move_another(implementation):
    query, key, value = inputs()
    before = scaled_dot_product_attention(query, key, value, implementation=implementation)
    for tensor in (query, key, value):
        tensor[0] += 1
    assert torch.equal(before[1], scaled_dot_product_attention(query, key, value, implementation=implementation)[1])


def test_device_follows_the_inputs(implementation):
    tensors = [tensor.to("meta") for tensor in inputs()]
    for causal in (False, True):
        assert scaled_dot_product_attention(*tensors, causal=causal, implementation=implementation).is_meta


def test_dropout_drops_whole_weights_and_keeps_the_mean(implementation):
    query = key = torch.zeros(5000, 1, 3)
    value = torch.ones(5000, 1, 3)
    output = scaled_dot_product_attention(query, key, value, dropout_p=0.25, implementation=implementation)
    torch.testing.assert_close(output.unique(), torch.tensor([0, 4 / 3]))
    assert output[..., 0].mean() == pytest.approx(1, abs=0.05)


def test_the_module_drops_only_while_training(implementation):
    module = ScaledDotProductAttention(dropout=0.5, implementation=implementation)
    tensors = inputs()
    assert not list(module.parameters())
    assert not torch.equal(module(*tensors), module(*tensors))
    expected = scaled_dot_product_attention(*tensors, implementation=implementation)
    assert torch.equal(module.eval()(*tensors), expected)


def test_masks_that_are_not_bool_are_refused(implementation):
    query, key, value = inputs()
    with pytest.raises(TypeError, match="a mask must be a bool tensor .* got float64; for ones and zeros"):
        scaled_dot_product_attention(query, key, value, normal(TARGET_LEN, SOURCE_LEN), implementation=implementation)


@pytest.mark.parametrize("shape", [(SOURCE_LEN, TARGET_LEN), (BATCH, TARGET_LEN, SOURCE_LEN), (2, 1, 1, 1, 1)], ids=str)
def test_masks_that_do_not_fit_are_refused(implementation, shape):
    mask = torch.ones(shape, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"does not broadcast to the scores' shape \(2, 3, 7, 5\)"):
        scaled_dot_product_attention(*inputs(), mask, implementation=implementation)


def test_shapes_that_do_not_fit_are_refused(implementation):
    query, key, value = inputs()
    with pytest.raises(ValueError, match="same last dimension d_k, got 11 and 13"):
        scaled_dot_product_attention(query, value, key, implementation=implementation)
    with pytest.raises(ValueError, match="one value for each key, got 5 keys and 7 values"):
        scaled_dot_product_attention(query, key, query, implementation=implementation)
    with pytest.raises(ValueError, match="'fused', 'reference', got 'fast'"):
        scaled_dot_product_attention(query, key, value, implementation="fast")


def test_batches_that_do_not_broadcast_are_told():
    query, key, value = (normal(batch, 3, 5, 7) for batch in (2, 2, 11))
    message = r"of query, key and value must broadcast, got shapes \[\(2, 3, 5, 7\), \(2, 3, 5, 7\), \(11, 3, 5, 7\)\]$"
    with pytest.raises(ValueError, match=message):
        scaled_dot_product_attention(query, key, value)
    with pytest.raises(
        ValueError, match=r"of query and key must broadcast, got shapes \[\(2, .*\), \(11, 3, 5, 7\)\]$"
    ):
        attention_weights(query, value, torch.ones(5, 5, dtype=torch.bool))
