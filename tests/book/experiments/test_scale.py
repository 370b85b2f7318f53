"""The experiment `scale`: a small run and the stored ones say the same."""

from companion.results import load_result


def test_scale(load_script):
    """From what is read, words are learned worse without the scale; from the weight, or a small start, they are not."""
    script = load_script("scale")
    small = script.run(seed=7, sizes=(64,), rates=(3e-3,), steps=200, long=200)
    stored = load_result("scale")["runs"]
    assert len(stored) == 5
    for run in (small, *stored):
        where = run["sizes"].index(64)
        best = {(setting, arm): shares[where] for setting, arms in run["best"].items() for arm, shares in arms.items()}
        assert best["words, read", "unscaled"] < 0.95
        assert best["words, read", "scaled"] > 0.98
        assert best["words, read", "small start"] > 0.95
        assert best["words, weight", "unscaled"] > 0.98
        assert best["new keys, read", "unscaled"] > 0.8
    for run in stored:
        read = run["best"]["words, read"]
        assert read["unscaled"][-1] < min(read["scaled"][-1], read["small start"][-1]) - 0.1
        assert max(run["long"]) > read["unscaled"][run["sizes"].index(64)]
