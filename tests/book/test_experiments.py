"""The scripts whose results are stored: each result is of the script as it stands, and a small run agrees with it."""

import importlib.util

import pytest

from companion.results import FOLDER, load_result, script_hash
from tools.first_cell import ROOT

SCRIPTS = sorted((ROOT / "book" / "experiments").glob("*.py"))


def test_every_script_has_a_result_and_the_other_way_round():
    assert SCRIPTS
    assert {path.stem for path in SCRIPTS} == {path.stem for path in FOLDER.glob("*.json")}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_result_is_of_this_script(path):
    assert load_result(path.stem)["script_sha256"] == script_hash(path), f"run {path.name} again"


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "book" / "experiments" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_crossing():
    """Trained for less than half of the time, the last layer already crosses over more often than the first."""
    small = load_script("crossing").run(seed=0, steps=300)
    for run in (small, *load_result("crossing")["runs"]):
        first, last = run["crossing"]
        assert max(last) > max(first)
        assert max(last) > 1 / 3
    assert len(load_result("crossing")["runs"]) == 10
    assert all(run["exact_match"] >= 0.99 for run in load_result("crossing")["runs"])
    assert small["exact_match"] > 0.8
