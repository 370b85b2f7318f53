"""The experiment `additive_quality`: a small run and the stored ones say the same."""

import math

import pytest
import torch

from companion.results import load_result


def test_additive_quality(load_script):
    """Known words are found by every score; new keys by all but the one that is odd."""
    script = load_script("additive_quality")
    small = script.run(seed=7, sizes=(16,), rates=(1e-2,), steps=200)
    for run in (small, *load_result("additive_quality")["runs"]):
        where = run["sizes"].index(16)
        assert all(run["best"]["words"][arm][where] > 0.9 for arm in script.ARMS)
        assert run["best"]["new keys"]["additive"][where] < 0.3
        for arm in ("additive, bias", "dot", "scaled dot"):
            assert run["best"]["new keys"][arm][where] > 0.8
    stored = load_result("additive_quality")["runs"]
    assert len(stored) == 5
    for run in stored:  # no width helps the odd score, and a bias does at every width
        odd, biased = (run["best"]["new keys"][arm] for arm in ("additive", "additive, bias"))
        assert max(odd) < 0.25
        assert min(biased) > 2 * max(odd)


@pytest.mark.parametrize("arm", ["additive", "additive, bias", "scaled dot"])
def test_only_the_odd_score_has_a_floor(load_script, arm):
    """Over a draw and its mirror image the odd score cannot lose less than ln 8 on average; the others can."""
    script = load_script("additive_quality")
    torch.manual_seed(0)
    module = script.make(arm, 8).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(3)
        query, keys = torch.randn(500, 1, 8).double(), torch.randn(500, script.NUM_KEYS, 8).double()
        mean = sum(-module.weights(sign * query, sign * keys).log() for sign in (1, -1)) / 2
    assert ((mean >= math.log(script.NUM_KEYS) - 1e-9).all()) == (arm == "additive")
