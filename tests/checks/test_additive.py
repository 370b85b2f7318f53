"""`check.additive_attention`: right answers pass however they are written; every bug is named on other probes too."""

import pytest
import torch

from companion import AdditiveAttention, check
from companion.checks.additive import ADDITIVE_ATTENTION

INF = float("inf")


def textbook(query, key, value, w_q, w_k, v, mask):
    hidden = torch.tanh((query @ w_q.T)[:, :, None] + (key @ w_k.T)[:, None])
    weights = (hidden @ v).masked_fill(~mask, -INF).softmax(dim=-1)
    return weights.masked_fill(~mask.any(dim=-1, keepdim=True), 0.0) @ value


def one_matrix(query, key, value, w_q, w_k, v, mask):
    """As the paper writes it in one line: both matrices side by side, on query and key end to end."""
    queries, keys = query.size(1), key.size(1)
    both = torch.cat([query[:, :, None].expand(-1, -1, keys, -1), key[:, None].expand(-1, queries, -1, -1)], dim=-1)
    scores = torch.tanh(both @ torch.cat([w_q, w_k], dim=1).T) @ v
    return torch.nan_to_num(scores.masked_fill(~mask, -INF).softmax(dim=-1)) @ value


def loops(query, key, value, w_q, w_k, v, mask):
    batch, queries, keys = query.size(0), query.size(1), key.size(1)
    mask = mask.expand(batch, queries, keys)
    output = []
    for b in range(batch):
        for i in range(queries):
            allowed = [j for j in range(keys) if mask[b, i, j]]
            row = value.new_zeros(value.size(-1))
            if allowed:
                scores = torch.stack([v @ torch.tanh(w_q @ query[b, i] + w_k @ key[b, j]) for j in allowed])
                row = scores.softmax(dim=0) @ value[b, allowed]
            output.append(row)
    return torch.stack(output).view(batch, queries, -1)


def the_companion(query, key, value, w_q, w_k, v, mask=None):
    parts = {"q_proj.weight": w_q, "k_proj.weight": w_k, "score.weight": v[None]}
    module = AdditiveAttention(query.size(-1), key.size(-1), v.size(0)).to(query.dtype)
    return torch.func.functional_call(module, parts, (query, key, value, mask))


def output_and_weights(query, key, value, w_q, w_k, v, mask):
    hidden = torch.tanh(torch.einsum("bqd,hd->bqh", query, w_q)[:, :, None] + (key @ w_k.T).unsqueeze(1))
    scores = torch.einsum("bqkh,h->bqk", hidden, v).masked_fill(~mask, -INF)
    weights = scores.softmax(dim=-1).nan_to_num()
    return weights @ value, weights


RIGHT = [textbook, one_matrix, loops, the_companion, output_and_weights]


@pytest.mark.parametrize("function", RIGHT)
def test_right_answers_pass_without_a_warning(function):
    report = check.additive_attention(function)
    assert report.passed
    assert report.warnings == ()


def test_nan_for_a_query_that_may_attend_to_nothing_is_a_warning():
    def attention(query, key, value, w_q, w_k, v, mask):
        hidden = torch.tanh((query @ w_q.T)[:, :, None] + (key @ w_k.T)[:, None])
        return (hidden @ v).masked_fill(~mask, -INF).softmax(dim=-1) @ value

    report = check.additive_attention(attention)
    assert report.passed
    assert report.warnings[0].startswith("A query that may attend to nothing gets NaN")


def test_a_finite_fill_is_called_by_its_name():
    def attention(query, key, value, w_q, w_k, v, mask):
        hidden = torch.tanh((query @ w_q.T)[:, :, None] + (key @ w_k.T)[:, None])
        return (hidden @ v).masked_fill(~mask, -1e9).softmax(dim=-1) @ value

    assert check.additive_attention(attention, raises=False).bugs == ("finite_fill",)


@pytest.mark.parametrize("one", ["tanh_missing", "v_missing", "matrices_swapped", "dot_product_for_additive"])
@pytest.mark.parametrize("other", ["mask_ignored", "softmax_over_queries", "weights_times_keys"])
def test_two_bugs_at_once_are_both_named(one, other):
    by_name = {entry.name: entry for entry in ADDITIVE_ATTENTION.bank}
    pair = by_name[one], by_name[other]
    both = ADDITIVE_ATTENTION.assemble({entry.part: entry.wrong for entry in pair})
    assert set(check.additive_attention(both, raises=False).bugs) == {one, other}


def test_a_query_without_influence_is_told_so():
    (missing,) = (entry for entry in ADDITIVE_ATTENTION.bank if entry.name == "tanh_missing")
    report = check.additive_attention(ADDITIVE_ATTENTION.implementations(missing)[0], raises=False)
    assert "Changing the queries moves none of your weights." in report.facts


def test_exp_that_overflows_is_explained():
    def attention(query, key, value, w_q, w_k, v, mask):
        weights = (torch.tanh((query @ w_q.T)[:, :, None] + (key @ w_k.T)[:, None]) @ v).exp() * mask
        return weights / (weights.sum(-1, keepdim=True) + 1e-12) @ value

    report = check.additive_attention(attention, raises=False)
    assert report.bugs == ()
    assert any(fact.startswith("With large scores, and only there, you get NaN") for fact in report.facts)


RIGHT_ANSWERS = {"additive_attention": RIGHT}
