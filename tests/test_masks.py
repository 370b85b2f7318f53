import pytest
import torch

from companion import causal_mask, combine_masks, padding_mask


def test_causal_mask_by_hand():
    assert causal_mask(3).int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert causal_mask(2, 5).int().tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    assert causal_mask(3, 2).int().tolist() == [[0, 0], [1, 0], [1, 1]]
    assert causal_mask(1, 4).all()


@pytest.mark.parametrize("query_len", [0, 1, 3, 7])
@pytest.mark.parametrize("key_len", [0, 1, 5])
def test_causal_mask_is_aligned_bottom_right(query_len, key_len):
    mask = causal_mask(query_len, key_len)
    assert mask.shape == (query_len, key_len)
    assert mask.dtype == torch.bool
    for i in range(query_len):
        for j in range(key_len):
            assert mask[i, j] == (j - key_len <= i - query_len)


def test_the_last_rows_of_a_longer_mask_are_those_of_a_cached_step():
    assert torch.equal(causal_mask(7)[-2:], causal_mask(2, 7))


def test_causal_mask_refuses_negative_lengths():
    with pytest.raises(ValueError, match="must not be negative, got query_len -1 and key_len 3"):
        causal_mask(-1, 3)


def test_causal_mask_goes_to_the_device_it_is_told():
    assert causal_mask(2, device="meta").device.type == "meta"


def test_padding_mask_by_hand():
    mask = padding_mask(torch.tensor([[5, 7, 0], [4, 0, 0]]), pad_id=0)
    assert mask.shape == (2, 1, 1, 3)
    assert mask[:, 0, 0].tolist() == [[True, True, False], [True, False, False]]


def test_padding_mask_refuses_what_is_not_a_batch_of_ids():
    with pytest.raises(ValueError, match=r"shape \(batch, length\), got \(3,\)"):
        padding_mask(torch.tensor([1, 2, 3]), 0)
    with pytest.raises(TypeError, match="pass the ids, not their embeddings"):
        padding_mask(torch.zeros(2, 3), 0)


def test_masks_combine_by_and():
    combined = combine_masks(None, causal_mask(3), padding_mask(torch.tensor([[5, 7, 0]]), 0))
    assert combined.shape == (1, 1, 3, 3)
    assert combined[0, 0].int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 0]]


def test_no_mask_is_none():
    assert combine_masks() is None
    assert combine_masks(None, None) is None


def test_combining_leaves_the_masks_alone():
    first, second = causal_mask(3), torch.zeros(3, 3, dtype=torch.bool)
    combine_masks(first, second)
    assert torch.equal(first, causal_mask(3))


@pytest.mark.parametrize(
    ("mask", "got"), [(torch.ones(3, 3), "float32"), (torch.ones(3, 3).int(), "int32"), ([[True]], "list")]
)
def test_only_bool_masks(mask, got):
    with pytest.raises(TypeError, match=f"True means 'may attend', got {got}; .*mask.bool.*mask == 0"):
        combine_masks(causal_mask(3), mask)
