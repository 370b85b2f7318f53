"""The experiment `additive_time`: a small run and the stored ones say the same."""

from companion.results import load_result


def test_additive_time(load_script):
    small = load_script("additive_time").run(seed=0, sizes=(64,), rounds=5)
    for run in (small, *load_result("additive_time")["runs"]):
        assert all(min(ratio) > 1.5 for ratio in run["ratio"].values())
    assert len(load_result("additive_time")["runs"]) == 3
