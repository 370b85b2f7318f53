"""The experiment `bugs_in_training`: a small run and the stored ones say the same."""

import pytest
import torch

from companion import NumberWords
from companion.checks import CHECKS, Bank
from companion.results import load_result


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
    """Seen in a few steps: what stops at once, what becomes NaN, and that a loss does not tell who sees the future."""
    script = load_script("bugs_in_training")

    def train(name, bug, steps):
        one = CHECKS[name]
        entry = next((entry for entry in one.bank if entry.name == bug), None)
        return script.train(name, one.implementations(entry)[0].thing if entry else one.right, steps=steps)

    assert train("combine_masks", "combined_by_sum", 1) == {"error": "TypeError", "at": "at step 1"}
    assert train("attention", "mask_inverted", 1) == {"not_finite_at_step": 1}
    leaking, whole = (train("decoder_layer", name, 100) for name in ("causal_mask_forgotten", "right"))
    assert leaking["loss"] == pytest.approx(whole["loss"], abs=0.15)
    assert leaking["exact_match"] == 0 < 0.2 < whole["exact_match"]
    right = [run for run in load_result("bugs_in_training")["runs"] if " right " in run["arm"]]
    assert len(right) == len(script.RIGHT) * len(script.SEEDS)
    for run in right:  # so few steps are enough for a Transformer, and just so for a recurrent network
        assert run["exact_match"] > (0.98 if run["arm"].split()[0] in ("transformer", "rotary") else 0.7)
