"""The scripts whose results are stored: each result is of the script as it stands, and a small run agrees with it."""

import importlib
from pathlib import Path

import pytest

from companion import NumberWords
from companion.results import FOLDER, load_result, script_hash
from tools.first_cell import ROOT

SCRIPTS = sorted((ROOT / "book" / "experiments").glob("*.py"))


def test_every_script_has_a_result_and_the_other_way_round():
    assert SCRIPTS
    assert {path.stem for path in SCRIPTS} == {path.stem for path in FOLDER.glob("*.json")}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_result_is_of_this_script(path):
    assert load_result(path.stem)["script_sha256"] == script_hash(path), f"run {path.name} again"


@pytest.fixture
def load_script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "experiments")  # a process that it starts finds it there as well
    return importlib.import_module


def test_crossing(load_script):
    """Trained for less than half of the time, the last layer already crosses over more often than the first."""
    small = load_script("crossing").run(seed=0, steps=300)
    for run in (small, *load_result("crossing")["runs"]):
        first, last = run["crossing"]
        assert max(last) > max(first)
        assert max(last) > 1 / 3
    assert len(load_result("crossing")["runs"]) == 10
    assert all(run["exact_match"] >= 0.99 for run in load_result("crossing")["runs"])
    assert small["exact_match"] > 0.8


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the script reads Linux's own account of memory")
def test_attention_cost(load_script):
    """From 512 to 1024 tokens the readable path needs more memory, and the fused one much less than it."""
    small = load_script("attention_cost").run(seed=0, lengths=(512, 1024))
    for run in (small, *load_result("attention_cost")["runs"]):
        reference, fused = run["reference"]["mebibytes"], run["fused"]["mebibytes"]
        assert reference[-1] > 2 * reference[-2]
        assert fused[-1] < reference[-1] / 3
    assert len(load_result("attention_cost")["runs"]) == 3


def test_recurrence_time(load_script):
    """Alone, a sequence takes a recurrence longer than attention; a batch takes much of that lead away."""
    small = load_script("recurrence_time").run(seed=0, lengths=(256,), batch_sizes=(1,), threads=(1,), seconds=0.1)
    (arm,) = small["arms"]
    assert arm["milliseconds"]["gru"][0] > arm["milliseconds"]["attention"][0]
    stored = load_result("recurrence_time")["runs"]
    assert len(stored) == 3

    def ratio(batch_size, length):
        arms = [arm["milliseconds"] for run in stored for arm in run["arms"] if arm["batch_size"] == batch_size]
        index = stored[0]["lengths"].index(length)
        return min(arm["gru"][index] for arm in arms) / min(arm["attention"][index] for arm in arms)

    assert ratio(1, 256) > 3
    assert ratio(16, 1024) < ratio(1, 1024) / 2


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


def test_additive_time(load_script):
    small = load_script("additive_time").run(seed=0, sizes=(64,), rounds=5)
    for run in (small, *load_result("additive_time")["runs"]):
        assert all(min(ratio) > 1.5 for ratio in run["ratio"].values())
    assert len(load_result("additive_time")["runs"]) == 3
