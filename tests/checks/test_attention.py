"""`check.attention` and `check.attention_weights` let every right answer pass, however it is written."""

import math

import pytest
import torch
import torch.nn.functional as F

import companion
from companion import check
from companion.checks.attention import ATTENTION

INF = float("inf")


# --- right, written in different ways


def weights_textbook(query, key, mask):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))
    weights = scores.masked_fill(~mask, -INF).softmax(dim=-1)
    return weights.masked_fill(~mask.any(dim=-1, keepdim=True), 0.0)


def weights_nan_to_num(query, key, mask):
    scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
    return torch.nan_to_num(torch.softmax(scores.where(mask, scores.new_tensor(-INF)), -1))


def weights_einsum(query, key, mask):
    scores = torch.einsum("bhqd,bhkd->bhqk", query, key) / query.shape[-1] ** 0.5
    return torch.softmax(scores.masked_fill(mask.logical_not(), -INF), dim=3).nan_to_num(0.0)


def weights_by_hand(query, key, mask):
    scores = query @ key.mT / query.size(-1) ** 0.5
    raised = torch.exp(scores - scores.amax(dim=-1, keepdim=True)) * mask
    total = raised.sum(dim=-1, keepdim=True)
    return raised / total.where(total > 0, torch.ones_like(total))


def weights_renormalised(query, key, mask):
    weights = (query @ key.mT / query.size(-1) ** 0.5).softmax(dim=-1) * mask
    return weights / weights.sum(dim=-1, keepdim=True).clamp_min(1e-300)


def weights_loops(query, key, mask):
    batch, heads, queries, _ = query.shape
    keys = key.size(-2)
    mask = mask.expand(batch, heads, queries, keys)
    rows = []
    for b in range(batch):
        for h in range(heads):
            for i in range(queries):
                allowed = [j for j in range(keys) if mask[b, h, i, j]]
                row = query.new_zeros(keys)
                if allowed:
                    scores = torch.stack([(query[b, h, i] * key[b, h, j]).sum() for j in allowed])
                    scores = scores / math.sqrt(query.size(-1))
                    row = row.index_put((torch.tensor(allowed),), torch.softmax(scores, dim=0))
                rows.append(row)
    return torch.stack(rows).view(batch, heads, queries, keys)


def weights_bmm(query, key, mask):
    batch, heads, queries, d_k = query.shape
    scores = torch.bmm(query.reshape(-1, queries, d_k), key.reshape(-1, key.size(2), d_k).transpose(1, 2))
    scores = scores.view(batch, heads, queries, -1).div(d_k**0.5).masked_fill(~mask, torch.finfo(query.dtype).min)
    return scores.softmax(dim=-1) * mask


def weights_additive(query, key, mask):
    bias = torch.zeros(mask.shape, dtype=query.dtype).masked_fill(~mask, -INF)
    return torch.softmax(query / query.size(-1) ** 0.5 @ key.mT + bias, dim=-1).nan_to_num()


def weights_in_float32(query, key, mask):
    return weights_textbook(query.float(), key.float(), mask).to(query.dtype)


def weights_companion(query, key, mask=None):
    return companion.attention_weights(query, key, mask)


WEIGHTS = [
    weights_textbook,
    weights_nan_to_num,
    weights_einsum,
    weights_by_hand,
    weights_renormalised,
    weights_loops,
    weights_bmm,
    weights_additive,
    weights_in_float32,
    weights_companion,
]


def attention_from(weights):
    def attention(query, key, value, mask):
        return weights(query, key, mask) @ value

    attention.__name__ = weights.__name__.replace("weights", "attention")
    return attention


def attention_and_weights(query, key, value, mask):
    weights = weights_textbook(query, key, mask)
    return weights @ value, weights


def attention_kernel(query, key, value, mask):
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def attention_reference(query, key, value, mask=None):
    return companion.scaled_dot_product_attention(query, key, value, mask, implementation="reference")


def attention_keyword_mask(query, key, value, *, mask=None):
    return companion.scaled_dot_product_attention(query, key, value, mask)


def attention_value_first(query, key, value, mask):
    """Multiply exp(scores) by the values first, and divide at the end, as the fused kernels do."""
    raised = torch.exp(query @ key.mT / query.size(-1) ** 0.5 - 50.0) * mask
    total = raised.sum(dim=-1, keepdim=True)
    return raised @ value / total.where(total > 0, torch.ones_like(total))


def attention_online(query, key, value, mask):
    """Go through the keys one by one, with a running maximum and a running sum."""
    scores = query @ key.mT / query.size(-1) ** 0.5
    scores = scores if mask is None else scores.masked_fill(~mask, -INF)
    largest = torch.full_like(scores[..., :1], -1e30)
    total, output = torch.zeros_like(largest), query.new_zeros(*query.shape[:-1], value.size(-1))
    for place in range(key.size(-2)):
        now = torch.maximum(largest, scores[..., place : place + 1])
        weight, keep = (scores[..., place : place + 1] - now).exp(), (largest - now).exp()
        total, output = total * keep + weight, output * keep + weight * value[..., place : place + 1, :]
        largest = now
    return output / total.clamp(min=1e-20)


def attention_half_the_scale_each(query, key, value, mask=None):
    query, key = query * query.size(-1) ** -0.25, key * key.size(-1) ** -0.25
    scores = query @ key.mT
    if mask is not None:
        scores = scores - 1e30 * ~mask
    weights = scores.softmax(-1) * (1 if mask is None else mask)
    return [weights @ value, weights]


ATTENTIONS = [
    attention_online,
    attention_half_the_scale_each,
    *map(attention_from, WEIGHTS),
    attention_and_weights,
    attention_kernel,
    attention_reference,
    attention_keyword_mask,
    attention_value_first,
    companion.scaled_dot_product_attention,
    companion.ScaledDotProductAttention(),
]


def called(function):
    return getattr(function, "__name__", type(function).__name__)


WITH_NAN_GRADIENTS = ("weights_additive", "attention_additive")  # of a query that may attend to nothing


@pytest.mark.parametrize("function", ATTENTIONS, ids=called)
def test_right_attention_passes_without_a_warning(function):
    report = check.attention(function)
    assert report.passed
    assert bool(report.warnings) == (called(function) in WITH_NAN_GRADIENTS)


@pytest.mark.parametrize("function", WEIGHTS, ids=called)
def test_right_weights_pass_without_a_warning(function):
    report = check.attention_weights(function)
    assert report.passed
    assert bool(report.warnings) == (called(function) in WITH_NAN_GRADIENTS)


def test_the_checks_own_answer_is_the_companions():
    for probe in ATTENTION.probes:
        expected = companion.scaled_dot_product_attention(**probe.inputs)
        torch.testing.assert_close(ATTENTION.expected(probe), expected, rtol=1e-12, atol=1e-12)


def test_the_sizes_in_a_probe_cannot_be_mistaken():
    _, _, keys, d_k = ATTENTION.core[0].inputs["key"].shape
    batch, heads, queries, _ = ATTENTION.core[0].inputs["query"].shape
    d_v = ATTENTION.core[0].inputs["value"].size(-1)
    assert len({batch, heads, queries, keys, d_k, d_v}) == 6


def softmax_filled(scores, mask):
    return scores.masked_fill(~mask, -torch.inf).softmax(dim=-1).nan_to_num()


def softmax_without_rows(scores, mask=None):
    if mask is None:
        return scores.softmax(dim=-1)
    empty = ~mask.any(dim=-1, keepdim=True)
    return scores.masked_fill(~(mask | empty), -torch.inf).softmax(dim=-1).masked_fill(empty, 0.0)


MASKED_SOFTMAXES = [softmax_filled, softmax_without_rows]


@pytest.mark.parametrize("function", MASKED_SOFTMAXES, ids=called)
def test_a_right_masked_softmax_passes_without_a_warning(function):
    assert repr(check.masked_softmax(function)) == "masked_softmax: passed."


RIGHT_ANSWERS = {"attention": ATTENTIONS, "attention_weights": WEIGHTS, "masked_softmax": MASKED_SOFTMAXES}
