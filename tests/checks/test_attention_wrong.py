"""`check.attention` and `check.attention_weights`: warnings, names beyond the bank, and facts where no name fits."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion import check

INF = float("inf")


def right_weights(query, key, mask):
    scores = query @ key.transpose(-2, -1) / query.size(-1) ** 0.5
    weights = scores.masked_fill(~mask, -INF).softmax(dim=-1)
    return weights.masked_fill(~mask.any(dim=-1, keepdim=True), 0.0)


def right(query, key, value, mask):
    return right_weights(query, key, mask) @ value


# --- right, with a warning


def nan_row(query, key, value, mask):
    scores = (query @ key.mT / query.size(-1) ** 0.5).masked_fill(~mask, -INF)
    return scores.softmax(dim=-1) @ value


def test_nan_for_a_query_that_may_attend_to_nothing_is_a_warning_that_explains_itself():
    report = check.attention(nan_row)
    assert report.passed
    assert report.warnings[0].startswith("A query that may attend to nothing gets NaN: the softmax of a row of -inf")
    assert "such a query gets zeros" in repr(report)


def test_float32_output_passes_with_a_warning():
    report = check.attention(lambda q, k, v, m: right(q.float(), k.float(), v.float(), m))
    assert report.passed
    assert report.warnings == ("Your output is float32 for float64 inputs: keep the dtype of the inputs.",)


def test_a_function_that_only_knows_float32_passes_with_a_warning():
    def attention(query, key, value, mask):
        weights = torch.zeros(*query.shape[:-1], key.size(-2))
        weights = weights + right_weights(query, key, mask).float()
        return weights @ value  # fails on float64 values

    report = check.attention(attention)
    assert report.passed
    assert report.warnings[0].startswith("Your function works with float32 inputs only: it makes tensors without")


# --- wrong


def test_a_function_without_a_mask_is_told_that_it_needs_one():
    report = check.attention(lambda query, key, value: value, raises=False)
    assert report.message == (
        "Your function takes (query, key, value): it needs one more parameter, mask, as in fn(query, key, value, mask)."
    )


def test_a_mask_with_a_default_may_be_left_out():
    def attention(query, key, value, mask=None):
        return right(query, key, value, mask.bool())

    report = check.attention(attention, raises=False)
    assert report.message.startswith("It is right, except when it is called with no mask. Your function raised Attrib")


@pytest.mark.parametrize("fill", [-INF, -1e9, torch.finfo(torch.float64).min])
def test_the_name_does_not_depend_on_how_forbidden_scores_are_filled(fill):
    def inverted(query, key, value, mask):
        return (query @ key.mT / query.size(-1) ** 0.5).masked_fill(mask, fill).softmax(-1) @ value

    def over_heads(query, key, value, mask):
        return (query @ key.mT / query.size(-1) ** 0.5).masked_fill(~mask, fill).softmax(1) @ value

    assert check.attention(inverted, raises=False).bugs == ("mask_inverted",)
    assert check.attention(over_heads, raises=False).bugs == ("softmax_over_heads",)


def test_scores_filled_with_zero_are_the_same_bug_as_scores_times_mask():
    for fill in (0.0, 1e-9):
        report = check.attention(
            lambda q, k, v, m, fill=fill: (q @ k.mT / q.size(-1) ** 0.5).masked_fill(~m, fill).softmax(-1) @ v,
            raises=False,
        )
        assert report.bugs == ("hidden_scores_become_zero",)


def test_a_bug_in_float32_is_named_too():
    report = check.attention(
        lambda q, k, v, m: (q.float() @ k.float().mT).masked_fill(~m, -INF).softmax(-1) @ v.float(), raises=False
    )
    assert report.bugs == ("no_scaling",)


def test_the_evidence_stands_beside_the_name():
    report = check.attention_weights(lambda q, k, m: right_weights(q, k, torch.ones_like(m)), raises=False)
    assert report.bugs == ("mask_ignored",)
    assert report.facts == (
        "Under a causal mask query 0 gives weight 0.41 to key 1, which it may not attend to.",
        "Changing the last key moves query 0, which may not attend to it.",
    )
    (table,) = report.tables
    assert [row.count(True) for row in table.wrong] == [5, 5, 5, 5, 0]


def unknown_scaling(query, key, value, mask):
    return right(query * 1.1, key, value, mask)


def unknown_leak(query, key, value, mask):
    return 0.9 * right(query, key, value, mask) + 0.1 * value.mean(dim=-2, keepdim=True)


def unknown_mixing_of_the_batch(query, key, value, mask):
    return right(query, key + 0.5 * key.mean(dim=0, keepdim=True), value, mask)


def unknown_shift(query, key, value, mask):
    weights = right_weights(query, key, mask)
    return (weights - 0.3) @ value


def unknown_factor(query, key, value, mask):
    return 2 * right(query, key, value, mask)


UNKNOWN = {
    unknown_scaling: ("Your output is not the right one.", "Right on:"),
    unknown_leak: ("Your output is not the right one.", "Under a causal mask query 0 gives weight 0.02 to key 1"),
    unknown_mixing_of_the_batch: ("Your output is not the right one.", "Changing the second item of the batch moves"),
    unknown_shift: ("Your output is not the right one.", "Some of your weights are negative, down to -0.30."),
    unknown_factor: ("Your output is 2 times the right one.", "Rows of your weights sum to 2; each should sum to 1."),
}


@pytest.mark.parametrize("function", UNKNOWN, ids=lambda function: function.__name__)
def test_an_unknown_bug_is_rejected_with_facts_and_without_a_name(function):
    message, fact = UNKNOWN[function]
    report = check.attention(function, raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert report.message == message
    if function is not unknown_scaling:
        assert any(line.startswith(fact) for line in report.facts), report.facts


def test_a_bug_of_large_scores_is_told_where_it_shows():
    def clipped(query, key, value, mask):
        scores = (query @ key.mT / query.size(-1) ** 0.5).clamp(-15, 15)
        return scores.masked_fill(~mask, -INF).softmax(-1) @ value

    report = check.attention(clipped, raises=False)
    assert report.bugs == ()
    assert report.facts[0].startswith("Right on: a mask that hides nothing; a causal mask; a padded batch; and 1 more.")
    assert report.facts[0].endswith("Wrong on: large scores.")


def test_half_precision_inside_is_noticed():
    report = check.attention(lambda q, k, v, m: right(q.half(), k.half(), v.half(), m).to(q.dtype), raises=False)
    assert report.message.startswith("Your output is close, but not right to the last digits: is part of it computed")


def test_a_module_with_dropout_left_on_is_noticed():
    class Attention(nn.Module):
        def forward(self, query, key, value, mask):
            return F.dropout(right_weights(query, key, mask), 0.5) @ value

    report = check.attention(Attention().eval(), raises=False)
    assert report.message.startswith("Two calls with the same inputs give different outputs: something random, such as")


def test_a_causal_mask_that_nobody_asked_for_is_noticed_where_the_lengths_agree():
    def attention(query, key, value, mask=None):
        if mask is None and query.size(-2) == key.size(-2):
            mask = torch.ones(query.size(-2), key.size(-2), dtype=torch.bool).tril()
        return F.scaled_dot_product_attention(query, key, value, mask).nan_to_num(0.0)

    report = check.attention(attention, raises=False)
    assert report.message.startswith("It is right, except when it is called with no mask and as many queries as keys.")


@pytest.mark.parametrize(
    ("scale", "said"),
    [(0.13, "times 0.13;"), (1 / 7**2, "times 0.02;"), (0.5, "times 0.50;"), (-0.2, "times -0.20;")],
)
def test_an_unknown_scale_is_read_off_the_weights(scale, said):
    def attention(query, key, value, mask):
        return (query @ key.mT * scale).masked_fill(~mask, -INF).softmax(-1).nan_to_num() @ value

    report = check.attention(attention, raises=False)
    assert report.bugs == ()
    assert report.facts[0].startswith(f"With d_k = 7 your weights are a softmax of the dot products {said}")
    assert report.facts[0].endswith("should be times 0.38, 1 / sqrt(d_k).")


def test_no_scale_is_read_off_infinite_weights():
    report = check.attention(lambda q, k, v, m: right(q, k, v, m) + INF, raises=False)
    assert report.bugs == ()
    assert not any("your weights are a softmax" in fact for fact in report.facts)


def test_scores_times_mask_are_hidden_where_no_exponential_is_taken():
    def weights(query, key, mask):
        scores = right_scores(query, key) * mask
        return (scores / scores.sum(-1, keepdim=True)).nan_to_num()

    assert check.attention_weights(weights, raises=False).bugs == ("no_exponential",)


def test_an_unknown_fill_is_read_off_the_weights():
    def attention(query, key, value, mask):
        return right_scores(query, key).masked_fill(~mask, -4.5).softmax(-1) @ value

    report = check.attention(attention, raises=False)
    assert report.bugs == ()
    assert "Hidden keys get the weight of a score of -4.50; it should be -inf." in report.facts


def right_scores(query, key):
    return query @ key.mT / query.size(-1) ** 0.5


def test_a_mask_times_minus_infinity_is_explained():
    def attention(query, key, value, mask):
        return (right_scores(query, key) + (~mask).double() * -INF).softmax(-1) @ value

    report = check.attention(attention, raises=False)
    assert report.message.endswith("numbers in your output are NaN.")
    assert any("0 * -inf is NaN" in fact for fact in report.facts)


def softmax_by_exp(scores, mask):
    weights = scores.exp() * mask
    return weights / (weights.sum(-1, keepdim=True) + 1e-12)


def test_exp_that_overflows_is_explained():
    def attention(query, key, value, mask):
        weights = (12 * right_scores(query, key)).exp() ** (1 / 12) * mask  # float64's exp alone holds these scores
        return weights / (weights.sum(-1, keepdim=True) + 1e-12) @ value

    report = check.attention(attention, raises=False)
    assert any(
        fact.startswith("With large scores, and only there, you get NaN: exp of a large") for fact in report.facts
    )


def test_a_maximum_over_hidden_scores_is_explained():
    def attention(query, key, value, mask):
        scores = right_scores(query, key)
        return softmax_by_exp(scores - scores.amax(-1, keepdim=True), mask) @ value

    report = check.attention(attention, raises=False)
    assert report.facts[1].startswith("With large scores, and only there, some rows of your weights sum to less than 1")


def test_what_is_wrong_without_a_mask_is_told():
    def attention(query, key, value, mask=None):
        if mask is None:
            mask = torch.ones(query.size(-2), key.size(-2), dtype=torch.bool).tril()
        return right(query, key, value, mask)

    report = check.attention(attention, raises=False)
    assert report.message == (
        "It is right, except when it is called with no mask. Without a mask every query may attend to every key; "
        "nothing is hidden, not even the future."
    )


def test_something_else_for_a_query_that_may_attend_to_nothing_is_told():
    def attention(query, key, value, mask):
        return right(query, key, value, mask) + 7.0 * ~mask.any(-1, keepdim=True)

    assert check.attention(attention, raises=False).message == (
        "It is right, except on a query that may attend to nothing. All its weights should be 0, and its output with "
        "them."
    )


@pytest.mark.parametrize("other", [1.0, 2.0])
def test_a_power_without_parentheses_is_named(other):
    def attention(query, key, value, mask):
        d_k = query.size(-1)
        scores = query @ key.mT / d_k**1 / 2 if other == 1.0 else query @ key.mT * d_k**1 / 2
        return scores.masked_fill(~mask, -INF).softmax(-1).nan_to_num() @ value

    report = check.attention(attention, raises=False)
    assert report.bugs == (("half_power_without_parentheses",) if other == 2.0 else ())


def test_output_and_weights_may_come_as_a_list():
    assert check.attention(lambda q, k, v, m: [right(q, k, v, m), right_weights(q, k, m)]).passed


def test_the_weights_come_alone():
    report = check.attention_weights(lambda q, k, m: (right_weights(q, k, m), q), raises=False)
    assert report.message == "Your function returned a tuple of 2; one torch tensor is expected."


def test_a_fill_of_plus_infinity_is_named_by_where_it_gives_nan():
    def fill(query, key, mask):
        return (query @ key.mT / query.size(-1) ** 0.5).masked_fill(~mask, INF).softmax(dim=-1)

    report = check.attention(lambda q, k, v, m: fill(q, k, m) @ v, raises=False)
    assert report.bugs == ("filled_with_plus",)
    assert "or with +inf: the minus sign is missing" in report.message
    assert check.attention_weights(fill, raises=False).bugs == ("filled_with_plus",)

    def everywhere(query, key, mask):  # 0 times infinity is NaN as well, but everywhere
        return (query @ key.mT / query.size(-1) ** 0.5 + (1 - mask.double()) * -INF).softmax(dim=-1)

    report = check.attention_weights(everywhere, raises=False)
    assert report.bugs == ()
    assert "are NaN" in report.message


def test_a_bug_is_told_where_the_code_runs_if_it_raises_elsewhere():
    """Batch and heads are exchanged for the mask, so that a mask of the batch's own does not fit."""

    def exchanged(query, key, value, mask):
        scores = query @ key.mT / query.size(-1) ** 0.5
        return (scores.transpose(0, 1) + mask).transpose(0, 1).softmax(dim=-1) @ value

    report = check.attention(exchanged, raises=False)
    assert report.bugs == ()
    assert "The size of tensor a (2) must match the size of tensor b (3)" in report.message
    assert report.message.endswith(
        "). And where it runs: The mask is added to the scores as 0s and 1s: that moves the scores by 1 and hides "
        "nothing."
    )


def test_nothing_more_is_told_of_code_that_raises_on_most_probes():
    def one_item(query, key, value, mask):
        assert query.size(0) == 1
        return query

    assert "where it runs" not in check.attention(one_item, raises=False).message
