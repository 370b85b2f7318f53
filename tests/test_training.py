import itertools
import math
import re

import pytest
import torch

from companion import (
    Trainer,
    TrainingConfig,
    Transformer,
    TransformerConfig,
    TranslationTask,
    exact_match,
    inverse_sqrt_rate,
)
from companion.generation import translate
from tests.helpers import parameters_equal, small_task


def trainer(steps=7, task=None, max_len=64, dropout=0.1, **changes):
    """A trainer on a small model whose weights are the same each time."""
    task = task or small_task()
    torch.manual_seed(3)
    sizes = {"d_model": 10, "num_heads": 5, "d_ff": 13, "num_encoder_layers": 1, "num_decoder_layers": 1}
    vocabularies = len(task.source_tokenizer), len(task.target_tokenizer)
    model = Transformer(TransformerConfig(*vocabularies, max_len=max_len, dropout=dropout, **sizes))
    training = {"steps": steps, "batch_size": 17, "peak_rate": 0.005, "warmup_steps": 5, "label_smoothing": 0.1}
    return Trainer(model, task, TrainingConfig(**{**training, **changes}))


def test_the_rate_by_hand():
    rates = [inverse_sqrt_rate(step, warmup_steps=4, peak_rate=1.0) for step in (1, 2, 4, 16, 64)]
    assert rates == [0.25, 0.5, 1.0, 0.5, 0.25]
    with pytest.raises(ValueError, match="steps are counted from 1, got 0"):
        inverse_sqrt_rate(0, 4, 1.0)


@pytest.mark.parametrize("step", [1, 2, 3999, 4000, 4001, 100_000])
def test_the_rate_is_equation_3_of_the_paper(step):
    expected = 512**-0.5 * min(step**-0.5, step * 4000**-1.5)
    assert inverse_sqrt_rate(step, 4000, (512 * 4000) ** -0.5) == pytest.approx(expected, rel=1e-12)


def test_each_step_has_its_rate():
    rates = []
    trained = trainer(peak_rate=0.01)
    trained.run([lambda t: rates.append(t.optimizer.param_groups[0]["lr"])], progress=False)
    assert rates == [inverse_sqrt_rate(step, 5, 0.01) for step in range(1, 8)]


def test_the_optimizer_is_the_papers():
    group = trainer().optimizer.param_groups[0]
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.9, 0.98), 1e-9, 0)


def test_the_first_step_by_hand():
    trained = trainer(steps=1, dropout=0.0, clip_norm=0.01)
    before = {name: parameter.detach().clone() for name, parameter in trained.model.named_parameters()}
    batch = next(trained._remaining_batches())
    expected = trained.model.loss(batch.source_ids, batch.target_ids, 0.1)
    gradients = torch.autograd.grad(expected, list(trained.model.parameters()))
    norm = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))
    assert trained.run(progress=False) == [pytest.approx(expected.item())]
    for (name, parameter), gradient in zip(trained.model.named_parameters(), gradients, strict=True):
        gradient = gradient * (0.01 / norm)
        # Adam's first step: both averages are bias-corrected to the gradient and its square.
        update = 0.001 * gradient / (gradient.abs() + 1e-9)
        torch.testing.assert_close(parameter, before[name] - update, atol=1e-6, rtol=1e-4)


def test_the_same_seed_repeats_bit_for_bit():
    first, second, other = trainer(), trainer(), trainer(seed=1)
    assert first.run(progress=False) == second.run(progress=False) != other.run(progress=False)
    assert parameters_equal(first.model, second.model)
    assert not parameters_equal(first.model, other.model)


@pytest.mark.parametrize("stop", [0, 1, 6, 12])
def test_stopped_and_resumed_is_as_in_one_go(stop):
    whole = trainer(steps=13)
    whole.run(progress=False)
    stopped = trainer(steps=13)

    def interrupt(trained):
        if trained.step == stop:
            raise KeyboardInterrupt

    if stop:
        with pytest.raises(KeyboardInterrupt):
            stopped.run([interrupt], progress=False)
    resumed = trainer(steps=13)
    resumed.load_state({name: tensor.clone() for name, tensor in stopped.state().items()})
    assert resumed.step == stop
    assert resumed.run(progress=False) == whole.losses
    assert parameters_equal(resumed.model, whole.model)
    assert parameters_equal(resumed.averaged_model(), whole.averaged_model())


def test_a_longer_run_goes_on_from_a_shorter_one():
    whole, short = trainer(steps=13), trainer(steps=6)
    whole.run(progress=False)
    short.run(progress=False)
    longer = trainer(steps=13)
    longer.load_state(short.state())
    longer.run(progress=False)
    assert parameters_equal(longer.model, whole.model)
    assert longer.run(progress=False) == whole.losses  # nothing is left to do


def test_state_of_another_model_is_refused():
    state = trainer(steps=2)
    state.run(progress=False)
    missing = state.state()
    del missing["target_embedding.weight/exp_avg"]
    with pytest.raises(ValueError, match=r"of another model: target_embedding.weight/exp_avg has shape None, expected"):
        trainer().load_state(missing)
    wrong = state.state() | {"target_embedding.weight/exp_avg": torch.zeros(3)}
    refusing = trainer()
    with pytest.raises(ValueError, match=r"target_embedding.weight/exp_avg has shape \(3,\), expected \(\d+, \d+\)"):
        refusing.load_state(wrong)
    assert refusing.step == 0
    assert parameters_equal(refusing.model, trainer().model)


def test_frozen_parameters_stay_and_the_rest_goes_on_as_in_one_go():
    def half_frozen(steps):
        trained = trainer(steps=steps)
        trained.model.encoder.requires_grad_(False)
        return trained

    whole, short, longer = half_frozen(9), half_frozen(4), half_frozen(9)
    whole.run(progress=False)
    short.run(progress=False)
    state = short.state()
    frozen = {name for name in state if name.startswith("encoder.")}
    assert {name.partition("/")[2] for name in frozen} == {"weight", "average"}
    longer.load_state(state)
    assert longer.run(progress=False) == whole.losses
    assert parameters_equal(longer.model, whole.model)
    assert parameters_equal(longer.model.encoder, trainer().model.encoder)
    assert parameters_equal(longer.averaged_model(), whole.averaged_model())


def test_loading_forgets_what_the_optimizer_knew():
    whole, used = trainer(steps=5), trainer(steps=5)
    fresh = {name: tensor.clone() for name, tensor in used.state().items()}
    used.run(progress=False)
    used.load_state(fresh)
    assert used.run(progress=False) == whole.run(progress=False)
    assert parameters_equal(used.model, whole.model)


@pytest.mark.parametrize("compiled", [("first",), ("second",), ("first", "second")], ids=str)
def test_the_state_of_a_compiled_model_is_that_of_the_model(compiled):
    def maybe_compiled(steps, which):
        trained = trainer(steps=steps)
        if which in compiled:
            trained.model = torch.compile(trained.model, backend="eager")
        return trained

    whole, first, second = trainer(steps=5), maybe_compiled(2, "first"), maybe_compiled(5, "second")
    whole.run(progress=False)
    first.run(progress=False)
    second.load_state(first.state())
    assert second.run(progress=False) == whole.losses
    assert second.state().keys() == whole.state().keys()
    assert all(torch.equal(second.state()[name], tensor) for name, tensor in whole.state().items())


def test_the_average_by_hand():
    """The mean of all weights while there are few, then one fiftieth of the way to the new ones each time."""
    trained, seen = trainer(steps=53), []
    trained.run([lambda trained: seen.append(next(trained.model.parameters()).detach().clone())], progress=False)
    expected = torch.stack(seen[:50]).mean(0)
    for weights in seen[50:]:
        expected = expected + (weights - expected) / 50
    averaged = trained.averaged_model()
    torch.testing.assert_close(next(averaged.parameters()), expected)
    assert not averaged.training
    assert not torch.equal(next(trained.model.parameters()), expected)  # the model itself goes on from where it was


def test_the_callers_random_state_stays():
    trained = trainer()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained.run(progress=False)
    assert torch.equal(torch.rand(3), expected)


def test_callbacks_see_every_step_and_may_decode():
    seen, texts = [], []

    def look(trained):
        seen.append((trained.step, len(trained.losses), trained.model.training))
        texts.append(translate(trained.model, small_task(), ["one"])[0])
        torch.rand(1)  # and may draw numbers

    watched, alone = trainer(), trainer()
    watched.run([look], progress=False)
    assert seen == [(step, step, True) for step in range(1, 8)]
    assert len(texts) == 7
    alone.run(progress=False)
    assert parameters_equal(watched.model, alone.model)


def test_every_pair_once_in_every_epoch():
    trained = trainer(steps=18)  # 100 pairs in batches of 17: 6 an epoch
    batches = list(itertools.islice(trained._remaining_batches(), 6))
    rows = sorted(tuple(filter(None, row)) for batch in batches for row in batch.target_ids.tolist())
    assert rows == sorted(tuple(target) for _, target in trained.encoded)


def test_plain_lines_where_there_is_no_terminal(capsys):
    trainer(steps=20).run()
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 10
    assert all(re.fullmatch(r"step [ \d]\d of 20 · loss \d\.\d\d", line) for line in lines)
    assert lines[-1].startswith("step 20 of 20")
    assert not err
    trainer(steps=3).run(progress=False)
    assert capsys.readouterr().out == ""


def test_pairs_that_do_not_fit_are_left_out_and_counted():
    pairs = [("one", "eins")] * 3 + [("one " * 40, "eins"), ("one", "eins " * 40)]
    tokenizers = small_task().source_tokenizer, small_task().target_tokenizer
    trained = trainer(task=TranslationTask(pairs, [], [], *tokenizers), max_len=13)
    assert trained.left_out == 2
    assert trained.run(progress=False)
    with pytest.raises(ValueError, match=r"no pair of the 2 to train on fits the model's max_len \(13\)"):
        trainer(task=TranslationTask(pairs[3:], [], [], *tokenizers), max_len=13)


def test_the_longest_pairs_that_fit_are_learned():
    task = small_task()
    longest = max(
        max(len(task.source_tokenizer.encode(s)), len(task.target_tokenizer.encode(t))) for s, t in task.train
    )
    assert trainer(task=task, max_len=longest).left_out == 0
    trainer(task=task, max_len=longest, steps=6).run(progress=False)


def test_a_loss_that_is_not_finite_stops_before_the_weights_are_spoilt():
    trained = trainer()
    with torch.no_grad():
        trained.model.target_embedding.weight[5:] = math.inf
    before = trained.model.encoder.layers[0].self_attention.q_proj.weight.clone()
    with pytest.raises(FloatingPointError, match=r"the loss of step 1 is nan: lower peak_rate \(0.005\)"):
        trained.run(progress=False)
    assert torch.equal(before, trained.model.encoder.layers[0].self_attention.q_proj.weight)
    assert trained.step == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be more than 0, got 0"),
        ({"batch_size": -1}, "batch_size must be more than 0, got -1"),
        ({"peak_rate": math.nan}, "peak_rate must be more than 0, got nan"),
        ({"steps": 1.5}, r"steps must be a whole number \(int\), got 1\.5 \(float\)"),
        ({"steps": "5"}, r"steps must be a whole number \(int\), got '5' \(str\)"),
        ({"warmup_steps": True}, r"warmup_steps must be a whole number \(int\), got True \(bool\)"),
        ({"seed": None}, r"seed must be a whole number \(int\), got None \(NoneType\)"),
        ({"peak_rate": "1e-3"}, r"peak_rate must be a number \(float\), got '1e-3' \(str\)"),
        ({"peak_rate": math.inf}, "peak_rate must be a finite number, got inf"),
        ({"clip_norm": math.nan}, "clip_norm must be more than 0, got nan"),
        ({"label_smoothing": 1.0}, r"label_smoothing must be at least 0 and less than 1, got 1\.0"),
    ],
    ids=str,
)
def test_values_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**changes)


def test_it_learns():
    trained = trainer(steps=60, batch_size=50, dropout=0.0, peak_rate=0.01)
    losses = trained.run(progress=False)
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


@pytest.mark.slow
def test_the_running_example_translates_numbers_it_never_saw():
    from companion import NumberWords

    task = NumberWords()
    torch.manual_seed(0)
    model = Transformer(TransformerConfig.tiny(len(task.source_tokenizer), len(task.target_tokenizer)))
    Trainer(model, task).run(progress=False)
    assert len(task.test) == 1000
    assert not {source for source, _ in task.test} & {source for source, _ in task.train}
    assert exact_match(model, task, task.test) >= 0.99
    assert translate(model, task, ["twenty-one"]) == ["einundzwanzig"]
