"""What is new works at once: a bug in a bank, and a check with a bank of its own, as CONTRIBUTING.md shows them."""

import dataclasses
import re
import sys
import types
from pathlib import Path

import pytest
import torch

from companion import check
from tools import bug_table, field_guide
from tools.field_guide import ends, pages

ROOT = Path(__file__).parents[2]
DIFFS = re.findall(r"```diff\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL)


def nowhere(stem, heading):
    return ""


@pytest.mark.parametrize("number", range(len(DIFFS)))
def test_what_contributing_shows_is_what_stands_there(number):
    """Line by line, in the file that each part of the diff names; what it takes away is gone."""
    for part in re.split(r"^--- .*\n", DIFFS[number], flags=re.MULTILINE)[1:]:
        head, *lines = part.splitlines()
        there = (ROOT / head.removeprefix("+++ b/")).read_text(encoding="utf-8")
        added = [line[1:] for line in lines if line.startswith("+")]
        assert added
        for line in added:
            assert line in there.splitlines(), line
        for line in lines:
            assert not line.startswith("-") or line[1:] not in there.splitlines()


def test_contributing_shows_a_bug_in_one_place_and_a_check_in_five():
    assert [diff.count("\n+++ ") for diff in DIFFS] == [1, 5]


@pytest.fixture
def doubled(monkeypatch):
    """A check with one bug, registered as the folder `doubled` would be."""
    bank = check.Bank(section=check.section("attention", "By hand"))

    @bank.bug("What is 2 times 3, and what is 2 plus 3?")
    def two_added(x):
        """You add 2; multiply by it."""
        return x + 2

    def make_probes(seed=0):
        generator = torch.Generator().manual_seed(seed)
        sizes = {"a batch": (2, 5, 7), "a single item": (1, 3, 5)}
        return tuple(
            check.Probe(name, {"x": torch.randn(size, generator=generator).double()}, ("x",))
            for name, size in sizes.items()
        )

    like = check.CHECKS["merge_heads"]
    made = dataclasses.replace(
        like, name="doubled", expects="``fn(x)``.", right=lambda x: 2 * x, make_probes=make_probes, bank=tuple(bank)
    )
    module = types.ModuleType("companion.checks.doubled")
    module.DOUBLED = made
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(check.CHECKS.folders, "doubled", "doubled")
    yield made
    vars(check).pop("doubled", None)
    pages.shown.cache_clear()


def test_a_new_check_reports(doubled):
    assert check.doubled(lambda x: x + x).passed
    assert "``fn(x)``" in check.doubled.__doc__
    report = check.doubled(lambda x: x + 2.0, raises=False, seed=3)
    assert report.bugs == ("two_added",)
    assert report.message == "You add 2; multiply by it."


def test_a_new_check_stands_in_the_table_and_in_the_guide(doubled):
    (row,) = bug_table.rows("doubled")
    assert row.verdict == "named right"
    text = field_guide.write("% field guide: doubled", nowhere)
    assert "### two added" in text
    assert "> You add 2; multiply by it." in text
    assert "- **In training.** Not trained with yet." in text


def test_a_new_bug_is_named_and_stands_in_the_table_and_in_the_guide(monkeypatch):
    """Nothing is done for it but to put it into its bank; then the check is loaded."""
    from companion.checks.masks import padding

    bank = check.Bank(section=padding.PADDING)

    @bank.bug("Count the items.")
    def only_the_last_item_hidden(token_ids, pad_id):
        """Your mask hides the padding of the last item only."""
        mask = (token_ids != pad_id)[:, None, None, :]
        mask[:-1] = True
        return mask

    usual = check.CHECKS["padding_mask"]
    changed = dataclasses.replace(usual, bank=(*usual.bank, *bank))
    monkeypatch.setattr("companion.checks.masks.PADDING_MASK", changed)
    monkeypatch.setitem(vars(check), "padding_mask", check.public(changed))
    pages.shown.cache_clear()
    report = check.padding_mask(only_the_last_item_hidden.wrong, raises=False)
    assert report.bugs == ("only_the_last_item_hidden",)
    assert {row.verdict for row in bug_table.rows("padding_mask")} == {"named right"}
    assert "### only the last item hidden" in field_guide.write("% field guide: padding_mask", nowhere)
    assert "[only the last item hidden](#" in field_guide.write("% field guide: training", nowhere)
    assert ends.measured("padding_mask", "only_the_last_item_hidden") is None
    pages.shown.cache_clear()
