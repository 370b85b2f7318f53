"""The experiment `positions`: a small run and the stored ones say the same."""

from companion.results import load_result


def test_positions(load_script):
    """Where it is trained a causal mask alone tells the order; without it and without positions nobody sees it."""
    script = load_script("positions")
    small = script.run(seed=0, steps=600, arms=("none", "none, causal"), lengths=(4, 10))
    assert small["accuracy"]["none, causal"][1] > 0.8
    assert small["accuracy"]["none"][1] < 0.4
    stored = load_result("positions")["runs"]
    assert len(stored) == 3
    for run in stored:
        share = {arm: dict(zip(run["lengths"], right, strict=True)) for arm, right in run["accuracy"].items()}
        ordered = [share[arm] for arm in script.ARMS if arm != "none"]
        assert all(right[length] > 0.99 for right in ordered for length in (4, 6, 8, 10))
        assert max(share[arm][20] for arm in ("sinusoidal", "learned", "index")) < 0.7
        assert min(share[arm][20] for arm in ("rotary", "none, causal")) > 0.8
        assert min(share[arm][40] for arm in ("rotary", "none, causal")) > 0.5
        assert share["index"][40] < 0.2
        assert share["none"][10] < 0.4
