"""Every known bug is rejected and called by its own name; every right answer passes; over several probes."""

import time

import pytest
import torch

from companion import check

SEEDED = [name for name, one in check.CHECKS.items() if one.with_seed(1) is not one]  # with drawn numbers

EVERY_BUG = [
    pytest.param(name, entry, number, id=f"{name}-{entry.name}-{number}")
    for name, one in check.CHECKS.items()
    for entry in one.bank
    for number in range(1 + len(entry.also))
]


@pytest.mark.parametrize(("name", "entry", "number"), EVERY_BUG)
def test_every_bug_is_rejected_and_named(name, entry, number):
    wrong = check.CHECKS[name].implementations(entry)[number]
    report = getattr(check, name)(wrong, raises=False)
    assert not report.passed
    assert report.bugs == (entry.name,)
    assert report.message == entry.sentence
    assert report.hint(1) == entry.hint
    assert report.hint(2) == f"See {entry.section}."


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", SEEDED)
def test_names_do_not_depend_on_the_numbers_drawn(name, seed):
    one = check.CHECKS[name]
    assert getattr(check, name)(one.right, seed=seed).passed
    for entry in one.bank:
        for wrong in one.implementations(entry):
            assert getattr(check, name)(wrong, raises=False, seed=seed).bugs == (entry.name,)


@pytest.mark.parametrize("name", check.CHECKS)
def test_the_right_function_passes(name):
    report = getattr(check, name)(check.CHECKS[name].right)
    assert report.passed
    assert repr(report) == f"{name}: passed."


def test_the_banks_are_as_large_as_promised():
    assert len(check.CHECKS["attention"].bank) >= 18
    assert len(check.CHECKS["attention_weights"].bank) >= 18
    assert all(len(one.bank) >= 8 for one in check.CHECKS.values())


@pytest.mark.parametrize("name", check.CHECKS)
def test_entries_are_well_formed(name):
    entries = check.CHECKS[name].bank
    assert len({entry.name for entry in entries}) == len(entries)
    assert len({entry.sentence for entry in entries}) == len(entries)
    for entry in entries:
        # ASCII, because a console on Windows may know nothing else.
        assert (entry.sentence + entry.hint + entry.section).isascii()
        assert entry.sentence.endswith(".")
        assert entry.hint.endswith((".", "?"))
        assert entry.section.startswith("chapter ")


@pytest.mark.parametrize("name", check.CHECKS)
def test_a_check_takes_less_than_two_seconds_of_one_core(name):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        one = check.CHECKS[name]
        for entry in one.bank[:3]:
            start = time.process_time()
            getattr(check, name)(one.implementations(entry)[0], raises=False)
            assert time.process_time() - start < 2.0
    finally:
        torch.set_num_threads(threads)


def pairs():
    one = check.CHECKS["attention"]
    by_name = {entry.name: entry for entry in one.bank}
    for first in ("no_scaling", "divided_by_d_k", "cosine_similarity"):
        for second in ("mask_ignored", "mask_inverted", "hidden_scores_become_zero", "mask_after_softmax"):
            yield by_name[first], by_name[second]
        for second in ("softmax_over_queries", "softmax_twice", "sigmoid_for_softmax", "weights_times_keys"):
            yield by_name[first], by_name[second]


@pytest.mark.parametrize(
    ("first", "second"), [pytest.param(*pair, id=f"{pair[0].name}-{pair[1].name}") for pair in pairs()]
)
def test_two_bugs_at_once_are_both_named(first, second):
    both = check.CHECKS["attention"].assemble({first.part: first.wrong, second.part: second.wrong})
    report = check.attention(both, raises=False)
    assert set(report.bugs) == {first.name, second.name}
    assert report.message == f"Two things at once. {first.sentence} {second.sentence}"


@pytest.mark.slow
def test_no_pair_of_bugs_gets_a_third_name():
    one = check.CHECKS["attention"]
    for number, first in enumerate(one.bank):
        for second in one.bank[number + 1 :]:
            if first.part and second.part and first.part != second.part:
                both = one.assemble({first.part: first.wrong, second.part: second.wrong})
                report = check.attention(both, raises=False)
                assert not report.passed
                assert set(report.bugs) <= {first.name, second.name}
