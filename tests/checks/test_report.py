"""The report: short, plain, the same bytes each time; and the exception that carries it."""

import json
import pickle

import pytest
import torch
from torch import nn

from companion import check
from companion.checks.engine.report import Report, number


def no_scaling(query, key, mask):
    return (query @ key.mT).masked_fill(~mask, float("-inf")).softmax(dim=-1)


def over_queries(query, key, mask):
    return (query @ key.mT / key.size(-1) ** 0.5).masked_fill(~mask, float("-inf")).softmax(dim=-2)


@pytest.fixture
def report():
    return check.attention_weights(over_queries, raises=False)


def test_what_a_failing_report_says(report):
    assert repr(report) == (
        "attention_weights: not yet.\n"
        "Your weights sum to 1 over the queries: the softmax runs over dim -2; it should run over the keys, dim -1.\n"
        "- Rows of your weights sum to 0.02 to 2.50; each should sum to 1.\n"
        "For a hint, call .hint(1) on this report; for where to read, .hint(2)."
    )
    assert str(report) == repr(report)


def test_hints_come_in_two_steps_and_never_hold_the_solution(report):
    assert report.hint(1) == "Each query shares out a weight of 1 among the keys. Which dimension holds the keys?"
    assert report.hint(2) == "See chapter attention, section 'By hand'."
    with pytest.raises(ValueError, match=r"hint takes 1 \(a hint\) or 2 \(where to read\), got 3"):
        report.hint(3)


def test_a_passing_report_has_nothing_to_hint_at():
    report = check.attention_weights(check.CHECKS["attention_weights"].right)
    assert report.hint(1) == "It passed: there is nothing to hint at."
    assert report.score(4) == 4
    assert json.loads(report.to_json())["passed"] is True


def test_score_is_all_or_nothing(report):
    assert report.score(5) == 0
    assert report.score() == 0


def test_json_holds_the_report(report):
    data = json.loads(report.to_json())
    assert data["check"] == "attention_weights"
    assert data["bugs"] == ["softmax_over_queries"]
    assert data["message"] == report.message


def test_two_runs_give_the_same_bytes(report):
    again = check.attention_weights(over_queries, raises=False)
    assert repr(again) == repr(report)
    assert again.to_json() == report.to_json()
    assert again._repr_html_() == report._repr_html_()


def test_the_html_draws_the_evidence_and_escapes_the_learners_text(report):
    html = report._repr_html_()
    assert "<caption>Weights under a causal mask, rows are queries: yours (* is wrong)</caption>" in html
    assert html.count("<table") == 2
    assert "*</td>" in html
    assert "<script" not in html

    def wrong(query, key, mask):
        raise ValueError("<b>")

    assert "&lt;b&gt;" in check.attention_weights(wrong, raises=False)._repr_html_()


def test_a_failing_check_raises_what_carries_the_report():
    with pytest.raises(check.CheckFailed, match="Your scores are not scaled: divide them by sqrt") as caught:
        check.attention_weights(no_scaling)
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value.report, check.Report)
    assert str(caught.value) == repr(caught.value.report)
    assert caught.value._render_traceback_() == [f"CheckFailed: {caught.value.report!r}"]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_pytest_shows_none_of_our_frames():
    with pytest.raises(check.CheckFailed) as caught:
        check.attention(lambda query, key, value, mask: None)
    shown = [entry.path.name for entry in caught.traceback.filter(caught)]
    assert shown == ["test_report.py"]
    assert caught.value.__suppress_context__


def test_a_report_is_plain_ascii(report):
    assert repr(report).isascii()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0"), (1e-9, "0"), (1.0, "1"), (-3.0, "-3"), (1.0000000002, "1"), (0.254, "0.25"), (2.5, "2.50"),
        (0.001234, "1.2e-03"), (-12345.6, "-1.2e+04"), (float("nan"), "nan"), (float("-inf"), "-inf"),
    ],
)  # fmt: skip
def test_numbers_are_short(value, written):
    assert number(value) == written


def test_nan_in_the_evidence_can_be_written():
    def nan(query, key, mask):
        return no_scaling(query, key, mask) * torch.tensor(float("nan"))

    report = check.attention_weights(nan, raises=False)
    assert "nan" in report.tables[0].yours[0]
    json.loads(report.to_json())


def test_public_names():
    for name in check.__all__:
        assert hasattr(check, name)
    assert set(check.CHECKS) <= set(check.__all__)
    assert Report is check.Report


def test_the_influence_matrix_is_drawn_where_the_weights_do_not_tell():
    def shifted(query, key, value, mask):
        weights = (query @ key.mT / key.size(-1) ** 0.5).masked_fill(~mask, float("-inf")).softmax(dim=-1)
        return weights @ value + (0.1 * value.flip(-2) if value.size(-1) == value.size(-2) + 2 else 0.0)

    captions = [table.caption for table in check.attention(shifted, raises=False).tables]
    assert captions == [
        "How far output t moves when key and value s are changed (t down, s across)",
        "Weights under a causal mask, rows are queries",
    ]


def test_tokens_that_meet_where_each_stands_alone_are_drawn():
    class Neighbours(nn.LayerNorm):
        def forward(self, x):
            return super().forward(x) + 0.1 * x.roll(1, dims=1)

    captions = [table.caption for table in check.layer_norm(Neighbours, raises=False).tables]
    assert captions[-1] == "1 where changing token s moves output t (t down, s across)"
