import math

import pytest
import torch

from companion import AdditiveAttention
from tests.helpers import BATCH, DTYPES, SOURCE_LEN, TARGET_LEN, assert_close, normal, randomised

QUERY_DIM, KEY_DIM, VALUE_DIM, HIDDEN = 3, 11, 13, 17


def attention():
    return randomised(AdditiveAttention(QUERY_DIM, KEY_DIM, HIDDEN))


def inputs(**options):
    sizes = ((TARGET_LEN, QUERY_DIM), (SOURCE_LEN, KEY_DIM), (SOURCE_LEN, VALUE_DIM))
    return [normal(BATCH, *size, **options) for size in sizes]


def random_mask(*shape):
    mask = torch.rand(*shape) < 0.6
    mask[..., 0] = True
    return mask


def test_by_hand():
    # One feature each: the hidden layer is tanh(2q + k), the score 3 times that. With q = 1 the keys -2 and 100 score
    # 0 and 3, so the weights are 1 / (1 + e³) and e³ / (1 + e³).
    module = AdditiveAttention(1, 1, 1).double()
    first = 1 / (1 + math.e**3)
    with torch.no_grad():
        for layer, weight in ((module.q_proj, 2.0), (module.k_proj, 1.0), (module.score, 3.0)):
            layer.weight.fill_(weight)
        query, key, value, weights, output = (
            torch.tensor([rows], dtype=torch.float64)
            for rows in ([[1.0]], [[-2.0], [100.0]], [[10.0], [20.0]], [[first, 1 - first]], [[20 - 10 * first]])
        )
        assert_close(module.weights(query, key), weights)
        assert_close(module(query, key, value), output)


@torch.no_grad()
def test_loops_equal_batched():
    module = attention()
    query, key, value = inputs()
    mask = random_mask(BATCH, TARGET_LEN, SOURCE_LEN)
    w_q, w_k, v = module.q_proj.weight, module.k_proj.weight, module.score.weight[0]
    expected = torch.zeros(BATCH, TARGET_LEN, VALUE_DIM, dtype=torch.float64)
    for b in range(BATCH):
        for i in range(TARGET_LEN):
            raised = [
                float(torch.exp(v @ torch.tanh(w_q @ query[b, i] + w_k @ key[b, j]))) * float(mask[b, i, j])
                for j in range(SOURCE_LEN)
            ]
            for j in range(SOURCE_LEN):
                expected[b, i] += raised[j] / sum(raised) * value[b, j]
    assert_close(module(query, key, value, mask), expected)


@torch.no_grad()
@pytest.mark.parametrize(
    "shape", [(1,), (SOURCE_LEN,), (TARGET_LEN, SOURCE_LEN), (TARGET_LEN, 1), (BATCH, 1, SOURCE_LEN)], ids=str
)
def test_masks_broadcast_and_hide(shape):
    module = attention()
    query, key, _ = inputs()
    mask = random_mask(*shape)
    weights = module.weights(query, key, mask)
    full = mask.expand(BATCH, TARGET_LEN, SOURCE_LEN)
    assert (weights[~full] == 0).all()
    assert (weights[full] > 0).all()
    free = module.weights(query, key) * full
    assert_close(weights, free / free.sum(dim=-1, keepdim=True))


@torch.no_grad()
def test_rows_sum_to_one_and_no_mask_hides_nothing():
    module = attention()
    query, key, _ = inputs()
    weights = module.weights(query, key)
    assert_close(weights.sum(dim=-1), torch.ones(BATCH, TARGET_LEN, dtype=torch.float64))
    assert torch.equal(weights, module.weights(query, key, torch.tensor(True)))


@torch.no_grad()
def test_a_forbidden_key_moves_nothing():
    module = attention()
    query, key, value = inputs()
    mask = random_mask(TARGET_LEN, SOURCE_LEN)
    before = module(query, key, value, mask)
    for forbidden in range(SOURCE_LEN):
        moved_key, moved_value = key.clone(), value.clone()
        moved_key[:, forbidden] += 100
        moved_value[:, forbidden] -= 100
        after = module(query, moved_key, moved_value, mask)
        hidden = ~mask[:, forbidden]
        assert torch.equal(before[:, hidden], after[:, hidden])
        assert (before[:, ~hidden] != after[:, ~hidden]).any()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_query_that_may_attend_to_nothing_gets_zeros(dtype):
    module = attention().to(dtype)
    tensors = inputs(dtype=dtype, requires_grad=True)
    mask = random_mask(BATCH, TARGET_LEN, SOURCE_LEN)
    mask[0, 2] = False
    mask[1] = False
    empty = ~mask.any(dim=-1)
    output = module(*tensors, mask)
    assert output.dtype == dtype
    assert (output[empty] == 0).all()
    assert (output[~empty] != 0).all()
    output.square().sum().backward()
    assert all(tensor.grad.isfinite().all() for tensor in (*tensors, *module.parameters()))
    assert (tensors[0].grad[empty] == 0).all()


def test_gradcheck():
    module = AdditiveAttention(2, 3, 5).double()
    mask = random_mask(BATCH, 3, 5)
    mask[0, 1] = False
    tensors = [normal(BATCH, *size, requires_grad=True) for size in ((3, 2), (5, 3), (5, 2))]
    assert torch.autograd.gradcheck(lambda *x: module(*x, mask), tensors)
    names = [name for name, _ in module.named_parameters()]

    def of_the_parameters(*parameters):
        chosen = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(module, chosen, (*(x.detach() for x in tensors), mask))

    assert torch.autograd.gradcheck(of_the_parameters, list(module.parameters()))


@torch.no_grad()
def test_permutation_equivariance():
    module = attention()
    query, key, value = inputs()
    over_queries, over_keys = torch.randperm(TARGET_LEN), torch.randperm(SOURCE_LEN)
    permuted = module(query[:, over_queries], key[:, over_keys], value[:, over_keys])
    assert_close(permuted, module(query, key, value)[:, over_queries])


def test_the_score_is_bounded_by_v():
    """However large queries and keys are, a score lies within the sum of |v|: so the weights cannot be more unequal."""
    module = attention()
    query, key, _ = inputs()
    with torch.no_grad():
        weights = module.weights(1e6 * query, 1e6 * key)
        bound = 2 * module.score.weight.abs().sum()
        assert (weights.log().amax(dim=-1) - weights.log().amin(dim=-1) <= bound).all()


@torch.no_grad()
def test_without_a_bias_the_score_is_odd():
    """So the weights of a draw and of its mirror image multiply to the same for every key."""
    module = attention()
    query, key, _ = inputs()

    def differences():
        weights, mirrored = module.weights(query, key), module.weights(-query, -key)
        product = (weights * mirrored).log()
        return (product - product[..., :1]).abs().max()

    assert differences() < 1e-12
    module.q_proj = torch.nn.Linear(QUERY_DIM, HIDDEN).double()
    assert differences() > 1e-3


def test_device_follows_the_inputs():
    module = attention().to("meta")
    tensors = [tensor.to("meta") for tensor in inputs()]
    assert module(*tensors).is_meta


def test_it_has_no_biases_and_as_many_parameters_as_stated():
    sizes = {name: tuple(parameter.shape) for name, parameter in attention().named_parameters()}
    assert sizes == {
        "q_proj.weight": (HIDDEN, QUERY_DIM),
        "k_proj.weight": (HIDDEN, KEY_DIM),
        "score.weight": (1, HIDDEN),
    }


def test_what_does_not_fit_is_refused():
    module = attention()
    query, key, value = inputs()
    with pytest.raises(ValueError, match=r"query has shape \(2, 5, 11\)"):
        module(key, key, value)
    with pytest.raises(ValueError, match=r"key has shape \(2, 7, 3\)"):
        module(query, query, value)
    with pytest.raises(TypeError, match="a mask must be a bool tensor .* got float64"):
        module(query, key, value, normal(TARGET_LEN, SOURCE_LEN))
    with pytest.raises(ValueError, match=r"\(3, 1, 5\) does not broadcast to the scores' shape \(2, 7, 5\)"):
        module(query, key, value, random_mask(3, 1, SOURCE_LEN))
