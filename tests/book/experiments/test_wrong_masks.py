"""The experiment `wrong_masks`: a small run and the stored ones say the same."""

import pytest
import torch

from companion import NumberWords, causal_mask, influence
from companion.results import load_result


def test_wrong_masks(load_script, monkeypatch):
    """A decoder that sees the future reaches as low a loss as the right one, and writes noise."""
    script = load_script("wrong_masks")
    monkeypatch.setattr(script, "NumberWords", lambda max_digits: NumberWords(max_digits=2))
    small = script.run(seed=0, steps=100, arms=("right", "masked after softmax"), most=30)["arms"]
    right, wrong = small["right"], small["masked after softmax"]
    assert wrong["losses"][5] < right["losses"][5]
    assert wrong["exact_match"] < 0.1 < right["exact_match"]
    stored = load_result("wrong_masks")["runs"]
    assert len(stored) == 5
    for run in stored:
        arms = run["arms"]
        assert list(arms) == list(script.ARMS)
        for arm in script.IN_THE_DECODER:
            assert max(arms[arm]["exact_match"], arms[arm]["exact_match_padded"]) < 0.02
            assert arms[arm]["validation_loss"] < 0.02  # so a low loss on new pairs proves nothing
        assert arms["one step ahead"]["losses"][7] < 0.7 * arms["right"]["losses"][7]
        for arm in ("right", "look-ahead in encoder"):
            assert arms[arm]["exact_match_padded"] == arms[arm]["exact_match"] > 0.97
        assert arms["source padding forgotten"]["exact_match"] > 0.97
        assert arms["source padding forgotten"]["exact_match_padded"] < 0.9
    late = [run["look_ahead_put_on_after_training"] for run in stored]
    assert min(late) < 0.9 < max(late)  # it depends on the seed


def test_a_blinkered_encoder_sees_nothing_of_what_follows(load_script):
    script, task = load_script("wrong_masks"), NumberWords(max_digits=1)
    model = script.build("look-ahead in encoder", task, seed=0).eval()
    felt = influence(lambda x: model.encoder(x), torch.randn(1, 5, model.config.d_model))
    assert torch.equal(felt > 0, causal_mask(5))


def test_wrong_masks_refuses_an_unknown_arm(load_script):
    with pytest.raises(ValueError, match="there is no arm 'left'; there are: right, no look-ahead mask"):
        load_script("wrong_masks").build("left", NumberWords(max_digits=1), seed=0)
