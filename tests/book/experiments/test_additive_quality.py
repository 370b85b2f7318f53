"""The experiment `additive_quality`: a small run and the stored ones say the same."""

from companion.results import load_result


def test_additive_quality(load_script):
    """New keys are found by a dot product and not by the additive score; known words by both."""
    script = load_script("additive_quality")
    small = script.run(seed=0, sizes=(16,), rates=(1e-2,), steps=200)
    for run in (small, *load_result("additive_quality")["runs"]):
        where = run["sizes"].index(16)
        assert all(run["best"]["words"][arm][where] > 0.9 for arm in script.ARMS)
        assert run["best"]["new keys"]["additive"][where] < 0.3
        assert run["best"]["new keys"]["scaled dot"][where] > 0.9
    assert len(load_result("additive_quality")["runs"]) == 3
