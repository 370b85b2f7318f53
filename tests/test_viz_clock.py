"""The position clock: its numbers are the encoding's, and it says everything without script."""

import math
import re

import pytest

from companion import sinusoidal_encoding, viz


@pytest.fixture(scope="module")
def html():
    return viz.PositionClock(d_model=16)._repr_html_()


def test_shows_the_companions_numbers(html):
    encoding = sinusoidal_encoding(4, 16)[3]
    shown = [float(number) for number in re.findall(r"<b>(-?[\d.]+)</b>", html)]
    assert shown == pytest.approx(encoding.tolist(), abs=5.1e-4)
    cells = [float(number) for number in re.findall(r"<td>(-?[\d.]+)</td>", html)]
    assert cells[0::3] == shown[0::2]
    assert cells[1::3] == shown[1::2]
    assert cells[2] == round(math.degrees(2), 1)  # the first hand turns by one radian a step
    assert "<summary>The numbers of position 3</summary>" in html


def test_hands_point_to_sine_and_cosine():
    html = viz.PositionClock(d_model=4, position=0, offset=0)._repr_html_()
    # From the middle of an upright plane whose unit is a thousandth of a hand, 34 pixels long.
    assert html.count('<g transform="translate(42 42) scale(0.034 -0.034)">') == 2
    assert re.findall(r'class="now" x2="(-?\d+)" y2="(-?\d+)"', html) == [("0", "1000")] * 2


def test_the_product_depends_on_the_distance_only():
    clock = viz.PositionClock(d_model=16)
    encoding = sinusoidal_encoding(81, 16).double()
    for offset in (0, 1, 7, 20):
        for position in (0, 5, 60):
            product = (encoding[position] @ encoding[position + offset]).item()
            assert clock.products[offset] / 100 == pytest.approx(product, abs=5.1e-3)
    assert len(clock.thousandths) == 81


def test_a_full_turn_starts_again():
    clock = viz.PositionClock(d_model=2, max_offset=7)
    assert clock.tenths_of_degrees[6] == [3438]  # 6 radians, 343.8 degrees
    assert clock.tenths_of_degrees[7] == [411]  # 7 radians, one turn and 41.1 degrees


def test_fetches_nothing_has_no_ids_and_is_the_same_again(html):
    assert html == viz.PositionClock(d_model=16)._repr_html_()
    assert not re.search(r'\s(id|src|href)="', html)
    assert "url(" not in html
    assert "http" not in html
    assert len(html) < 30_000
    assert 'aria-live="polite"' in html
    assert 'role="img" aria-label="8 clock faces' in html


def test_repr():
    assert repr(viz.PositionClock()) == "PositionClock(d_model=16, max_position=60, max_offset=20)"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"position": 61}, r"^position must lie between 0 and max_position \(60\), got 61$"),
        ({"offset": -1}, r"^offset must lie between 0 and max_offset \(20\), got -1$"),
        ({"d_model": 5}, r"^the number of features \(5\) must be divisible by 2"),
    ],
)
def test_refuses_what_is_out_of_reach(wrong, message):
    with pytest.raises(ValueError, match=message):
        viz.PositionClock(**wrong)
