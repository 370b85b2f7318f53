"""The experiment `bottleneck`: a small run and the stored ones say the same."""

from companion import NumberWords
from companion.results import load_result


def test_bottleneck(load_script, monkeypatch):
    """On short numbers, too, looking back is ahead; and more steps move the limit of a fixed vector."""
    script = load_script("bottleneck")
    monkeypatch.setattr(script, "NumberWords", lambda max_digits: NumberWords(max_digits=3))
    monkeypatch.setattr(script, "DIGITS", range(2, 4))
    looking = script.run("dot-product attention, 128, seed 0", most=30, measured_at=(150,))["by_digits"]
    fixed = script.run("GRU, 128, seed 0", most=30, measured_at=(150, 400))["by_digits"]
    assert sum(looking["150"]) > sum(fixed["150"]) + 0.2
    assert sum(fixed["400"]) > sum(fixed["150"]) + 0.2
    stored = load_result("bottleneck")["runs"]
    for run in stored:
        assert min(run["numbers_by_digits"][2:]) == 100
    assert [run["run"] for run in stored] == [f"{arm}, seed {seed}" for seed in script.SEEDS for arm in script.ARMS]
