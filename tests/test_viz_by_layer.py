"""A word's vector, layer by layer: its numbers are the cosines of the vectors, and it says all without script."""

import re

import pytest
import torch

from companion import viz

SENTENCES = [["▁two", "▁hundred"], ["▁<b>two", "-", "six"]]
STATES = {
    "embedding": torch.tensor([[1.0, 0], [0, 2], [3, 0], [-1, 0], [3, 4]]),
    "layer 1": torch.randn(5, 3, generator=torch.Generator().manual_seed(0)),
}


@pytest.fixture(scope="module")
def html():
    return viz.WordByLayer(STATES, SENTENCES)._repr_html_()


def test_cosines_by_hand(html):
    assert viz.WordByLayer(STATES, SENTENCES).cosines[0, 0].tolist() == [100, 0, 100, -100, 60]
    shown = re.findall(r'"--number:(-?\d+)".*?<span>(-?[\d.]+)</span>', html)
    assert shown[2:] == [("100", "1.00"), ("-100", "-1.00"), ("60", "0.60")]
    assert "Most like it: &#x27;▁&lt;b&gt;two&#x27; (token 1 of sentence 2), cosine 1.00." in html


def test_the_table_has_every_layer(html):
    cells = [float(cell) for cell in re.findall(r"<td>(-?[\d.]+)</td>", html)]
    for column, vectors in enumerate(STATES.values()):
        right = torch.cosine_similarity(vectors[:1], vectors).tolist()
        assert cells[column::2] == pytest.approx(right, abs=5.2e-3)
    assert '<th scope="col">layer 1</th>' in html


def test_starts_at_the_picked_token():
    html = viz.WordByLayer(STATES, SENTENCES, picked=4)._repr_html_()
    assert '<div class="bar picked"><span>six</span>' in html
    assert "'six' (token 3 of sentence 2), embedding." in html.replace("&#x27;", "'")


def test_fetches_nothing_has_no_ids_and_is_the_same_again(html):
    assert html == viz.WordByLayer(STATES, SENTENCES)._repr_html_()
    assert not re.search(r'\s(id|src|href)="', html)
    assert "url(" not in html
    assert "http" not in html
    assert "<b>" not in html
    assert len(html) < 20_000
    assert 'aria-live="polite"' in html


def test_repr():
    assert repr(viz.WordByLayer(STATES, SENTENCES)) == "WordByLayer(layers=2, tokens=[2, 3])"


def test_one_token_alone_is_like_no_other():
    assert (
        "Most like it" not in viz.WordByLayer({"x": torch.ones(1, 2)}, [["one"]])._repr_html_().partition("<script")[0]
    )


@pytest.mark.parametrize(
    ("states", "picked", "message"),
    [
        ({}, 0, r"^need at least one layer and a picked token of 5, got 0 and 0$"),
        (STATES, 5, r"got 2 and 5$"),
        ({"x": torch.ones(4, 2)}, 0, r"^layer 'x' must have one vector for each of the 5 tokens, \(5, D\), got"),
        ({"x": torch.full((5, 2), torch.nan)}, 0, r"^layer 'x' holds NaN or infinity$"),
    ],
)
def test_refuses_what_does_not_fit(states, picked, message):
    with pytest.raises(ValueError, match=message):
        viz.WordByLayer(states, SENTENCES, picked)
