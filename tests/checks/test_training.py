"""`check.schedule` and `check.loss`."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import companion
from companion import check
from companion.checks.training import LOSS

# --- schedule


def schedule_branches(step, d_model, warmup_steps):
    if step < warmup_steps:
        return step / (math.sqrt(d_model) * warmup_steps**1.5)
    return 1 / math.sqrt(d_model * step)


def schedule_peak(step, d_model, warmup_steps):
    peak = 1 / math.sqrt(d_model * warmup_steps)
    return peak * min(step / warmup_steps, math.sqrt(warmup_steps / step))


SCHEDULES = [
    schedule_branches,
    schedule_peak,
    lambda step, d_model, warmup_steps: d_model**-0.5 * min(step**-0.5, step * warmup_steps**-1.5),
    lambda step, d_model, warmup_steps: (d_model * max(step, 1)) ** -0.5 * min(1.0, (step / warmup_steps) ** 1.5),
    lambda step, d_model, warmup: math.exp(-0.5 * math.log(d_model * step) + 1.5 * min(0.0, math.log(step / warmup))),
    lambda step, d_model, warmup: torch.tensor([step**-0.5, step * warmup**-1.5]).double().min() / d_model**0.5,
    lambda step, d_model, warmup: pow(d_model, -0.5) * sorted((pow(step, -0.5), step * pow(warmup, -1.5)))[0],
    lambda step, d_model, warmup: 1 / math.sqrt(d_model) / max(math.sqrt(step), warmup**1.5 / step),
    lambda step, d_model, warmup: torch.tensor(d_model * 1.0).double().rsqrt() * min(step**-0.5, step / warmup**1.5),
    lambda step, d_model, warmup: (step / d_model) ** 0.5 * min(1 / step, step**0.5 / warmup**1.5),
]  # fmt: skip


@pytest.mark.parametrize("function", SCHEDULES)
def test_right_schedules_pass(function):
    assert repr(check.schedule(function)) == "schedule: passed."


def test_the_companions_schedule_is_the_papers():
    for probe in check.CHECKS["schedule"].probes:
        step, d_model, warmup_steps = probe.inputs.values()
        expected = float(check.CHECKS["schedule"].expected(probe))
        rate = companion.inverse_sqrt_rate(step, warmup_steps, peak_rate=(d_model * warmup_steps) ** -0.5)
        assert rate == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("function", "fact"),
    [
        (
            lambda s, d, w: d**-0.5 * min(1, s / w) * w**-0.5 * 0.99 ** max(0, s - w),
            "After the warm-up your rate falls exponentially",
        ),
        (lambda s, d, w: d**-0.5 * min(s**-0.5, s**2 * w**-2.5), "From step 1 to step 2 your rate is multiplied by 4;"),
        (lambda s, d, w: d**-0.5 * min(s**-0.5, s * (3 * w) ** -1.5), "With 100 warm-up steps your rate is higher at"),
    ],
)
def test_unknown_schedules_are_rejected_with_facts_and_without_a_name(function, fact):
    report = check.schedule(function, raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert any(line.startswith(fact) for line in report.facts), report.facts


def test_a_constant_factor_is_told():
    report = check.schedule(lambda step, d_model, warmup: 2 * schedule_peak(step, d_model, warmup), raises=False)
    assert report.message == "Your output is 2 times the right one."


def test_a_schedule_that_returns_something_else_is_told():
    report = check.schedule(lambda step, d_model, warmup: "small", raises=False)
    assert report.message == "Your function returned a str; a number is expected."


# --- loss


def loss_loops(logits, targets, pad_id):
    losses = []
    for sentence, wanted in zip(logits, targets, strict=True):
        for position, token in zip(sentence, wanted, strict=True):
            if token != pad_id:
                losses.append(torch.logsumexp(position, dim=0) - position[token])
    return torch.stack(losses).mean()


def loss_one_hot(logits, targets, pad_id):
    wanted = F.one_hot(targets, logits.size(-1)) * (targets != pad_id)[..., None]
    return -(wanted * F.log_softmax(logits, -1)).sum() / wanted.sum()


def loss_selected(logits, targets, pad_id):
    real = targets != pad_id
    return F.cross_entropy(logits[real], targets[real])


def loss_by_hand(logits, targets, pad_id):
    shifted = logits - logits.amax(dim=-1, keepdim=True)
    log_probs = shifted - shifted.exp().sum(dim=-1, keepdim=True).log()
    real = (targets != pad_id).to(logits.dtype)
    return -(log_probs.gather(2, targets.unsqueeze(2)).squeeze(2) * real).sum() / real.sum()


LOSSES = [
    loss_loops,
    loss_one_hot,
    loss_selected,
    loss_by_hand,
    lambda logits, targets, pad_id: F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=pad_id),
    lambda logits, targets, pad_id: F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=pad_id),
    lambda logits, targets, pad_id: nn.CrossEntropyLoss(ignore_index=pad_id)(logits.mT, targets),
    lambda logits, targets, pad_id: F.nll_loss(logits.log_softmax(-1).mT, targets, ignore_index=pad_id),
    lambda logits, targets, pad_id: F.cross_entropy(logits.log_softmax(-1).mT, targets, ignore_index=pad_id),
    lambda logits, targets, pad_id: F.cross_entropy(logits.mT, targets, reduction="none")[targets != pad_id].mean(),
    lambda logits, targets, pad_id: F.cross_entropy(logits.float().mT, targets, ignore_index=pad_id).double(),
]


@pytest.mark.parametrize("function", LOSSES)
def test_right_losses_pass(function):
    assert repr(check.loss(function)) == "loss: passed."


def test_the_first_loss_is_worked_by_hand():
    even = torch.zeros(1, 2, 5, dtype=torch.float64)
    assert float(LOSS.right(even, torch.tensor([[3, 0]]), 0)) == pytest.approx(math.log(5))


def test_log_of_softmax_passes_with_a_warning():
    def naive(logits, targets, pad_id):
        return F.nll_loss(logits.softmax(-1).log().mT, targets, ignore_index=pad_id)

    report = check.loss(naive)
    assert report.passed
    assert report.warnings[0].startswith("With large logits your loss is not finite: a probability becomes 0, and its")


def test_a_loss_that_leaves_torch_is_told():
    report = check.loss(lambda logits, targets, pad_id: loss_by_hand(logits, targets, pad_id).item(), raises=False)
    assert report.message.startswith("Your function returned a float; a torch tensor is expected (.item(), .tolist()")


@pytest.mark.parametrize(
    ("function", "fact"),
    [
        (lambda x, y, p: loss_by_hand(x, y, p) + 0.01 * x.square().mean(), "Changing the logits at a padded position"),
        (lambda x, y, p: loss_by_hand(-x, y, p), "Raising the logit of a right target does not lower your loss"),
        (lambda x, y, p: loss_by_hand(x[:, :-1], y[:, :-1], p), "On a padded batch with pad_id 0 your loss is"),
    ],
)
def test_unknown_losses_are_rejected_with_facts_and_without_a_name(function, fact):
    report = check.loss(function, raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert any(line.startswith(fact) for line in report.facts), report.facts


def test_a_detached_loss_is_told():
    report = check.loss(lambda logits, targets, pad_id: loss_by_hand(logits.detach(), targets, pad_id), raises=False)
    assert report.message.startswith("Your output is right, but it is detached: no gradient can flow back from it.")


def test_a_capped_loss_is_told():
    def loss(logits, targets, pad_id):
        return F.nll_loss((logits.softmax(-1) + 1e-20).log().mT, targets, ignore_index=pad_id)

    report = check.loss(loss, raises=False)
    assert report.message.startswith(
        "It is right, except on large logits. There a probability rounds to 0, and your loss"
    )


def test_the_fact_about_a_loss_shows_a_difference():
    report = check.loss(lambda logits, targets, pad_id: loss_by_hand(logits, targets, 0), raises=False)
    assert report.bugs == ("loss_takes_pad_id_for_zero",)
    assert report.facts == ("On a padded batch with pad_id 4 your loss is 3.7490; it should be 3.7478.",)


def test_a_rate_of_zero_is_told():
    report = check.schedule(
        lambda step, d_model, warmup: d_model**-0.5 * min(step**-0.5, step // warmup**1.5), raises=False
    )
    assert report.bugs == ()
    assert "With 100 warm-up steps your rate is 0 at step 1; it never is." in report.facts


RIGHT_ANSWERS = {"loss": LOSSES, "schedule": SCHEDULES}


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (
            lambda step, d_model, warmup_steps: 1e-3 * min(step / warmup_steps, (warmup_steps / step) ** 0.5),
            "1.43 times the right one with d_model 512 and warmup_steps 4000, and 0.02 times the right one with",
        ),
        (
            lambda step, d_model, warmup_steps: d_model**-0.25 * min(step**-0.5, step * warmup_steps**-1.5),
            "4.76 times the right one with d_model 512 and warmup_steps 4000, and 2.83 times the right one with",
        ),
    ],
)
def test_a_rate_of_the_right_shape_and_another_height_is_told_by_its_factors(function, said):
    report = check.schedule(function, raises=False)
    assert report.bugs == ()
    assert any(said in fact and fact.endswith("its shape is right, and its height is not.") for fact in report.facts)
