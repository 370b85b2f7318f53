"""The experiment `cache_time`: a small run and the stored ones say the same."""

from companion.results import load_result


def test_cache_time(load_script):
    """A cache saves time, and the more the longer the text."""
    small = load_script("cache_time").run(seed=0, lengths=(20, 100), width=64)
    ratios = [a / b for a, b in zip(small["seconds"]["without"], small["seconds"]["with"], strict=True)]
    assert ratios[1] > max(1, ratios[0])
    stored = load_result("cache_time")["runs"]
    assert len(stored) == 5
    for run in stored:
        ratios = [a / b for a, b in zip(run["seconds"]["without"], run["seconds"]["with"], strict=True)]
        assert ratios == sorted(ratios)
        assert ratios[0] > 1.5
        assert ratios[-1] > 4
