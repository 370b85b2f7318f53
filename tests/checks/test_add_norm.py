"""`check.layer_norm` and `check.add_norm`."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import companion
from companion import check


class Norm(nn.Module):
    """Weight and bias; what is done with them is in the classes below."""

    def __init__(self, d_model):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))


class Functional(Norm):
    def forward(self, x):
        return F.layer_norm(x, (x.size(-1),), self.weight, self.bias)


class Biased(Norm):
    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        var = x.var(-1, unbiased=False, keepdim=True)
        return self.weight * (x - mean) / (var + 1e-5).sqrt() + self.bias


class Einsum(Norm):
    def forward(self, x):
        x = x - torch.einsum("bld->bl", x)[..., None] / x.size(-1)
        var = torch.einsum("bld,bld->bl", x, x) / x.size(-1)
        return torch.einsum("bld,bl,d->bld", x, torch.rsqrt(var + 1e-5), self.weight) + self.bias


class Loops(Norm):
    def forward(self, x):
        rows = []
        for token in x.flatten(0, 1):
            mean = sum(token) / len(token)
            var = sum((feature - mean) ** 2 for feature in token) / len(token)
            rows.append((token - mean) / (var + 1e-5) ** 0.5 * self.weight + self.bias)
        return torch.stack(rows).view_as(x)


class MeanOfSquares(Norm):
    def forward(self, x):
        mean, squares = x.mean(-1, keepdim=True), (x * x).mean(-1, keepdim=True)
        return (x - mean) * (squares - mean**2 + 1e-5) ** -0.5 * self.weight + self.bias


class InFloat32(Norm):
    def forward(self, x):
        return F.layer_norm(x.float(), (x.size(-1),), self.weight.float(), self.bias.float())


class Batched(Norm):
    """Batch norm over the tokens as a batch of one channel each."""

    def forward(self, x):
        rows = x.flatten(0, 1)[None]
        out = F.batch_norm(rows, None, None, training=True, eps=1e-5)
        return out[0].view_as(x) * self.weight + self.bias


@pytest.mark.parametrize(
    "cls", [Functional, Biased, Einsum, Loops, MeanOfSquares, Batched, nn.LayerNorm, companion.LayerNorm]
)
@pytest.mark.parametrize("seed", [None, 1])
def test_right_layer_norms_pass(cls, seed):
    assert repr(check.layer_norm(cls, seed=seed)) == "layer_norm: passed."


def test_float32_passes_with_a_warning():
    report = check.layer_norm(InFloat32)
    assert report.passed
    assert report.warnings[0].startswith("Your output is float32")


class UnknownNorm(Norm):
    def forward(self, x):
        return (x - x.median(-1, keepdim=True).values) / x.std(-1, keepdim=True) * self.weight + self.bias


class NeighbourNorm(Norm):
    def forward(self, x):
        return F.layer_norm(x + 0.1 * x.roll(1, 1), (x.size(-1),), self.weight, self.bias)


class BatchNorm(Norm):
    def forward(self, x):
        return F.layer_norm(x - x.mean(0, keepdim=True), (x.size(-1),), self.weight, self.bias)


class GainIgnored(Norm):
    def forward(self, x):
        return 1.5 * F.layer_norm(x, (x.size(-1),), None, self.bias)


@pytest.mark.parametrize(
    ("cls", "fact"),
    [
        (UnknownNorm, "With weight 1 and bias 0 in the norm, your tokens have mean "),
        (NeighbourNorm, "Changing the other tokens moves token 0; each token is normalised by itself."),
        (BatchNorm, "Changing the second item of the batch moves the first."),
        (GainIgnored, "Changing weight does not move your output; it should."),
    ],
)
def test_unknown_layer_norms_are_rejected_with_facts_and_without_a_name(cls, fact):
    report = check.layer_norm(cls, raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert any(found.startswith(fact) for found in report.facts)
    assert report.tables


def test_two_bugs_of_a_layer_norm_are_both_named():
    class Both(Norm):
        def forward(self, x):
            return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-5) * self.weight

    assert set(check.layer_norm(Both, raises=False).bugs) == {"unbiased_standard_deviation", "shift_missing"}


def test_a_layer_norm_without_parameters_is_told_so():
    class Bare(nn.Module):
        def __init__(self, d_model):
            super().__init__()

        def forward(self, x):
            return F.layer_norm(x, x.shape[-1:])

    assert "no parameter weight, bias" in check.layer_norm(Bare, raises=False).message


# --- add & norm


class Wrapped(nn.Module):
    """With torch's layer norm."""

    def __init__(self, d_model):
        super().__init__()
        self.norm = nn.LayerNorm(d_model)

    def forward(self, x, sublayer):
        return self.norm(x + sublayer(x))


class WithDropout(nn.Module):
    def __init__(self, d_model, dropout=0.1):
        super().__init__()
        self.norm = companion.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, sublayer):
        return self.norm(self.dropout(sublayer(x)) + x)


class OwnParameters(nn.Module):
    def __init__(self, d_model):
        super().__init__()
        self.norm = Einsum(d_model)

    def forward(self, x, sublayer):
        total = torch.stack([x, sublayer(x)]).sum(0)
        return self.norm(total)


class FunctionalNorm(nn.Module):
    def __init__(self, d_model):
        super().__init__()
        self.norm = nn.LayerNorm(d_model)

    def forward(self, x, sublayer):
        out = sublayer(x)
        out = out + x
        return F.layer_norm(out, out.shape[-1:], self.norm.weight, self.norm.bias)


class WithResidualReturned(Wrapped):
    def forward(self, x, sublayer):
        residual = x + sublayer(x)
        return self.norm(residual), residual


class Inherited(companion.AddNorm):
    def __init__(self, d_model):
        super().__init__(d_model, norm_first=False)
        companion.use_implementation(self, "reference")


@pytest.mark.parametrize(
    "cls", [Wrapped, WithDropout, OwnParameters, FunctionalNorm, WithResidualReturned, Inherited, companion.AddNorm]
)
@pytest.mark.parametrize("seed", [None, 1])
def test_right_add_norms_pass(cls, seed):
    assert repr(check.add_norm(cls, seed=seed)) == "add_norm: passed."


def test_add_norm_in_float32_passes_with_a_warning():
    class InFloat(Wrapped):
        def forward(self, x, sublayer):
            out = (x + sublayer(x)).float()
            return F.layer_norm(out, out.shape[-1:], self.norm.weight.float(), self.norm.bias.float())

    assert check.add_norm(InFloat).warnings[0].startswith("Your output is float32")


def test_the_companions_pre_norm_is_named():
    def pre_norm(d_model):
        return companion.AddNorm(d_model, norm_first=True)

    assert check.add_norm(pre_norm, raises=False).bugs == ("pre_norm",)


def test_dropout_that_stays_active_is_told():
    class Active(Wrapped):
        def forward(self, x, sublayer):
            return self.norm(x + F.dropout(sublayer(x), 0.1))

    assert "Two calls with the same inputs" in check.add_norm(Active, raises=False).message


def test_adding_in_place_is_told():
    class InPlace(Wrapped):
        def forward(self, x, sublayer):
            x += sublayer(x)
            return self.norm(x)

    assert "changes x in place" in check.add_norm(InPlace, raises=False).message


def test_a_detached_residual_is_told():
    class Detached(Wrapped):
        def forward(self, x, sublayer):
            return self.norm(x.detach() + sublayer(x))

    assert "gradient with respect to x is not" in check.add_norm(Detached, raises=False).message


def test_two_bugs_of_add_norm_are_both_named():
    class Both(Wrapped):
        def forward(self, x, sublayer):
            return F.layer_norm(sublayer(x), x.shape[-1:])

    assert set(check.add_norm(Both, raises=False).bugs) == {"residual_missing", "gain_and_shift_missing"}


def variant(forward):
    return type("Variant", (Wrapped,), {"forward": forward})


@pytest.mark.parametrize(
    ("forward", "fact"),
    [
        (
            lambda self, x, sublayer: self.norm(x + sublayer(sublayer(sublayer(x)))),
            "Your forward calls the sublayer 3 times; it should call it once.",
        ),
        (lambda self, x, sublayer: self.norm(x + sublayer(0.5 * x)), "The sublayer is not given x itself."),
        (
            lambda self, x, sublayer: self.norm(sublayer(x) * 3 + 1) + 0.1,
            "With a sublayer that returns zeros your output does not depend on x; the residual connection should "
            "carry x.",
        ),
        (
            lambda self, x, sublayer: self.norm(0.5 * x.flip(-1) + sublayer(x)),
            "With a sublayer that returns zeros your output is not norm(x).",
        ),
        (lambda self, x, sublayer: 2 * self.norm(x + sublayer(x)), "With weight 1 and bias 0 in the norm, your tokens"),
        (
            lambda self, x, sublayer: self.norm(x - x.mean(0, keepdim=True) + sublayer(x)),
            "Changing the second item of the batch moves the first.",
        ),
    ],
)
def test_unknown_add_norms_are_rejected_with_facts_and_without_a_name(forward, fact):
    report = check.add_norm(variant(forward), raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert any(found.startswith(fact) for found in report.facts)
    assert report.tables


class BeginsWithZeros(nn.LayerNorm):
    def __init__(self, d_model):
        super().__init__(d_model)
        nn.init.zeros_(self.weight)


class AroundZeros(Wrapped):
    def __init__(self, d_model):
        super().__init__(d_model)
        self.norm = BeginsWithZeros(d_model)


@pytest.mark.parametrize(("run", "cls"), [(check.layer_norm, BeginsWithZeros), (check.add_norm, AroundZeros)])
def test_a_fresh_norm_should_have_weight_1_and_bias_0(run, cls):
    report = run(cls, raises=False)
    assert report.message == "It is right, except on a fresh layer, which should begin with weight 1 and bias 0."


RIGHT_ANSWERS = {
    "layer_norm": [
        nn.LayerNorm,
        companion.LayerNorm,
        *(Functional, Biased, Einsum, Loops, MeanOfSquares, Batched, InFloat32),
    ],
    "add_norm": [
        companion.AddNorm,
        *(Wrapped, WithDropout, OwnParameters, FunctionalNorm, WithResidualReturned, Inherited),
    ],
}
