"""The scripts whose results are stored: each result is of the script as it stands, and a small run agrees with it."""

import importlib
from pathlib import Path

import pytest
import torch

from companion import NumberWords
from companion.checks import CHECKS, Bank
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


def test_wrong_masks(load_script, monkeypatch):
    """A decoder that sees the future learns faster than the right one, on held-out pairs too, and writes noise."""
    script = load_script("wrong_masks")
    monkeypatch.setattr(script, "NumberWords", lambda max_digits: NumberWords(max_digits=3, num_train=3000))
    small = script.run(seed=0, steps=120, arms=("right", "masked after softmax"), most=30)["arms"]
    right, wrong = small["right"], small["masked after softmax"]
    assert wrong["losses"][-1] < right["losses"][-1]
    assert wrong["exact_match"] == 0 < right["exact_match"]
    stored = load_result("wrong_masks")["runs"]
    assert len(stored) == 3
    for arms in (run["arms"] for run in stored):
        assert list(arms) == list(script.ARMS)
        for arm in script.IN_THE_DECODER:
            assert arms[arm]["losses"][9] < arms["right"]["losses"][9]
            assert arms[arm]["validation_loss"] < arms["right"]["validation_loss"]
            assert arms[arm]["exact_match"] == arms[arm]["exact_match_padded"] == 0
        for arm in ("right", "look-ahead in encoder"):
            assert arms[arm]["exact_match_padded"] == arms[arm]["exact_match"] > 0.98
        assert arms["source padding forgotten"]["exact_match"] > 0.98
        assert arms["source padding forgotten"]["exact_match_padded"] < 0.85


def test_wrong_masks_refuses_an_unknown_arm(load_script):
    with pytest.raises(ValueError, match="there is no arm 'left'; there are: right, no look-ahead mask"):
        load_script("wrong_masks").build("left", NumberWords(max_digits=1), seed=0)


def test_bugs_in_training_is_of_the_bank_as_it_stands(load_script):
    """A bug that was not trained with is no mistake, the guide says so; one that has changed since is."""
    stored, arms = load_result("bugs_in_training")["runs"], load_script("bugs_in_training").arms()
    assert [run["arm"] for run in stored] == [arm for arm in arms if arm in {run["arm"] for run in stored}]
    assert len(stored) > 500


def test_a_bug_is_the_same_under_another_name_and_with_other_words(load_script):
    script = load_script("bugs_in_training")
    bank = Bank(section="none")

    @bank.bug("A hint.")
    def shifted(x):
        """It is shifted."""
        return x + 1

    @bank.bug("Another hint.", also=(lambda x: x + 2,))
    def moved(x):
        """It is moved by one: do not
        move it."""
        return x + 1

    @bank.bug("A hint.")
    def moved_by_two(x):
        """It is shifted."""
        return x + 2

    one, same, other = map(script.fingerprint, bank)
    assert one == same != other


def test_right_code_makes_the_right_model_wherever_it_is_planted(load_script):
    script = load_script("bugs_in_training")
    task = NumberWords(max_digits=2)
    generator = torch.Generator().manual_seed(0)
    source_ids, target_ids = torch.randint(3, 40, (2, 4, 7), generator=generator)
    source_ids[1, 5:] = source_ids[2, 3:] = 0

    def logits(name):
        one = CHECKS[name]
        return script.plant(name, one.right, task, seed=0).eval()(source_ids, target_ids)

    others = {"rotary", "gru_cell", "rnn_cell", "additive_attention"}
    right = logits("loss")  # a loss leaves the model as it is
    for name in set(script.CHECKED) - others:
        torch.testing.assert_close(logits(name), right, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logits("additive_attention"), logits("gru_cell"), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(logits("rotary"), right, atol=0.1)


def test_a_planted_bug_begins_with_weights_of_its_own_for_each_layer(load_script):
    script, task = load_script("bugs_in_training"), NumberWords(max_digits=1)

    def weights(name, bug):
        (entry,) = (entry for entry in CHECKS[name].bank if entry.name == bug)
        model = script.plant(name, CHECKS[name].implementations(entry)[0].thing, task, seed=0)
        return {parameter.data_ptr(): parameter.sum().item() for parameter in model.parameters()}

    right = weights("attention", "no_scaling")  # it has no weights, and leaves the model its own
    for name, bug in (("multi_head", "heads_interleaved"), ("transformer", "first_layer_again_and_again")):
        assert sorted(weights(name, bug).values()) == sorted(right.values())
    assert len(weights("transformer", "one_layer_for_all")) < len(right)
    assert len(weights("transformer", "layers_cloned")) == len(right)


def test_bugs_in_training(load_script):
    """Seen in a few steps: what stops at once, what becomes NaN, and that a future that is seen lowers the loss."""
    script = load_script("bugs_in_training")

    def train(name, bug, steps):
        one = CHECKS[name]
        entry = next((entry for entry in one.bank if entry.name == bug), None)
        return script.train(name, one.implementations(entry)[0].thing if entry else one.right, steps=steps)

    assert train("combine_masks", "combined_by_sum", 1) == {"error": "TypeError", "at": "at step 1"}
    assert train("attention", "mask_inverted", 1) == {"not_finite_at_step": 1}
    assert train("decoder_layer", "causal_mask_forgotten", 60)["loss"] < train("decoder_layer", "right", 60)["loss"]
    right = [run for run in load_result("bugs_in_training")["runs"] if " right " in run["arm"]]
    assert len(right) == len(script.RIGHT) * len(script.SEEDS)
    for run in right:  # so few steps are enough for a Transformer, and just so for a recurrent network
        assert run["exact_match"] > (0.98 if run["arm"].split()[0] in ("transformer", "rotary") else 0.7)


def test_positions(load_script):
    """Where it is trained a causal mask alone tells the order; without it and without positions nobody sees it."""
    script = load_script("positions")
    small = script.run(seed=0, steps=600, arms=("none", "none, causal"), lengths=(4, 10))
    assert small["accuracy"]["none, causal"][1] > 0.8
    assert small["accuracy"]["none"][1] < 0.4
    stored = load_result("positions")["runs"]
    assert len(stored) == 3
    for run in stored:
        share = {arm: dict(zip(run["lengths"], right, strict=True)) for arm, right in run["accuracy"].items()}
        ordered = [share[arm] for arm in script.ARMS if arm != "none"]
        assert all(right[length] > 0.99 for right in ordered for length in (4, 6, 8, 10))
        assert max(share[arm][20] for arm in ("sinusoidal", "learned", "index")) < 0.7
        assert min(share[arm][20] for arm in ("rotary", "none, causal")) > 0.8
        assert min(share[arm][40] for arm in ("rotary", "none, causal")) > 0.5
        assert share["index"][40] < 0.2
        assert share["none"][10] < 0.4


def test_contextual(load_script):
    """The untrained encoder tells most places already, training adds to it, and a causal mask takes it away."""
    small = load_script("contextual").run(seed=1, steps=200, sentences=1000)
    stored = load_result("contextual")["runs"]
    assert len(stored) == 5
    for run in (small, *stored):
        first = run["probe"]["trained"]["embedding + position"]
        score = {name: by_layer["layer 2"] for name, by_layer in run["probe"].items()}
        assert score["trained"] > score["not trained"] > first + 0.1
        assert max(score["trained, causal mask"], score["not trained, causal mask"]) < 0.8
        assert run["cosine"]["trained"]["embedding"] == 1
        assert run["cosine"]["trained"]["layer 2"] < 0.9 < 0.95 < run["cosine"]["not trained"]["layer 2"]
