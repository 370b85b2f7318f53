"""The experiment `shifted_target`: a small run and the stored ones say the same."""

from companion.results import load_result


def test_shifted_target(load_script):
    """All four learn their numbers by heart; only the one that is shifted once, and masked, can write them."""
    script = load_script("shifted_target")
    small = script.run(seed=0, steps=100, numbers=30)
    assert max(arm["loss"] for arm in small.values()) < 0.2
    assert small["right"]["exact_match"] > 0.8
    assert max(small[arm]["exact_match"] for arm in script.ARMS if arm != "right") < 0.5
    assert small["not shifted"]["only_bos"] == 1
    assert small["shifted twice"]["begins_with_the_second"] > 0.8 > 0.2 > small["right"]["begins_with_the_second"]
    stored = load_result("shifted_target")["runs"]
    assert len(stored) == 8
    for run in stored:
        assert max(run[arm]["loss"] for arm in script.ARMS) < 0.1  # no loss tells which of them can write
        assert run["right"]["exact_match"] > 0.9
        assert max(run[arm]["exact_match"] for arm in script.ARMS if arm != "right") < 0.2
        assert run["not shifted"]["only_bos"] == 1
        assert run["shifted twice"]["begins_with_the_second"] > 0.9
        assert run["right"]["begins_with_the_second"] < 0.1
