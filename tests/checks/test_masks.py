"""`check.causal_mask`, `check.padding_mask` and `check.combine_masks`."""

import pytest
import torch

import companion
from companion import check


def causal_tril(query_len, key_len):
    return torch.ones(query_len, key_len, dtype=torch.bool).tril(key_len - query_len)


def causal_triu(query_len, key_len):
    return ~torch.triu(torch.ones(query_len, key_len), diagonal=1 + key_len - query_len).bool()


def causal_positions(query_len, key_len):
    query = torch.arange(query_len)[:, None] + key_len - query_len
    return torch.arange(key_len) <= query


def causal_loops(query_len, key_len):
    mask = torch.zeros(query_len, key_len, dtype=torch.bool)
    for i in range(query_len):
        for j in range(key_len):
            mask[i, j] = j - key_len <= i - query_len
    return mask


def causal_slice(query_len, key_len):
    longest = max(query_len, key_len)
    return torch.tril(torch.ones(longest, longest)).eq(1)[-query_len:, -key_len:]


def causal_list(query_len, key_len):
    return torch.tensor([[j <= i + key_len - query_len for j in range(key_len)] for i in range(query_len)])


def causal_indices(query_len, key_len):
    mask = torch.full((query_len, key_len), False)
    rows, columns = torch.tril_indices(query_len, key_len, offset=key_len - query_len)
    mask[rows, columns] = True
    return mask


def causal_cumsum(query_len, key_len):
    eye = torch.zeros(query_len, key_len)
    for i in range(query_len):
        if 0 <= i + key_len - query_len < key_len:
            eye[i, i + key_len - query_len] = 1
    return eye.flip(-1).cumsum(-1).flip(-1) > 0


def causal_numpy(query_len, key_len):
    import numpy as np

    return torch.from_numpy(np.tri(query_len, key_len, key_len - query_len, dtype=bool))


CAUSAL = [
    causal_tril,
    causal_triu,
    causal_positions,
    causal_loops,
    causal_slice,
    causal_list,
    causal_indices,
    causal_cumsum,
    causal_numpy,
    companion.causal_mask,
]

PADDING = [
    companion.padding_mask,
    lambda token_ids, pad_id: (token_ids != pad_id)[:, None, None, :],
    lambda token_ids, pad_id: (token_ids != pad_id).unsqueeze(1).unsqueeze(2),
    lambda token_ids, pad_id: token_ids.ne(pad_id).view(len(token_ids), 1, 1, -1),
    lambda token_ids, pad_id: ~(token_ids == pad_id)[:, None, None],
    lambda token_ids, pad_id: torch.logical_not(token_ids.eq(pad_id)).reshape(token_ids.shape[0], 1, 1, -1),
    lambda token_ids, pad_id: torch.where(token_ids == pad_id, 0, 1).bool()[:, None, None, :],
    lambda token_ids, pad_id: (token_ids - pad_id).bool()[:, None, None, :],
    lambda ids, pad: torch.tensor([[[[token != pad for token in row]]] for row in ids.tolist()]),
    lambda ids, pad: torch.stack([row != pad for row in ids])[:, None, None],
]

COMBINE = [
    companion.combine_masks,
    lambda padding, causal: padding & causal,
    lambda padding, causal: padding * causal,
    lambda padding, causal: causal.logical_and(padding),
    lambda padding, causal: ~(~padding | ~causal),
    lambda padding, causal: torch.minimum(padding.int(), causal.int()).bool(),
    lambda padding, causal: padding.int() + causal.int() == 2,
    lambda padding, causal: causal.masked_fill(~padding, False),
    lambda padding, causal: torch.where(padding, causal, False),
    lambda padding, causal: torch.stack([row & causal for row in padding]),
]


@pytest.mark.parametrize("function", CAUSAL)
def test_right_causal_masks_pass(function):
    assert repr(check.causal_mask(function)) == "causal_mask: passed."


@pytest.mark.parametrize("function", PADDING)
def test_right_padding_masks_pass(function):
    assert repr(check.padding_mask(function)) == "padding_mask: passed."


@pytest.mark.parametrize("function", COMBINE)
def test_right_combinations_pass(function):
    assert repr(check.combine_masks(function)) == "combine_masks: passed."


def test_the_first_wrong_place_is_told_and_the_mask_is_drawn():
    report = check.causal_mask(lambda query_len, key_len: torch.ones(query_len, key_len).bool(), raises=False)
    assert report.facts == ("On as many queries as keys, query 0 may not attend to key 1; your mask says True.",)
    assert report.tables[0].right[0] == ("1", "0", "0", "0", "0")
    assert report.tables[0].wrong[0] == (False, True, True, True, True)


def test_a_mask_of_numbers_is_told_to_be_bool():
    report = check.causal_mask(lambda q, k: causal_tril(q, k).float(), raises=False)
    assert report.message == "Your mask is float32; masks here are bool, and True means 'may attend'."
    assert report.bugs == ()


def test_a_wrong_mask_of_numbers_is_named_and_told_to_be_bool():
    report = check.padding_mask(lambda token_ids, pad_id: (token_ids == pad_id)[:, None, None].int(), raises=False)
    assert report.bugs == ("padding_inverted",)
    assert report.facts[-1] == "Your mask is int32; masks here are bool, and True means 'may attend'."


def test_a_wrong_shape_is_told():
    report = check.causal_mask(lambda q, k: causal_tril(q, k)[None, None], raises=False)
    assert report.message == "Your output has shape (1, 1, 5, 5); it should be (5, 5) for query_len 5, key_len 5."


def window(query_len, key_len):
    return causal_tril(query_len, key_len) & ~causal_tril(query_len, key_len).tril(key_len - query_len - 3)


def first_column_hidden(query_len, key_len):
    mask = causal_tril(query_len, key_len)
    mask[:, 0] = False
    return mask


def every_second(query_len, key_len):
    return causal_tril(query_len, key_len) & (torch.arange(key_len) % 2 == 0)


@pytest.mark.parametrize("function", [window, first_column_hidden, every_second])
def test_unknown_causal_masks_are_rejected_with_facts_and_without_a_name(function):
    report = check.causal_mask(function, raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert report.message == "Your output is not the right one."
    assert any(" may attend to key " in fact for fact in report.facts)


@pytest.mark.parametrize(
    "function",
    [
        lambda token_ids, pad_id: ((token_ids != pad_id) & (token_ids != 5))[:, None, None],
        lambda token_ids, pad_id: (token_ids != pad_id).roll(1, -1)[:, None, None],
        lambda token_ids, pad_id: (token_ids != pad_id).any(0).expand(token_ids.shape)[:, None, None],
    ],
)
def test_unknown_padding_masks_are_rejected_with_facts_and_without_a_name(function):
    report = check.padding_mask(function, raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert any(" attend to key " in fact for fact in report.facts), report.facts


@pytest.mark.parametrize(
    "function",
    [
        lambda padding, causal: padding & causal.flip(-1),
        lambda padding, causal: padding.flip(-1) & causal,
        lambda padding, causal: (padding & causal).roll(1, 0),
    ],
)
def test_unknown_combinations_are_rejected_with_facts_and_without_a_name(function):
    report = check.combine_masks(function, raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert any(" attend to key " in fact for fact in report.facts), report.facts


@pytest.mark.parametrize(
    "function",
    [
        lambda token_ids, pad_id: (token_ids != pad_id).cummin(-1).values[:, None, None],
        lambda token_ids, pad_id: torch.tensor(
            [[[[place < sum(i != pad_id for i in row) for place in range(len(row))]]] for row in token_ids.tolist()]
        ),
    ],
)
def test_padding_that_is_thought_to_stand_at_the_end_is_named(function):
    assert check.padding_mask(function, raises=False).bugs == ("padding_only_at_the_end",)


def test_a_mask_of_torchs_transformer_is_inverted():
    report = check.causal_mask(lambda q, k: torch.ones(q, k).triu(diagonal=1).bool(), raises=False)
    assert report.bugs == ("causal_inverted",)


def test_a_slice_that_counts_from_the_end_is_named():
    def causal(query_len, key_len):
        mask = torch.zeros(query_len, key_len, dtype=torch.bool)
        for query in range(query_len):
            mask[query, : key_len - query_len + query + 1] = True
        return mask

    assert check.causal_mask(causal, raises=False).bugs == ("first_queries_see_keys",)


def test_a_mask_that_lets_nobody_through_is_told():
    report = check.causal_mask(lambda q, k: torch.zeros(q, k, dtype=torch.bool), raises=False)
    assert report.message == "Your mask is False everywhere: nobody may attend to anything."


def test_python_s_and_is_explained():
    report = check.combine_masks(lambda padding, causal: padding and causal, raises=False)
    assert "(if, and, or, not want one truth value: use &, |, ~ on tensors" in report.message


RIGHT_ANSWERS = {"causal_mask": CAUSAL, "padding_mask": PADDING, "combine_masks": COMBINE}
