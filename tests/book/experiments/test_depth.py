"""The experiment `depth`: a small run and the stored ones say the same, and so do their controls."""

from companion.results import load_result


def test_attention_makes_tokens_alike(load_script):
    small = load_script("depth").run(seed=1, deep=24)
    stored = load_result("depth")["runs"]
    assert len(stored) == 8
    for run in (small, *stored):
        alike = run["alike"]
        assert alike["attention alone"]["norm only"] > 0.999
        assert alike["feed-forward alone"]["norm only"] < 0.96
        assert alike["both"]["post-norm"] > 0.98 > 0.9 > alike["both"]["pre-norm"]
        assert alike["both, smaller weights"]["post-norm"] < 0.6

        post, pre = run["decoder"]["post-norm"], run["decoder"]["pre-norm"]
        assert post["an encoder's output"] < 0.05
        assert post["one vector, 16 times"] < 0.05
        assert post["random vectors"] > 0.2  # the control: nothing vanishes
        assert min(pre.values()) > 1

        for weights in run["first to last"].values():
            assert weights["10"] < 1.5 < weights["1"]
