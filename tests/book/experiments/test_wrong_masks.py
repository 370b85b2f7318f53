"""The experiment `wrong_masks`: a small run and the stored ones say the same."""

import pytest

from companion import NumberWords
from companion.results import load_result


def test_wrong_masks(load_script, monkeypatch):
    """A decoder that sees the future learns faster than the right one, on held-out pairs too, and writes noise."""
    script = load_script("wrong_masks")
    monkeypatch.setattr(script, "NumberWords", lambda max_digits: NumberWords(max_digits=3, num_train=3000))
    small = script.run(seed=0, steps=120, arms=("right", "masked after softmax"), most=30)["arms"]
    right, wrong = small["right"], small["masked after softmax"]
    assert wrong["losses"][-1] < right["losses"][-1]
    assert wrong["exact_match"] == 0 < right["exact_match"]
    stored = load_result("wrong_masks")["runs"]
    assert len(stored) == 3
    for arms in (run["arms"] for run in stored):
        assert list(arms) == list(script.ARMS)
        for arm in script.IN_THE_DECODER:
            assert arms[arm]["losses"][9] < arms["right"]["losses"][9]
            assert arms[arm]["validation_loss"] < arms["right"]["validation_loss"]
            assert arms[arm]["exact_match"] == arms[arm]["exact_match_padded"] == 0
        for arm in ("right", "look-ahead in encoder"):
            assert arms[arm]["exact_match_padded"] == arms[arm]["exact_match"] > 0.98
        assert arms["source padding forgotten"]["exact_match"] > 0.98
        assert arms["source padding forgotten"]["exact_match_padded"] < 0.85


def test_wrong_masks_refuses_an_unknown_arm(load_script):
    with pytest.raises(ValueError, match="there is no arm 'left'; there are: right, no look-ahead mask"):
        load_script("wrong_masks").build("left", NumberWords(max_digits=1), seed=0)
