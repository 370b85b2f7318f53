"""The experiment `heads`: a small run and the stored ones say the same, and so do their controls."""

import torch

from companion.results import load_result


def test_trained_heads_agree_more_than_chance_and_untrained_ones_do_not(load_script):
    small = load_script("heads").run(seed=1, steps=150)
    stored = load_result("heads")["runs"]
    assert len(stored) == 8
    for run in (small, *stored):
        before, after = run["heads"]["not trained"], run["heads"]["trained"]
        chance = before["by chance"]
        assert abs(before["different word"] - chance) < 0.1
        assert after["different word"] < chance - 0.05
        # Further apart than before, since they are sharp, and still closer than such heads that look anywhere.
        assert before["distance"] < after["distance"] < after["distance, shuffled"] - 0.05
        assert abs(before["distance"] - before["distance, shuffled"]) < 0.05
        # The share of places where not all four agree cannot tell: it is high before and after.
        assert before["not all alike"] > 0.95


def test_no_head_is_needed_alone_and_together_they_are():
    for run in load_result("heads")["runs"]:
        right = run["right without"]
        by_number = {n: [share for heads, share in right.items() if heads.count(" ") == n - 1] for n in (1, 2, 3, 4)}
        assert right["none"] >= 0.94
        assert min(by_number[1]) >= 0.9
        assert min(by_number[2]) < 0.85
        assert max(by_number[4]) < 0.15


def test_distance_is_the_share_that_lies_elsewhere(load_script):
    apart = load_script("heads").apart
    rows = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
    assert apart(rows[0], rows[1]) == 0.5
    assert apart(rows[0], rows[0]) == 0
    assert apart(rows[0], rows[2]) == 1
