"""Stored results say what was run, and where."""

import json

import pytest

from companion import results
from companion.results import load_result, script_hash, store_runs


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    path = tmp_path / "twice.py"
    path.write_text("first version\n")
    return path


def test_runs_are_stored_with_what_it_takes_to_repeat_them(script, capsys):
    store_runs(str(script), "What is twice the seed?", lambda seed: {"twice": 2 * seed}, seeds=[3, 5])
    result = load_result("twice")
    assert result["runs"] == [{"seed": 3, "twice": 6}, {"seed": 5, "twice": 10}]
    assert result["question"] == "What is twice the seed?"
    assert result["script_sha256"] == script_hash(script)
    assert set(result) == {"question", "script_sha256", "python", "torch", "machine", "seconds", "runs"}
    assert capsys.readouterr().out.startswith("seed 3: ")


def test_an_experiment_goes_on_where_it_stopped(script):
    def breaks_at_five(seed):
        if seed == 5:
            raise KeyboardInterrupt
        return {}

    with pytest.raises(KeyboardInterrupt):
        store_runs(str(script), "?", breaks_at_five, seeds=[3, 5])
    ran = []
    store_runs(str(script), "?", lambda seed: ran.append(seed) or {}, seeds=[3, 5])
    assert ran == [5]


def test_a_changed_script_starts_afresh(script):
    store_runs(str(script), "?", lambda seed: {"version": 1}, seeds=[3])
    script.write_text("second version\n")
    store_runs(str(script), "?", lambda seed: {"version": 2}, seeds=[3])
    assert [run["version"] for run in load_result("twice")["runs"]] == [2]


def twice(seed):
    """Stand where another process finds it."""
    return {"twice": 2 * seed}


def test_runs_may_go_side_by_side(script):
    store_runs(str(script), "?", twice, seeds=[3, 5, 7], key="number", processes=2)
    assert load_result("twice")["runs"] == [{"number": n, "twice": 2 * n} for n in (3, 5, 7)]


def test_what_is_no_longer_asked_for_is_dropped(script):
    store_runs(str(script), "?", twice, seeds=[3, 5])
    store_runs(str(script), "?", twice, seeds=[7, 5])
    assert [run["seed"] for run in load_result("twice")["runs"]] == [7, 5]


def test_line_ends_do_not_change_the_hash(script):
    before = script_hash(script)
    script.write_bytes(b"first version\r\n")
    assert script_hash(script) == before


def test_unknown_result(script):
    script.with_suffix(".json").write_text(json.dumps({}))
    with pytest.raises(ValueError, match="there is no stored result 'thrice'; there are: twice"):
        load_result("thrice")
