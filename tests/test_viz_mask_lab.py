"""The mask laboratory: what it draws, what it says in words, and that its script computes what the companion does."""

import math

import pytest
import torch

from companion import viz
from companion.attention import attention_weights
from companion.masks import causal_mask
from companion.viz._weights import hundredths
from tests.helpers import Page

TOKENS = ["twenty", "-", "one", "<eos>"]
SCORES = torch.tensor([[2.0, 0.5, -1.25, 0.0], [0.0, 1.0, 2.0, 3.0], [0.75, -0.5, 0.25, 4.0], [1.0, 1.0, 1.0, 1.0]])


def of_companion(scores, mask):
    """The companion's weights of these scores: with identity keys, query · key / √K is the score itself."""
    num_keys = scores.size(-1)
    scores = scores.double() * math.sqrt(num_keys)
    weights = attention_weights(scores, torch.eye(num_keys, dtype=torch.float64), mask)
    return [[f"{number / 100:.2f}" for number in row] for row in hundredths(weights.numpy())]


def test_draws_causal_and_padding_with_the_companions_weights():
    lab = viz.MaskLab(SCORES, TOKENS)
    assert repr(lab) == "MaskLab(query_tokens=4, key_tokens=4, padding=1, causal=True)"
    page = Page(lab._repr_html_())
    mask = torch.ones(4, 4, dtype=torch.bool).tril()
    mask[:, 3] = False
    assert torch.equal(lab.mask(), mask)
    expected = sum(of_companion(SCORES, mask), [])
    assert page.texts["td"][:16] == expected
    assert page.texts["td"][16:] == [f"{score:.2f}" for score in SCORES.flatten().tolist()]
    assert [g["class"] for g in page.of("g") if "cell" in g.get("class", "").split()] == [
        "cell" if allowed else "cell no" for allowed in mask.flatten()
    ]
    (svg,) = page.of("svg")
    assert svg["role"] == "img"
    assert svg["aria-label"] == (
        "A mask with the weights it leaves: 1 of 4 keys are padding, look-ahead mask on. Rows: twenty, -, one, <pad>. "
        "Columns: twenty, -, one, <pad>. The numbers are in the table below."
    )


def test_a_query_with_nothing_left_gets_zeros():
    lab = viz.MaskLab(SCORES[:, :2], TOKENS, ["a", "b"], padding=0)  # more queries than keys
    shown = Page(lab._repr_html_()).texts["td"][:8]
    assert shown == sum(of_companion(SCORES[:, :2], causal_mask(4, 2)), [])
    assert shown[:4] == ["0.00"] * 4


def test_bytes_do_not_hang_on_the_last_digit():
    html = [viz.MaskLab(SCORES + shift, TOKENS)._repr_html_() for shift in (-1e-7, 0.0, 1e-7)]
    assert len(set(html)) == 1


def test_escapes_tokens_fetches_nothing_has_no_ids_and_is_small():
    html = viz.MaskLab(SCORES, ["<script>alert(1)</script>", "\"'&", "a", "b"], title="<b>")._repr_html_()
    assert "alert(1)</script>" not in html
    assert "<b>" not in html
    assert not {"src", "href", "id"} & {name for _, attrs in Page(html).tags for name in attrs}
    assert "url(" not in html
    assert "http" not in html
    assert len(html) < 30_000


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        (torch.zeros(3), {}, r"^scores must have shape \(Q, K\), got \(3,\)$"),
        (torch.full((4, 4), float("-inf")), {}, "give them before the mask"),
        (torch.zeros(3, 4), {"key_tokens": TOKENS}, r"^scores have 3 rows but 4 query tokens were given$"),
        (torch.zeros(4, 4), {"padding": 5}, r"^padding must lie between 0 and the number of keys \(4\), got 5$"),
    ],
)
def test_wrong_scores_are_refused_in_words(scores, options, message):
    with pytest.raises(ValueError, match=message):
        viz.MaskLab(scores, TOKENS, **options)
