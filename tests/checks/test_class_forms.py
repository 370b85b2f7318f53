"""How a class and its forward may be written, and how they are told what is wrong with what they take."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import companion
from companion import check

CALL = "the check calls cls(d_model), with forward(x)."
ADD_NORM_CALL = "the check calls cls(d_model), with forward(x, sublayer)."
LAYER_CALL = "the check calls cls(d_model, num_heads, d_ff), with forward(x, memory, mask, memory_mask)."


class Norm(nn.Module):
    def __init__(self, d_model):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x):
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias)


# --- right ones, called in the ways that they allow


class ByNameOnly(Norm):
    def __init__(self, *, d_model):
        super().__init__(d_model)

    def forward(self, *, x):
        return super().forward(x)


class AnyArguments(Norm):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs)


class NamedArguments(Norm):
    def forward(self, **kwargs):
        return super().forward(kwargs["x"])


@pytest.mark.parametrize("cls", [Norm, ByNameOnly, AnyArguments, NamedArguments])
def test_all_signatures_that_take_the_inputs_pass(cls):
    assert check.layer_norm(cls).passed


class NamedMasks(companion.DecoderLayer):
    def forward(self, x, memory, *, mask=None, memory_mask=None):
        return super().forward(x, memory, mask, memory_mask)


class MasksAmongOthers(companion.DecoderLayer):
    def forward(self, x, memory, **masks):
        return super().forward(x, memory, **masks)


class OtherNames(companion.MultiHeadAttention):
    def forward(self, tokens, source=None, allowed=None):  # a mask without a memory is passed by its place
        return super().forward(tokens, source, allowed)


@pytest.mark.parametrize(
    ("name", "cls"),
    [("decoder_layer", NamedMasks), ("decoder_layer", MasksAmongOthers), ("multi_head", OtherNames)],
)
def test_inputs_that_may_be_left_out_are_passed_as_the_signature_says(name, cls):
    assert getattr(check, name)(cls).passed


def test_buffers_of_another_dtype_pass():
    class Centred(Norm):
        def __init__(self, d_model):
            super().__init__(d_model)
            self.register_buffer("mean", torch.full((d_model, 1), 1 / d_model))

        def forward(self, x):
            return super().forward(x - x @ self.mean)

    assert check.layer_norm(Centred).warnings == ()


# --- what a class is, and what it takes


class NoModule:
    def __init__(self, d_model):
        self.weight = torch.ones(d_model)

    def forward(self, x):
        return x


class NoInit(nn.Module):
    def forward(self, x):
        return x


class MisspelledInit(nn.Module):
    def _init__(self, d_model):
        super().__init__()

    def forward(self, x):
        return x


class MisspelledForward(Norm):
    forward = nn.Module.forward

    def foward(self, x):
        return x


class NoSelf(Norm):
    def forward(x):  # noqa: N805
        return x


class NoSuper(Norm):
    def __init__(self, d_model):
        self.weight = nn.Parameter(torch.ones(d_model))


class NoSuperNothing(Norm):
    def __init__(self, d_model):
        self.d_model = d_model


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (NoModule, "Your class is not a torch.nn.Module: begin it with class NoModule(torch.nn.Module)."),
        (NoInit, f"Your class has no __init__; {CALL}"),
        (MisspelledInit, f"Your class has no __init__ (is _init__ meant to be it?); {CALL}"),
        (MisspelledForward, f"Your class has no forward (is foward meant to be it?); {CALL}"),
        (NoSelf, "Your forward has no self: write def forward(self, x)."),
        (NoSuper, "Your __init__ does not call super().__init__(): it should do so first, before it makes any layer."),
        (NoSuperNothing, "Your __init__ does not call super().__init__(): it should do so first, before it makes any "
         "layer."),
        (lambda d_model: 3, "The check needs a class, cls(d_model), with forward(x); what you handed in returned an "
         "int."),
    ],
)  # fmt: skip
def test_a_class_of_another_kind_is_told_what_it_lacks(cls, message):
    assert check.layer_norm(cls, raises=False).message == message


class SublayerFirst(companion.AddNorm):
    def forward(self, sublayer, x):
        return super().forward(x, sublayer)


class MasksTurned(companion.DecoderLayer):
    def forward(self, x, memory, memory_mask=None, mask=None):
        return super().forward(x, memory, mask, memory_mask)


class KeyAndValue(companion.MultiHeadAttention):
    def forward(self, query, key, value, mask=None):
        return super().forward(query, key, mask)


@pytest.mark.parametrize(
    ("name", "cls", "message"),
    [
        ("add_norm", SublayerFirst, f"Your forward takes (sublayer, x), in another order; {ADD_NORM_CALL}"),
        (
            "decoder_layer",
            MasksTurned,
            f"Your forward takes (x, memory, memory_mask, mask), in another order; {LAYER_CALL}",
        ),
        ("multi_head", KeyAndValue, "Your forward takes (query, key, value, mask); the check calls cls(d_model, "
         "num_heads), with forward(query, memory, mask)."),
    ],
)  # fmt: skip
def test_inputs_in_another_order_are_told(name, cls, message):
    assert getattr(check, name)(cls, raises=False).message == message


def test_sizes_in_another_order_are_told():
    def swapped(num_heads, d_model):
        return companion.MultiHeadAttention(d_model, num_heads)

    message = check.multi_head(swapped, raises=False).message
    assert message.startswith("Your class is built with (num_heads, d_model), in another order; the check calls")


def test_a_function_that_takes_named_arguments_passes():
    assert check.split_heads(lambda x, **sizes: companion.split_heads(x, sizes["num_heads"])).passed
