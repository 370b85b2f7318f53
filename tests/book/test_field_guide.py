"""The field guide: every bug of the bank has its entry, and the tests that it shows say what they promise."""

import re
from functools import partial

import pytest
import torch

import companion
from companion import check
from companion.results import load_result
from tools import field_guide
from tools.field_guide import answers, asking, ends, evidence, own_tests, pages, pictures, symptoms, training
from tools.first_cell import ROOT

PAGES = {path.stem: path.read_text(encoding="utf8") for path in sorted((ROOT / "book").glob("field_guide*.md"))}
QUICK = ["attention", "attention_weights", "causal_mask", "padding_mask", "schedule", "loss", "greedy", "split_heads"]
QUICK += ["merge_heads", "positional", "rotary", "layer_norm", "kv_cache"]


def nowhere(stem, heading):
    return ""


def entry_of(name, bug):
    return next(entry for entry in check.CHECKS[name].bank if entry.name == bug)


def guide(name):
    return field_guide.write(f"% field guide: {name}", nowhere)


def test_every_check_stands_on_one_page():
    named = [name for text in PAGES.values() for name in field_guide.MARK.findall(text)]
    assert sorted(named) == sorted([*check.CHECKS, "symptoms", "training"])
    for stem in PAGES.keys() - {"field_guide"}:
        assert f"]({stem}.md)" in PAGES["field_guide"]
    listed = re.findall(r"^\| \[.+?\]\((field_guide_\w+)\.md\) \| (.+) \|$", PAGES["field_guide"], re.MULTILINE)
    assert {stem: re.findall(r"`(\w+)`", names) for stem, names in listed} == {
        stem: field_guide.MARK.findall(text) for stem, text in PAGES.items() if stem != "field_guide"
    }


@pytest.mark.parametrize("name", QUICK)
def test_every_bug_has_its_entry(name):
    text = guide(name)
    own = [entry for entry in check.CHECKS[name].bank if pages.home(check.CHECKS[name], entry) == name]
    assert text.count("\n### ") == len(own)
    for entry in check.CHECKS[name].bank:
        home = pages.home(check.CHECKS[name], entry)
        label = f"guide-{home}-{entry.name}".replace("_", "-")
        assert (f"({label})=" in text) == (home == name)
        assert pages.escape(entry.sentence) in text or f"](#{label})" in text
    for said in ("In numbers", "Tests that see it", "In training", "In your own model"):
        assert text.count(f"- **{said}.**") == len(own)
    assert text.count('<div class="guide-pair">') >= 0.6 * len(own)
    assert len(text.encode()) < 200_000
    assert "KnownBug" not in text
    assert not re.search(r"(?<!\\)\$", text)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in check.CHECKS if name not in QUICK])
def test_every_other_bug_has_its_entry(name):
    test_every_bug_has_its_entry(name)


@pytest.mark.parametrize("name", check.CHECKS)
def test_what_is_right_passes_all_tests(name):
    one = check.CHECKS[name]
    right = one.hand_in(one.right)
    kinds = {answers.answer_to(one, probe, right).kind for probe in one.probes if not probe.omit}
    assert kinds == {"right"}
    assert asking.ask(one, right, kinds) == ([], [])


@pytest.mark.parametrize(
    ("name", "bug", "seen", "not_seen"),
    [
        ("attention", "mask_ignored", "hides", "rows_sum_to_one"),
        ("attention", "hidden_scores_become_zero", "hides", "rows_sum_to_one"),
        ("attention", "mask_after_softmax", "rows_sum_to_one", "shows"),
        ("attention", "softmax_over_batch", "items_do_not_meet", "hides"),
        ("attention", "keys_times_queries", "sizes", "nan"),
        ("causal_mask", "cannot_see_itself", "shows", "hides"),
        ("combine_masks", "combined_by_or", "hides", "shows"),
        ("layer_norm", "over_the_sequence", "tokens_do_not_meet", "items_do_not_meet"),
        ("layer_norm", "gain_missing", "fresh", "tokens_do_not_meet"),
        ("layer_norm", "shift_missing", "without_gradient", "sizes"),
        ("layer_norm", "gain_and_shift_missing", "without_gradient", "sizes"),
        ("positional", "positions_from_one", "is_a_table_of_sinusoids", "sizes"),
        ("rotary", "minus_missing", "turns", "items_do_not_meet"),
        ("loss", "padding_counted", "loss_is_as_expected", "sizes"),
        ("schedule", "falls_exponentially", "rate_is_as_expected", "sizes"),
        ("greedy", "goes_on_after_eos", "ids_are_well_formed", "nan"),
        ("kv_cache", "mask_aligned_top_left", "shows", "hides"),
    ],
)
def test_a_test_sees_what_it_should(name, bug, seen, not_seen):
    failed = pages.shown(name, bug).failed
    assert seen in failed
    assert not_seen not in failed


def test_every_symptom_has_its_test_and_every_test_its_symptom():
    tests = {
        name for name, value in vars(own_tests).items() if callable(value) and value.__module__ == own_tests.__name__
    } - {"alike", "each_token"}
    assert tests == symptoms.SYMPTOMS.keys() - {"sizes", "nan", "fresh", "none"}
    for name in tests:
        # A reader can copy it: it stands on torch alone.
        scope = {"torch": torch, "one_hot": torch.nn.functional.one_hot}
        exec(symptoms.code("hides"), scope)  # with what the others use
        exec(symptoms.code(name), scope)
        assert all(len(line) <= 82 for line in symptoms.code(name).splitlines())


class Ours(companion.EncoderLayer):
    def __init__(self):
        super().__init__(12, 3, 17, dropout=0.3)


class Torchs(torch.nn.TransformerEncoderLayer):
    """It drops attention weights as well."""

    def __init__(self):
        super().__init__(12, 3, 17, dropout=0.3, batch_first=True)

    def forward(self, x, mask):
        return super().forward(x, ~mask[:, None].expand(-1, 3, -1, -1).flatten(0, 1))


def leaky(layer):
    class Leaky(layer):
        def forward(self, x, mask):
            return super().forward(x, torch.ones_like(mask))

    return Leaky


def mixing(layer):
    class Mixing(layer):
        def forward(self, x, mask):
            return super().forward(x, mask) + 0.01 * x.mean(dim=0)

    return Mixing


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("layer", [Ours, Torchs])
def test_dropout_is_not_taken_for_a_leak_and_hides_none(layer, training):
    """A right layer passes in both modes, and a wrong one in neither; the random numbers outside stay as they were."""
    torch.manual_seed(1)
    x = torch.randn(3, 5, 12)
    causal = torch.ones(5, 5, dtype=torch.bool).tril().expand(3, -1, -1)
    padding = (torch.arange(5) < torch.tensor([5, 3, 2])[:, None, None]).expand(-1, 5, -1)
    for made, hides, apart in ((layer, True, True), (leaky(layer), False, True), (mixing(layer), True, False)):
        model = made().train(training)
        for mask in (causal, padding):
            asked, state = partial(model, mask=mask if layer is Torchs else mask[:, None]), torch.get_rng_state()
            assert own_tests.hides(asked, x, mask) == hides
            assert own_tests.items_do_not_meet(asked, x) == apart
            assert torch.equal(torch.get_rng_state(), state)
            assert torch.equal(asked(x), asked(x)) != training  # it has dropout


@pytest.mark.parametrize("training", [False, True])
def test_dropout_is_not_taken_for_tokens_that_meet(training):
    x = torch.randn(3, 5, 12)
    network = torch.nn.Sequential(torch.nn.Linear(12, 17), torch.nn.Dropout(0.3), torch.nn.LayerNorm(17))
    network.train(training)
    assert own_tests.tokens_do_not_meet(network, x)
    assert not own_tests.tokens_do_not_meet(lambda x: network(x + x.mean(dim=1, keepdim=True)), x)


def test_numbers_of_an_entry():
    one = check.CHECKS["attention"]
    said = evidence.in_numbers(evidence.show(one, entry_of("attention", "weights_returned")))
    assert said.startswith(
        "It is wrong on all of the check's 6 questions. On “a mask that hides nothing” its shape is "
    )
    said = evidence.in_numbers(evidence.show(one, entry_of("attention", "finite_fill")))
    assert said.startswith(
        "It is wrong on “a query that may attend to nothing”, and right on the other 5. It is off by"
    )
    mask = check.CHECKS["causal_mask"]
    said = evidence.in_numbers(evidence.show(mask, entry_of("causal_mask", "hides_nothing")))
    assert said.endswith("On “as many queries as keys” 10 of 25 places are wrong.")


def test_the_largest_difference_is_that_of_the_outputs():
    one, entry = check.CHECKS["attention"], entry_of("attention", "no_scaling")
    largest = max(
        float((one.implementations(entry)[0](**probe.inputs) - one.expected(probe)).abs().nan_to_num(0.0).max())
        for probe in one.probes
        if probe.core
    )
    assert f"off by up to {largest:.2f}," in evidence.in_numbers(evidence.show(one, entry))


def test_a_picture_marks_what_is_wrong():
    one = check.CHECKS["causal_mask"]
    entry = entry_of("causal_mask", "sees_one_step_ahead")
    drawn = pictures.picture(one, entry, evidence.show(one, entry))
    bug, right = re.findall(r"<table.*?</table>", drawn)
    assert "* is wrong" in bug
    assert bug.count("wrong") - 1 == bug.count("1*") == 4
    assert "*" not in right.replace("(* is wrong)", "")
    assert bug.count("<tr>") == right.count("<tr>") == 5
    assert "<caption>" in bug


def test_heads_are_drawn_by_numbers_that_say_where_they_come_from():
    one, entry = check.CHECKS["split_heads"], entry_of("split_heads", "split_interleaved")
    bug, right = re.findall(r"<table.*?</table>", pictures.picture(one, entry, evidence.show(one, entry)))
    assert re.findall(r">(\d+)\*?</td>", right)[3:6] == ["10", "11", "12"]
    assert re.findall(r">(\d+)\*?</td>", bug)[3:6] == ["10", "12", "14"]


def said_of_training(name, bug):
    one, entry = check.CHECKS[name], entry_of(name, bug)
    return training.in_training(one, entry, pages.shown(name, bug))


def test_measured_sentences_are_those_of_the_experiment():
    runs = load_result("bugs_in_training")["runs"]
    right = [run for run in runs if run["arm"].startswith("transformer right ")]
    low, high = (f(round(100 * run["exact_match"]) for run in right) for f in (min, max))
    assert len(right) == 5
    for name, bug in (("attention", "no_scaling"), ("decoder_layer", "causal_mask_forgotten")):
        (run,) = (run for run in runs if run["arm"].startswith(f"{name} {bug} "))
        said = said_of_training(name, bug)
        assert f"Held-out loss {run['loss']:.2f} (right: " in said
        assert f"); {100 * run['exact_match']:.0f} % of new numbers without a mistake" in said
        assert f"(right: {low} to {high} %)" in said
    assert "its loss looks right, and what it writes is wrong" in said
    assert said_of_training("attention", "mask_inverted").startswith("Measured: the loss of step 1 is NaN")
    assert said_of_training("combine_masks", "combined_by_sum") == "Measured: the first batch raises a `TypeError`."


def test_the_ends_are_counted_once_each():
    head, _, *rows = (line.strip("| ").split(" | ") for line in ends.table().splitlines())
    assert len(head) == 2 + len(ends.ENDS)
    counts = [[int(cell) for cell in row[1:]] for row in rows]
    assert all(row[0] == sum(row[1:]) for row in counts)
    assert counts[-1] == [sum(column) for column in zip(*counts[:-1], strict=True)]
    assert counts[-1][0] == len([run for run in load_result("bugs_in_training")["runs"] if " right " not in run["arm"]])


def test_what_the_finding_says():
    *_, total = (line.strip("| ").split(" | ") for line in ends.table().splitlines())
    bugs, *counts = map(int, total[1:])
    found = dict(zip(ends.ENDS, counts, strict=True))
    assert found["alike"] > bugs / 2
    assert found["error"] + found["nan"] < bugs / 5
    assert found["noise"] > 20
    silent = [("decoder_layer", "self_attention_missing"), ("feed_forward", "activation_missing")]
    silent += [("positional", "frequency_inverted"), ("multi_head", "single_head")]
    assert {ends.measured(*key)[0] for key in silent} == {"alike"}


def test_a_derived_no_difference_is_measured_too():
    """Whatever is said not to show in training was hardly to be told from the right one there."""
    silent = [(check.name, bug.name) for check, bug in pages._every() if bug.derived.startswith("Derived: not at all")]
    silent = [key for key in silent if key[0] in ends.checks()]
    assert len(silent) >= 10
    assert {ends.measured(*key)[0] for key in silent} == {"alike"}


def test_a_bug_that_was_not_trained_with_says_so(monkeypatch):
    """It does so in its own entry, and under the table."""
    for name, bug in (("loss", "sign_missing"), ("loss", "padding_counted")):
        runs = {check: dict(found) for check, found in ends._runs().items()}
        del runs[name][bug]
        monkeypatch.setattr(ends, "_runs", lambda runs=runs: runs)
        derived = entry_of(name, bug).derived
        assert said_of_training(name, bug) == f"Not trained with yet. {derived}".rstrip()
    last = guide("training").splitlines()[-1]
    assert last.startswith("Not trained with yet: ")
    assert "[padding counted](#guide-loss-padding-counted), [sign missing](#guide-loss-sign-missing)" in last


def rotated(bug):
    return check.CHECKS["rotary"].implementations(entry_of("rotary", bug))[0]


def test_derived_rotary_sentences():
    """What is said to leave all scores alone, does; and the other layout is the same with features renumbered."""
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 2, 5, 6, generator=generator).double() for _ in range(2))
    right = check.CHECKS["rotary"].right

    def scores(turn, query, key):
        return turn(x=query, start=0) @ turn(x=key, start=0).transpose(-2, -1)

    for bug in ("pairs_not_put_back", "rotary_positions_from_one"):
        assert torch.allclose(scores(rotated(bug), query, key), scores(right, query, key))
    assert torch.allclose(scores(rotated("one_position_for_all"), query, key), query @ key.transpose(-2, -1))
    order = torch.tensor([0, 2, 4, 1, 3, 5])  # pairs of neighbours become one feature of each half
    ours = scores(rotated("halves_for_pairs"), query[..., order], key[..., order])
    assert torch.allclose(ours, scores(right, query, key))


@pytest.mark.parametrize("bug", ["sines_then_cosines", "cosines_then_sines", "sine_and_cosine_swapped"])
def test_derived_layouts_are_permutations_of_the_features(bug):
    one = check.CHECKS["positional"]
    ours = one.implementations(entry_of("positional", bug))[0](length=7, d_model=6).double()
    right = one.expected(one.core[0])[:0].new_tensor(one.right(7, 6).tolist())
    close = torch.isclose(ours.T[:, None], right.T[None]).all(dim=-1)
    assert close.any(dim=0).all()
    assert close.any(dim=1).all()


def test_derived_numbers():
    softmax = torch.nn.functional.one_hot(torch.tensor([0]), 1000).double()
    lowest = float(torch.nn.functional.cross_entropy(softmax, torch.tensor([0])))
    assert f"{lowest:.2f}" == "5.91"
    assert f"{(511 / 512) ** 0.5:.3f}" == "0.999"
    x = torch.randn(2, 3, 5).double()
    swapped = entry_of("layer_norm", "gain_and_shift_swapped")
    (layer,) = check.CHECKS["layer_norm"].implementations(swapped)[:1]
    fresh = {"weight": torch.ones(5).double(), "bias": torch.zeros(5).double()}
    assert (layer(d_model=5, x=x, **fresh) == 1).all()


def test_a_page_without_the_mark_stays_as_it_is():
    assert field_guide.write("# A page\n\n% a comment\n", nowhere) == "# A page\n\n% a comment\n"


def test_links_lead_to_sections():
    text = field_guide.write("% field guide: padding_mask", lambda stem, heading: f"06_{stem}.ipynb#{len(heading)}")
    assert "See [chapter *masks*, “Padding”](06_masks.ipynb#7)." in text
    assert "See chapter *masks*, “Padding”." in guide("padding_mask")
