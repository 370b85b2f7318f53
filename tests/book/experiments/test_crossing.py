"""The experiment `crossing`: a small run and the stored ones say the same."""

from companion.results import load_result


def test_crossing(load_script):
    """Trained for less than half of the time, the last layer already crosses over more often than the first."""
    small = load_script("crossing").run(seed=0, steps=300)
    for run in (small, *load_result("crossing")["runs"]):
        first, last = run["crossing"]
        assert max(last) > max(first)
        assert max(last) > 1 / 3
    assert len(load_result("crossing")["runs"]) == 10
    assert all(run["exact_match"] >= 0.99 for run in load_result("crossing")["runs"])
    assert small["exact_match"] > 0.8
