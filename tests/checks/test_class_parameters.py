"""What a class keeps, and how it is told: its parameters, what is left from an earlier call, errors with a reason."""

import dataclasses

import pytest
import torch
from torch import nn

import companion
from companion import check
from tests.checks.test_class_forms import Norm

# --- where the parameters are


class Listed(Norm):
    def __init__(self, d_model):
        nn.Module.__init__(self)
        self.norms = [nn.LayerNorm(d_model)]


class Comma(Norm):
    def __init__(self, d_model):
        nn.Module.__init__(self)
        self.norm = (nn.LayerNorm(d_model),)


class Plain(Norm):
    def __init__(self, d_model):
        nn.Module.__init__(self)
        self.weight = torch.ones(d_model)
        self.bias = nn.Parameter(torch.zeros(d_model))


class Buffers(Norm):
    def __init__(self, d_model):
        nn.Module.__init__(self)
        self.register_buffer("weight", torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))


class OtherParameters(Norm):
    def __init__(self, d_model):
        nn.Module.__init__(self)
        self.gamma = nn.Parameter(torch.ones(d_model))
        self.beta = nn.Parameter(torch.zeros(d_model, d_model))


class Shared(Norm):
    def __init__(self, d_model):
        super().__init__(d_model)
        self.bias = self.weight


class Views(Norm):
    def __init__(self, d_model):
        super().__init__(d_model)
        self.bias = nn.Parameter(self.weight.data)


class MadeInForward(Norm):
    def forward(self, x):
        self.bias = nn.Parameter(torch.zeros(x.size(-1), dtype=x.dtype))
        return super().forward(x)


ONE = "Your parameter bias is weight under another name: each should have numbers of its own."


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Listed, "Your class has no parameter weight, bias. Your norms is a list, and torch does not see the layers in "
         "it."),
        (Comma, "Your class has no parameter weight, bias. Your norm is a tuple: does its line end with a comma?"),
        (Plain, "Your class has no parameter weight. Your weight is a plain tensor: torch.nn.Parameter makes a tensor "
         "one that is trained."),
        (Buffers, "Your class has no parameter weight. Your weight is a buffer, which is not trained: make it a "
         "torch.nn.Parameter."),
        (OtherParameters, "Your class has no parameter weight, bias; instead it has gamma, beta."),
        (Shared, ONE),
        (Views, ONE),
        (MadeInForward, "Your forward makes bias anew on every call, so that it is never trained: make layers and "
         "parameters in __init__."),
    ],
)  # fmt: skip
def test_parameters_that_are_not_where_they_should_be_are_told(cls, message):
    assert check.layer_norm(cls, raises=False).message == message


def test_swapped_numbers_of_features_are_told_with_the_order_that_linear_takes():
    class Swapped(companion.FeedForward):
        def __init__(self, d_model, d_ff):
            super().__init__(d_model, d_ff)
            self.linear1 = nn.Linear(d_ff, d_model)

    assert check.feed_forward(Swapped, raises=False).message == (
        "Your parameter linear1.weight has shape (7, 11); it should be (11, 7). torch.nn.Linear takes the number of "
        "features that go in first, then of those that come out."
    )


def test_a_fresh_layer_of_no_numbers_is_rejected():
    class Empty(Norm):
        def __init__(self, d_model):
            super().__init__(d_model)
            self.weight = nn.Parameter(torch.full((d_model,), torch.nan))

    message = check.layer_norm(Empty, raises=False).message
    assert message == (
        "It is right, except on a fresh layer, which should begin with weight 1 and bias 0. A fresh module's weight "
        "should be finite numbers."
    )


# --- what is kept from one call to the next


class KeepsTheMean(Norm):
    def forward(self, x):
        if not hasattr(self, "mean"):
            self.mean = x.mean(dim=-1, keepdim=True).mean()
        return super().forward(x) + 0 * x + self.mean - x.mean(dim=-1, keepdim=True).mean()


class KeepsTheMask(companion.DecoderLayer):
    def forward(self, x, memory, mask=None, memory_mask=None):
        if not hasattr(self, "causal"):
            self.causal = companion.causal_mask(x.size(1))
        mask = self.causal if mask is None else mask & self.causal
        return super().forward(x, memory, mask, memory_mask)


def test_something_kept_from_one_call_to_the_next_is_told():
    assert check.layer_norm(KeepsTheMean, raises=False).message == (
        "Your output depends on what the module was called with before: something is kept on self from one call to "
        "the next."
    )


def test_a_mask_kept_at_the_length_of_the_first_call_is_told():
    message = check.decoder_layer(KeepsTheMask, raises=False).message
    assert message.startswith("The first call works; one that comes after another does not. Your function raised Value")
    assert "a mask of shape (4, 4) does not broadcast" in message


def test_a_table_kept_for_later_passes():
    class Tabled(Norm):
        def forward(self, x):
            if getattr(self, "ones", None) is None or self.ones.shape != x.shape:
                self.ones = torch.ones_like(x)
            return super().forward(x * self.ones)

    assert check.layer_norm(Tabled).passed


# --- errors that have a usual reason


class BuiltNotCalled(companion.FeedForward):
    def forward(self, x):
        return self.linear2(nn.ReLU(self.linear1(x)))


class CalledBefore(companion.EncoderLayer):
    def forward(self, x, mask=None):
        return self.add_norm1(x, self.self_attention(x, mask=mask))


class FunctionAdded(companion.AddNorm):
    def forward(self, x, sublayer):
        return self.norm(x + sublayer)


class EndlessRecursion(Norm):
    def forward(self, x):
        return self(x)


@pytest.mark.parametrize(
    ("name", "cls", "reason"),
    [
        ("feed_forward", BuiltNotCalled, "(nn.ReLU(...) makes a layer; the layer is then called with a tensor)"),
        ("encoder_layer", CalledBefore, "(is a function called where it should be handed over?)"),
        ("add_norm", FunctionAdded, "(a function has to be called to give a tensor)"),
        ("layer_norm", EndlessRecursion, "RecursionError in line 2 of forward: it calls itself without end"),
    ],
)
def test_an_error_is_told_with_its_usual_reason(name, cls, reason):
    assert reason in getattr(check, name)(cls, raises=False).message


@pytest.mark.parametrize("name", ["split_heads", "merge_heads"])
def test_more_than_the_heads_is_not_what_is_asked_for(name):
    right = check.CHECKS[name].right
    report = getattr(check, name)(lambda *inputs: (right(*inputs), 3), raises=False)
    assert report.message == "Your function returned a tuple of 2; one torch tensor is expected."


def test_a_mask_kept_from_the_first_call_is_told():
    class KeepsThePadding(companion.EncoderLayer):
        def forward(self, x, mask=None):
            if not hasattr(self, "mask"):
                self.mask = mask
            return super().forward(x, self.mask)

    assert check.encoder_layer(KeepsThePadding, raises=False).message.startswith("Your output depends on what the")


def test_a_tensor_beside_the_parameters_is_told():
    class Copied(Norm):
        def __init__(self, d_model):
            super().__init__(d_model)
            self.start = torch.rand(d_model)

        def forward(self, x):
            return super().forward(x) * self.start

    message = check.layer_norm(Copied, raises=False).message
    assert message.endswith("Or a tensor that __init__ draws is used beside the parameters.")


def test_a_line_of_ours_is_never_named():
    report = check.layer_norm(lambda d_model: nn.GroupNorm(1, d_model), raises=False)
    assert report.message.startswith("Your function raised RuntimeError: Expected weight to be a vector")


def test_a_line_of_a_base_class_is_named():
    class Base(Norm):
        def forward(self, x):
            return x.norm_of_nothing()

    class Derived(Base):
        pass

    message = check.layer_norm(Derived, raises=False).message
    assert message.startswith("Your function raised AttributeError in line 2 of forward")


@pytest.mark.parametrize("name", ["encoder_layer", "decoder_layer"])
def test_a_number_of_heads_that_is_not_used_is_a_fact(name):
    right = {"encoder_layer": companion.EncoderLayer, "decoder_layer": companion.DecoderLayer}[name]
    report = getattr(check, name)(lambda d_model, num_heads, d_ff: right(d_model, 1, d_ff), raises=False)
    assert "With 3 heads and with 6 your output is the same." in report.facts


def test_a_number_of_heads_that_a_transformer_does_not_use_is_a_fact():
    def one_head(config):
        return companion.Transformer(dataclasses.replace(config, num_heads=1))

    assert "With 2 heads and with 10 your logits are the same." in check.transformer(one_head, raises=False).facts
