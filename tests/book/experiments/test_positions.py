"""The experiment `positions`: a small run and the stored ones say the same."""

import statistics

from companion.results import load_result


def test_positions_small(load_script):
    """A causal mask alone tells the order; a sinusoidal model is led astray by letters at places that were not trained.

    Its control: the place of the token that asks was not trained either, and does no harm.
    """
    script = load_script("positions")
    blind = script.run(seed=9, steps=60, arms=("none",), lengths=(10,))  # longer training moves nothing
    assert blind["accuracy"]["none"][0] < 0.4
    small = script.run(seed=9, steps=500, arms=("none, causal", "sinusoidal"), lengths=(10, 40))
    assert small["accuracy"]["none, causal"][0] > 0.8
    assert small["accuracy"]["sinusoidal"][0] > 0.8
    assert small["accuracy"]["sinusoidal"][1] < 0.5
    changed = small["changed"]["sinusoidal"]
    assert changed["hidden"] > changed["as it is"] + 0.2
    assert abs(changed["moved"] - changed["as it is"]) < 0.15


def test_positions_stored(load_script):
    """What the chapter says of the ten arms, their places, and the changes to the trained models."""
    script = load_script("positions")
    stored = load_result("positions")["runs"]
    assert len(stored) == 8
    for run in stored:
        share = {arm: dict(zip(run["lengths"], right, strict=True)) for arm, right in run["accuracy"].items()}
        changed = run["changed"]
        assert share["none"][10] < 0.4
        assert all(share[arm][length] > 0.99 for arm in script.ARMS if arm != "none" for length in (4, 7, 10))
        # The index: lost without a mask, and furthest with one; its two faults only together.
        assert share["index, causal"][40] == max(
            share[arm][40] for arm in script.ARMS if arm.endswith("causal") or not arm.startswith("rotary")
        )
        assert changed["index"]["both"] > 0.95
        # Sinusoidal and learned: letters at untrained places do the harm.
        for way in ("sinusoidal", "learned"):
            assert changed[way]["hidden"] > 0.9
            assert share[f"{way}, causal"][40] > share[way][40]
        assert changed["none, causal"]["as it is"] > 0.99

    # The control: so it is, and not the place of the token that asks.
    def holds(fact):
        return sum(fact(run["changed"]) for run in stored)

    assert holds(lambda changed: changed["sinusoidal"]["moved"] < changed["sinusoidal"]["as it is"] + 0.05) == 8
    assert holds(lambda changed: changed["learned"]["moved"] < changed["learned"]["as it is"] + 0.05) == 7
    assert holds(lambda changed: max(changed["index"]["hidden"], changed["index"]["moved"]) < 0.35) == 7

    def mean(arm, part):
        return statistics.mean(right for run in stored for right in run["by place"][arm][part])

    trained, beyond = slice(0, 9), slice(20, 39)
    # An average of two failures is not one failure: at trained places the two differ, beyond they do not.
    assert mean("learned", trained) > mean("sinusoidal", trained) + 0.2
    assert max(mean(arm, beyond) for arm in ("learned", "sinusoidal")) < 0.25
    # A causal mask helps rotary where the marker is far, and harms it where it is near.
    assert mean("rotary", trained) < mean("rotary, causal", trained) - 0.2
    assert mean("rotary", beyond) > mean("rotary, causal", beyond) + 0.2
