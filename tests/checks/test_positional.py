"""`check.positional` and `check.rotary`."""

import math

import pytest
import torch

import companion
from companion import check


def loops(length, d_model):
    table = torch.zeros(length, d_model)
    for t in range(length):
        for i in range(0, d_model, 2):
            angle = t / 10000 ** (i / d_model)
            table[t, i], table[t, i + 1] = math.sin(angle), math.cos(angle)
    return table


def sliced(length, d_model):
    table = torch.empty(length, d_model)
    position = torch.arange(length).unsqueeze(1)
    divisor = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
    table[:, 0::2] = torch.sin(position * divisor)
    table[:, 1::2] = torch.cos(position * divisor)
    return table


def by_feature(length, d_model):
    feature = torch.arange(d_model)
    angle = torch.outer(torch.arange(length).float(), 10000.0 ** (-2 * (feature // 2) / d_model))
    return torch.where(feature % 2 == 0, angle.sin(), angle.cos())


def shifted_sines(length, d_model):
    angle = torch.arange(length)[:, None] / 10_000 ** (
        torch.arange(d_model).div(2, rounding_mode="floor") * 2 / d_model
    )
    return torch.sin(angle + torch.arange(d_model) % 2 * math.pi / 2)


def rotated(length, d_model):
    rows = [torch.tensor([0.0, 1.0] * (d_model // 2), dtype=torch.float64)]
    turn = 10000.0 ** -(torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    for _ in range(length - 1):
        sin, cos = rows[-1][0::2], rows[-1][1::2]
        pair = [sin * turn.cos() + cos * turn.sin(), cos * turn.cos() - sin * turn.sin()]
        rows.append(torch.stack(pair, dim=-1).flatten())
    return torch.stack(rows)


def complex_numbers(length, d_model):
    frequency = 10000.0 ** (-torch.arange(0, d_model, 2) / d_model)
    turning = torch.polar(torch.tensor(1.0), torch.arange(length)[:, None] * frequency)
    return torch.stack([turning.imag, turning.real], dim=2).flatten(1)


@pytest.mark.parametrize(
    "function",
    [
        companion.sinusoidal_encoding,
        loops,
        sliced,
        by_feature,
        shifted_sines,
        rotated,
        complex_numbers,
        lambda length, d_model: companion.SinusoidalPositionalEncoding(d_model, length)(torch.zeros(length, d_model)),
    ],
)
def test_right_encodings_pass(function):
    assert repr(check.positional(function)) == "positional: passed."


def with_parts(name, *bugs):
    one = check.CHECKS[name]
    entries = [entry for bug in bugs for entry in one.bank if entry.name == bug]
    return one.assemble({entry.part: entry.wrong for entry in entries})


@pytest.mark.parametrize(
    ("bug", "value"),
    [
        ("exponent_doubled", 0.0998),
        ("cosine_with_odd_index", 0.3110),
        ("one_frequency_for_all", 0.8415),
        ("frequency_inverted", -0.0207),
        ("base_1000", 0.4093),
        ("log10_for_log", 0.5700),
        ("exponent_not_doubled", 0.5332),
    ],
)
def test_the_bugs_have_the_numbers_that_they_are_known_by(bug, value):
    assert with_parts("positional", bug)(length=2, d_model=16)[1, 2] == pytest.approx(value, abs=5e-5)
    assert check.CHECKS["positional"].right(2, 16)[1, 2] == pytest.approx(0.3110, abs=5e-5)


@pytest.mark.parametrize(
    "bugs",
    [
        ("exponent_doubled", "positions_from_one"),
        ("base_1000", "sine_and_cosine_swapped"),
        ("one_frequency_for_all", "sines_then_cosines"),
        ("exponent_not_doubled", "base_1000"),
        ("positions_from_one", "table_scaled"),
        ("cosine_with_odd_index", "log10_for_log"),
    ],
)
def test_two_bugs_at_once_are_both_named(bugs):
    report = check.positional(with_parts("positional", *bugs), raises=False)
    assert set(report.bugs) == set(bugs)
    assert report.message.startswith("Two things at once. ")


def test_half_precision_is_named_however_it_is_reached():
    for function in (lambda n, d: loops(n, d).half(), lambda n, d: by_feature(n, d).half()):
        assert check.positional(function, raises=False).bugs == ("half_precision",)


def test_a_table_of_integers_is_named_and_its_dtype_told():
    def integers(length, d_model):
        table = torch.zeros(length, d_model, dtype=torch.long)
        table[:] = loops(length, d_model)
        return table

    report = check.positional(integers, raises=False)
    assert report.bugs == ("integers",)
    assert any("int64" in fact for fact in report.facts)


def test_a_table_along_the_batch_axis_is_named():
    report = check.positional(lambda length, d_model: loops(length, d_model).unsqueeze(1), raises=False)
    assert report.bugs == ("axis_too_many",)


def test_a_random_table_is_told():
    report = check.positional(lambda length, d_model: torch.nn.Embedding(length, d_model).weight, raises=False)
    assert report.message.startswith("Two calls with the same inputs give different outputs: something random")


@pytest.mark.parametrize(
    ("function", "fact"),
    [
        (lambda n, d: 1.5 * loops(n, d), "Your table reaches 1.50; sines and cosines stay between -1 and 1."),
        (lambda n, d: loops(n, d).flip(1), "Your row 0 is 1, 0, 1, 0, 1, 0; at position 0 sines are 0"),
        (lambda n, d: loops(n, d).square(), "The products of positions t and t + 3 run from "),
        (lambda n, d: torch.ones(n, d), "Positions 0 and 1 have the same encoding."),
        (
            lambda n, d: torch.cat([loops(n, d)[:, :-1], torch.ones(n, 1) / 2], 1),
            "With 6 features, these are not right: 5.",
        ),
    ],
)
def test_unknown_encodings_are_rejected_with_facts_and_without_a_name(function, fact):
    report = check.positional(function, raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert any(one.startswith(fact) for one in report.facts), report.facts
    assert report.tables


# --- rotary


def rotary_loops(x, start):
    out = torch.empty_like(x)
    for t in range(x.size(2)):
        for i in range(0, x.size(3), 2):
            angle = (start + t) / 10000 ** (i / x.size(3))
            a, b = x[:, :, t, i], x[:, :, t, i + 1]
            out[:, :, t, i] = a * math.cos(angle) - b * math.sin(angle)
            out[:, :, t, i + 1] = a * math.sin(angle) + b * math.cos(angle)
    return out


def turning(x, start):
    frequency = 10000.0 ** -(torch.arange(0, x.size(-1), 2, dtype=x.dtype) / x.size(-1))
    return torch.arange(start, start + x.size(-2), dtype=x.dtype)[:, None] * frequency


def rotary_complex(x, start):
    angle = turning(x, start)
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angle), angle)).flatten(-2)


def rotary_matrix(x, start):
    angle = turning(x, start)
    rows = [torch.stack([angle.cos(), -angle.sin()], -1), torch.stack([angle.sin(), angle.cos()], -1)]
    return torch.einsum("lprc,bhlpc->bhlpr", torch.stack(rows, -2), x.unflatten(-1, (-1, 2))).flatten(-2)


def rotary_rotate_half(x, start):
    angle = turning(x, start).repeat_interleave(2, dim=-1)
    swapped = torch.stack([-x[..., 1::2], x[..., 0::2]], dim=-1).flatten(-2)
    return x * angle.cos() + swapped * angle.sin()


def rotary_in_float32(x, start):
    return rotary_rotate_half(x.float(), start).to(x.dtype)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, start: companion.RotaryPositionalEmbedding(x.size(-1), 64)(x, start),
        rotary_loops,
        rotary_complex,
        rotary_matrix,
        rotary_rotate_half,
        rotary_in_float32,
    ],
)
def test_right_rotations_pass(function):
    assert repr(check.rotary(function)) == "rotary: passed."


@pytest.mark.parametrize(
    "bugs",
    [
        ("start_ignored", "halves_for_pairs"),
        ("rotary_exponent_doubled", "minus_missing"),
        ("rotary_other_base", "pairs_not_put_back"),
    ],
)
def test_two_bugs_of_a_rotation_are_both_named(bugs):
    assert set(check.rotary(with_parts("rotary", *bugs), raises=False).bugs) == set(bugs)


@pytest.mark.parametrize(
    ("function", "fact"),
    [
        (lambda x, start: 2.0 * rotary_loops(x, start), "The lengths of your tokens become 2 times what they were;"),
        (lambda x, start: rotary_loops(x, 2 * start + 3), "Your token at position 0 changes; nothing turns there."),
        (lambda x, start: x.roll(1, dims=-2), "Your output is the same for start 0 and start 5."),
        (
            lambda x, start: rotary_loops(x, start) * (1 + torch.arange(x.size(2)))[:, None],
            "Of a token repeated at all positions, the products at t and t + 3 differ with t;",
        ),
    ],
)
def test_unknown_rotations_are_rejected_with_facts_and_without_a_name(function, fact):
    report = check.rotary(function, raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert any(one.startswith(fact) for one in report.facts), report.facts


def test_zeros_get_no_name():
    report = check.positional(lambda length, d_model: torch.zeros(length, d_model), raises=False)
    assert report.bugs == ()
    assert report.message == "Your output is 0 everywhere."


def test_a_forgotten_logarithm_is_told():
    def positional(length, d_model):
        frequencies = torch.exp(torch.arange(0, d_model, 2) * -(10000.0 / d_model))
        angles = torch.arange(length)[:, None] * frequencies
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)

    assert "in the place of its logarithm" in check.positional(positional, raises=False).message


@pytest.mark.parametrize(
    ("frequencies", "said"),
    [
        (lambda exponent: 500_000.0**-exponent, "1, 0.0126, 0.000159"),
        (lambda exponent: -(10_000.0**-exponent), "-1, -0.0464, -0.00215"),
        (lambda exponent: torch.pi * 10_000.0**-exponent, "3.14, 0.146, 0.00677"),
    ],
)
def test_frequencies_are_read_off_an_unknown_table_and_an_unknown_turn(frequencies, said):
    def angles(positions, features):
        return positions[:, None] * frequencies(torch.arange(0, features, 2).double() / features)

    def positional(length, d_model):
        turned = angles(torch.arange(length), d_model)
        return torch.stack([turned.sin(), turned.cos()], dim=-1).flatten(-2)

    def rotary(x, start):
        turned = angles(torch.arange(start, start + x.size(-2)), x.size(-1))
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * torch.polar(torch.ones_like(turned), turned)).flatten(-2)

    fact = f"From one position to the next your 3 pairs turn by {said}; it should be by 1, 0.0464, 0.00215."
    for report in (check.positional(positional, raises=False), check.rotary(rotary, raises=False)):
        if report.bugs != ("turned_backwards",):
            assert report.bugs == ()
            assert fact in report.facts, report.facts


@pytest.mark.parametrize(
    ("positions", "said"),
    [
        (
            lambda length, start: start + torch.arange(length) - 1,
            "With start 0 your tokens are turned as at positions -1",
        ),
        (
            lambda length, start: start * torch.arange(length),
            "With start 5 your tokens are turned as at positions 0, 5",
        ),
        (lambda length, start: torch.arange(length) - start, "With start 5 your tokens are turned as at positions -5"),
    ],
)
def test_positions_are_read_off_an_unknown_turn(positions, said):
    def rotary(x, start):
        turned = positions(x.size(-2), start)[:, None] * 10_000.0 ** -(torch.arange(0, x.size(-1), 2) / x.size(-1))
        even, odd = x[..., 0::2], x[..., 1::2]
        pairs = [even * turned.cos() - odd * turned.sin(), even * turned.sin() + odd * turned.cos()]
        return torch.stack(pairs, dim=-1).flatten(-2)

    report = check.rotary(rotary, raises=False)
    assert report.bugs == ()
    assert any(fact.startswith(said) for fact in report.facts), report.facts


def test_one_frequency_names_both_of_its_causes():
    def positional(length, d_model):
        turned = torch.arange(length)[:, None] / 1.0 ** (torch.arange(0, d_model, 2) / d_model)
        return torch.stack([turned.sin(), turned.cos()], dim=-1).flatten(-2)

    report = check.positional(positional, raises=False)
    assert report.bugs == ("one_frequency_for_all",)
    assert report.message.endswith("(an integer division, //, makes it so), or the base is 1.")


def test_two_tensors_are_one_too_many():
    report = check.rotary(lambda x, start: (x, x), raises=False)
    assert report.message == "Your function returned a tuple of 2; one torch tensor is expected."


RIGHT_ANSWERS = {
    "positional": [companion.sinusoidal_encoding, loops, sliced, by_feature, shifted_sines, rotated, complex_numbers],
    "rotary": [rotary_loops, rotary_complex, rotary_matrix, rotary_rotate_half, rotary_in_float32],
}


def test_rows_for_columns_is_named():
    """A table whose angles are right, written to by rows."""

    def by_rows(length, d_model):
        exponent = torch.arange(d_model, dtype=torch.float64) // 2 * 2 / d_model
        table = torch.arange(length)[:, None] / 10_000**exponent
        table[0::2], table[1::2] = table[0::2].sin(), table[1::2].cos()
        return table

    report = check.positional(by_rows, raises=False)
    assert report.bugs == ("rows_for_columns",)
    assert "table[0::2] takes rows" in report.message
