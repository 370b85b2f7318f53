"""The experiment `recall`: a small run and the stored ones say the same."""

import pytest

from companion.results import load_result


def test_recall(load_script):
    """What the gradient hardly reaches before training is not learned; with the forget gate open it is."""
    script = load_script("recall")
    small = script.run(seed=0, arms=("LSTM", "LSTM, forget bias +3"), lengths=(20,), measured_at=(300,))["arms"]
    (closed,), (opened,) = small["LSTM"], small["LSTM, forget bias +3"]
    assert closed["reaction_before"] < 1e-3 < 0.1 < opened["reaction_before"]
    assert closed["right"][0] < 0.6 < 0.9 < opened["right"][0]
    stored = load_result("recall")["runs"]
    assert len(stored) == 5
    for run in stored:
        for point in (point for points in run["arms"].values() for point in points):
            if point["reaction_before"] < 5e-4:
                assert max(point["right"]) < 0.53
            if point["reaction_before"] > 4e-3:
                assert point["right"][1] > 0.98
        limits = {"LSTM": 10, "LSTM, forget bias +1": 20, "LSTM, forget bias +3": 40, "attention": 40}
        for arm, limit in limits.items():
            learned = [point["right"][1] > 0.9 for point in run["arms"][arm]]
            assert learned == [length <= limit for length in run["lengths"]]
    shortest = [run["arms"]["tanh"][0]["right"] for run in stored]  # here the budget matters
    assert max(early for early, _ in shortest) < 0.53
    assert sorted(late for _, late in shortest)[2] > 0.7


def test_recall_refuses_an_unknown_arm(load_script):
    with pytest.raises(ValueError, match="there is no arm 'GRU'; there are: tanh, LSTM"):
        load_script("recall").Recaller("GRU")
