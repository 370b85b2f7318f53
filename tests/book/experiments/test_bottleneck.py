"""The experiment `bottleneck`: a small run and the stored ones say the same."""

from companion import NumberWords
from companion.results import load_result


def test_bottleneck(load_script, monkeypatch):
    """On numbers of up to 4 digits, trained for less than half of the time, looking back is already ahead."""
    script = load_script("bottleneck")
    monkeypatch.setattr(script, "NumberWords", lambda max_digits: NumberWords(max_digits=4))
    small = script.run(seed=0, hidden_size=64, steps=200, arms=("none", "dot"), most=30)
    assert small["exact_match"]["dot"] > small["exact_match"]["none"] + 0.1
    stored = load_result("bottleneck")["runs"]
    assert len(stored) == 3
    for run in stored:
        assert min(min(run["by_digits"][arm]) for arm in ("additive", "dot")) >= 0.97
        assert run["by_digits"]["none"][2] > 0.7 > 0.5 > run["by_digits"]["none"][3]
        assert max(run["by_digits"]["none"][6:]) == 0
        assert min(run["numbers_by_digits"][2:]) >= 60
