"""The scripts whose results are stored: each result is of the script as it stands, and a test looks at both."""

import pytest

from companion.results import FOLDER, load_result, script_hash
from tools.first_cell import ROOT

SCRIPTS = sorted((ROOT / "book" / "experiments").glob("*.py"))
TESTS = sorted((ROOT / "tests" / "book" / "experiments").glob("test_*.py"))


def test_every_script_has_a_result_and_a_test_and_the_other_way_round():
    assert SCRIPTS
    names = {path.stem for path in SCRIPTS}
    assert names == {path.stem for path in FOLDER.glob("*.json")}
    assert names == {path.stem.removeprefix("test_") for path in TESTS}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_result_is_of_this_script(path):
    assert load_result(path.stem)["script_sha256"] == script_hash(path), f"run {path.name} again"
