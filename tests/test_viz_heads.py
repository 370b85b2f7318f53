"""All heads side by side: what the picture draws, what it says in words, and that a re-run gives the same bytes."""

import json
from html import unescape

import pytest
import torch

from companion import viz
from companion.viz._weights import hundredths
from tests.helpers import Page

QUERIES, KEYS = ["ein", "und", "zwanzig"], ["twenty", "-", "one", "<eos>", "a"]


@pytest.fixture
def weights():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 5, generator=generator).softmax(dim=-1)


def digits(numbers):
    return [f"{number / 100:.2f}" for number in hundredths(numbers.double().numpy()).flatten()]


def test_draws_the_first_query_of_every_head_and_of_their_mean(weights):
    picture = viz.HeadsSideBySide(weights[None], QUERIES, KEYS, title="Crossing")
    assert repr(picture) == "HeadsSideBySide(heads=2, query_tokens=3, key_tokens=5)"
    page = Page(picture._repr_html_())
    assert [panel["aria-label"] for panel in page.of("div", "panel")] == ["head 1", "head 2", "mean of the heads"]
    shown = digits(torch.cat([weights[:, 0], weights.mean(0)[:1]]))
    assert page.texts["span"] == [part for at, number in enumerate(shown) for part in (KEYS[at % 5], number)]
    assert [bar["style"] for bar in page.of("div", "fill")] == [
        f"--number:{round(float(number) * 100)}" for number in shown
    ]
    assert {"aria-live": "polite", "class": "sentence"} in page.of("p")


def test_the_table_has_every_number(weights):
    page = Page(viz.HeadsSideBySide(weights, QUERIES, KEYS)._repr_html_())
    with_mean = torch.cat([weights, weights.mean(0, keepdim=True)])
    assert page.texts["td"] == digits(with_mean.transpose(0, 1))
    assert page.texts["th"][:7] == ["asks", "head", *KEYS]
    assert page.texts["th"][7:11] == ["ein", "head 1", "ein", "head 2"]


def test_the_script_gets_the_same_numbers_as_the_table(weights):
    page = Page(viz.HeadsSideBySide(weights, QUERIES, KEYS)._repr_html_())
    (root,) = [attrs for attrs in page.of("div") if "data-picture" in attrs]
    numbers = torch.tensor(json.loads(root["data-picture"])["numbers"]).view(3, 3, 5).transpose(0, 1).flatten()
    assert [f"{number / 100:.2f}" for number in numbers.tolist()] == page.texts["td"]


def test_one_head_has_no_mean():
    html = viz.HeadsSideBySide(torch.eye(2), ["a", "b"])._repr_html_()
    assert [panel["aria-label"] for panel in Page(html).of("div", "panel")] == ["head 1"]


def test_the_mean_is_that_of_the_weights_not_of_their_digits():
    heads = torch.tensor([[[0.004, 0.996]], [[0.004, 0.996]], [[0.007, 0.993]]], dtype=torch.float64)
    assert viz.HeadsSideBySide(heads, ["q"], ["a", "b"]).numbers[-1].tolist() == [[1, 100]]


def test_bytes_do_not_hang_on_the_last_digit():
    eighths = torch.full((2, 8, 8), 1 / 8, dtype=torch.float64)
    html = [viz.HeadsSideBySide(eighths + shift, list("abcdefgh"))._repr_html_() for shift in (-1e-7, 0.0, 1e-7)]
    assert len(set(html)) == 1


def test_escapes_tokens():
    html = viz.HeadsSideBySide(torch.eye(2), ["<script>alert(1)</script>", "\"'&"], title="<b>")._repr_html_()
    assert "alert(1)</script>" not in html
    assert "<b>" not in html
    assert '"queries":["<script>alert(1)</script>","\\"\'&"]' in unescape(html)


def test_fetches_nothing_has_no_ids_and_is_small(weights):
    html = viz.HeadsSideBySide(torch.eye(12).expand(8, 12, 12), [f"token{n}" for n in range(12)])._repr_html_()
    assert not {"src", "href", "id"} & {name for _, attrs in Page(html).tags for name in attrs}
    assert "url(" not in html
    assert "http" not in html
    assert len(html) < 60_000


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (torch.zeros(2, 1, 3, 5), r"weights of shape \(2, 1, 3, 5\) hold 2 sequences: pass one of them"),
        (torch.zeros(2, 5, 5), r"weights have 5 rows but 3 query tokens were given"),
        (torch.full((3, 5), 2.0), r"weights must lie between 0 and 1"),
    ],
)
def test_wrong_weights_are_refused_in_words(wrong, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        viz.HeadsSideBySide(wrong, QUERIES, KEYS)
