"""The axes of a norm: what it computes for every choice, what it writes, and that a re-run gives the same bytes."""

import json

import pytest
import torch

from companion import viz
from companion.add_norm import LayerNorm
from tests.helpers import Page

LENGTHS = [4, 2, 3]


@pytest.fixture
def x():
    return torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 + 1


@pytest.fixture
def choices(x):
    running = (torch.full((5,), 0.5), torch.full((5,), 4.0))
    return {choice.name: choice for choice in viz.NormAxes(x, LENGTHS, running=running)._choices()}


def test_outputs_are_the_companions_and_torchs(x, choices):
    assert torch.equal(choices["none"].output, x)
    assert torch.allclose(choices["layer norm"].output, LayerNorm(5).double()(x))
    assert torch.allclose(choices["RMS norm"].output, torch.nn.RMSNorm(5, eps=1e-5).double()(x))
    batch_norm = torch.nn.BatchNorm1d(5).double()
    right = batch_norm(x.transpose(1, 2)).transpose(1, 2)
    assert torch.allclose(choices["batch norm, training"].output, right)
    batch_norm.running_mean.fill_(0.5)
    batch_norm.running_var.fill_(4.0)
    right = batch_norm.eval()(x.transpose(1, 2)).transpose(1, 2)
    assert torch.allclose(choices["batch norm, inference"].output, right)


def test_without_padding_the_real_tokens_alone_are_normalised(x, choices):
    choice = choices["batch norm without padding, training"]
    real = torch.arange(4) < torch.tensor(LENGTHS)[:, None]
    assert torch.equal(choice.counted.all(-1), real)
    assert torch.allclose(choice.output[real].mean(0), torch.zeros(5, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(choice.output[real], torch.nn.BatchNorm1d(5).double()(x[real]))


@pytest.mark.parametrize(
    "name", ["layer norm", "RMS norm", "batch norm, training", "batch norm without padding, training"]
)
def test_the_marked_numbers_are_those_that_the_statistics_hang_on(x, choices, name):
    """A number is marked exactly if moving it moves the variance, or the mean of the squares."""
    point = x.clone().requires_grad_()
    choice = next(choice for choice in viz.NormAxes(x, LENGTHS)._choices() if choice.name == name)
    for cell in (0, 7, 30):
        group = (choice.group == choice.group.flatten()[cell]) & choice.counted
        taken = point[group]
        spread = taken.square().mean() if choice.mean is None else taken.var(unbiased=False)
        assert torch.isclose(spread, choice.spread.expand_as(x).flatten()[cell])
        if choice.mean is not None:
            assert torch.isclose(taken.mean(), choice.mean.expand_as(x).flatten()[cell])


def test_writes_the_numbers_as_tables(x):
    picture = viz.NormAxes(x, LENGTHS)
    assert repr(picture) == "NormAxes(x=(3, 4, 5), lengths=[4, 2, 3])"
    page = Page(picture._repr_html_())
    shown = page.texts["td"]
    assert len(shown) == 60 * 6
    assert max(abs(float(text) - value) for text, value in zip(shown, x.flatten(), strict=False)) <= 0.00501
    layer_norm = LayerNorm(5).double()(x).flatten()
    assert max(abs(float(text) - value) for text, value in zip(shown[60:120], layer_norm, strict=True)) <= 0.00501
    assert len([row for row in page.of("tr") if row.get("class") == "pad"]) == 3 * 6
    assert page.texts["caption"][1] == "After layer norm"
    (root,) = [attrs for attrs in page.of("div") if "data-picture" in attrs]
    data = json.loads(root["data-picture"])
    assert data["x"] == [round(float(text) * 100) for text in shown[:60]]
    assert data["choices"][1]["out"] == [round(float(text) * 100) for text in shown[60:120]]
    assert data["choices"][-1]["group"] is None


def test_bytes_do_not_hang_on_the_last_digit():
    x = torch.tensor([2.0, 0.0, 1.0, 1.0, 0.5, -1.0, 3.0, 0.25]).view(1, 2, 4)
    assert len({viz.NormAxes(x + shift)._repr_html_() for shift in (-1e-7, 0.0, 1e-7)}) == 1


def test_escapes_its_title_fetches_nothing_has_no_ids_and_is_small(x):
    html = viz.NormAxes(x, LENGTHS, title="<b>")._repr_html_()
    assert "<b>" not in html
    assert not {"src", "href", "id"} & {name for _, attrs in Page(html).tags for name in attrs}
    assert "url(" not in html
    assert "http" not in html
    assert len(html) < 40_000


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (torch.zeros(3, 4), {}, r"^x must have shape \(batch, length, features\), got \(3, 4\)$"),
        (torch.full((1, 2, 3), float("nan")), {}, "NaN or infinity"),
        (torch.zeros(2, 3, 4), {"lengths": [3]}, r"^lengths must be 2 numbers from 0 to 3"),
        (torch.zeros(2, 3, 4), {"lengths": [4, 1]}, r"^lengths must be 2 numbers from 0 to 3"),
        (torch.zeros(1, 3, 4), {"running": (torch.zeros(3), torch.ones(3))}, "of 4 features each"),
    ],
)
def test_a_wrong_batch_is_refused_in_words(x, options, message):
    with pytest.raises(ValueError, match=message):
        viz.NormAxes(x, **options)
