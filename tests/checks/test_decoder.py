"""`check.decoder_layer`."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import companion
from companion import check


class Layer(nn.Module):
    """From the companion's parts."""

    def __init__(self, d_model, num_heads, d_ff):
        super().__init__()
        self.self_attention = companion.MultiHeadAttention(d_model, num_heads)
        self.cross_attention = companion.MultiHeadAttention(d_model, num_heads)
        self.feed_forward = companion.FeedForward(d_model, d_ff)
        self.add_norm1 = companion.AddNorm(d_model)
        self.add_norm2 = companion.AddNorm(d_model)
        self.add_norm3 = companion.AddNorm(d_model)

    def forward(self, x, memory, mask=None, memory_mask=None):
        x = self.add_norm1(x, lambda x: self.self_attention(x, mask=mask, causal=True))
        x = self.add_norm2(x, lambda x: self.cross_attention(x, memory, memory_mask))
        return self.add_norm3(x, self.feed_forward)


class MasksCombined(Layer):
    """A causal mask of its own, AND the one that is given; no defaults."""

    def forward(self, x, memory, mask, memory_mask):
        causal = companion.causal_mask(x.size(1))
        mask = causal if mask is None else mask & causal
        x = self.add_norm1.norm(x + self.self_attention(x, mask=mask))
        x = self.add_norm2.norm(x + self.cross_attention(x, memory, mask=memory_mask))
        return self.add_norm3.norm(x + self.feed_forward(x))


class WithDropouts(Layer):
    def __init__(self, d_model, num_heads, d_ff, dropout=0.1):
        super().__init__(d_model, num_heads, d_ff)
        self.add_norm1 = companion.AddNorm(d_model, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory, mask=None, memory_mask=None):
        x = F.dropout(x, 0.1, training=self.training)
        return self.dropout(super().forward(x, memory, mask, memory_mask))


class ByTorch(Layer):
    """The companion's parameters in torch's own layer."""

    def __init__(self, d_model, num_heads, d_ff):
        super().__init__(d_model, num_heads, d_ff)
        self.num_heads = num_heads

    def forward(self, x, memory, mask=None, memory_mask=None):
        ff, weights = self.feed_forward, {}
        for name, own in (("self_attn", self.self_attention), ("multihead_attn", self.cross_attention)):
            projections = (own.q_proj, own.k_proj, own.v_proj)
            weights[f"{name}.in_proj_weight"] = torch.cat([one.weight for one in projections])
            weights[f"{name}.in_proj_bias"] = torch.cat([one.bias for one in projections])
        pairs = {
            "self_attn.out_proj": self.self_attention.out_proj,
            "multihead_attn.out_proj": self.cross_attention.out_proj,
            "linear1": ff.linear1,
            "linear2": ff.linear2,
            "norm1": self.add_norm1.norm,
            "norm2": self.add_norm2.norm,
            "norm3": self.add_norm3.norm,
        }
        for name, one in pairs.items():
            weights |= {f"{name}.weight": one.weight, f"{name}.bias": one.bias}
        layer = nn.TransformerDecoderLayer(x.size(-1), self.num_heads, ff.linear1.out_features, 0.0, batch_first=True)
        causal = torch.ones(x.size(1), x.size(1), dtype=torch.bool).tril()
        mask = self.hidden(causal if mask is None else mask & causal, x, x)
        return torch.func.functional_call(layer, weights, (x, memory, mask, self.hidden(memory_mask, x, memory)))

    def hidden(self, mask, queries, keys):
        if mask is None:
            return None
        shape = (queries.size(0), self.num_heads, queries.size(1), keys.size(1))
        return ~mask.expand(shape).flatten(0, 1)


class Parameters(nn.Module):
    """Holds parts under the right names."""


class WrittenOut(nn.Module):
    """Nothing of the companion; attention by einsum."""

    def __init__(self, d_model, num_heads, d_ff):
        super().__init__()
        self.num_heads = num_heads
        for name in ("self_attention", "cross_attention"):
            attention = Parameters()
            for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
                setattr(attention, projection, nn.Linear(d_model, d_model))
            setattr(self, name, attention)
        self.feed_forward = Parameters()
        self.feed_forward.linear1, self.feed_forward.linear2 = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
        for name in ("add_norm1", "add_norm2", "add_norm3"):
            setattr(self, name, Parameters())
            getattr(self, name).norm = nn.LayerNorm(d_model)

    def attend(self, own, x, memory, mask):
        q, k, v = (
            one(source).unflatten(-1, (self.num_heads, -1))
            for one, source in ((own.q_proj, x), (own.k_proj, memory), (own.v_proj, memory))
        )
        scores = torch.einsum("bqhe,bkhe->bhqk", q, k) / q.size(-1) ** 0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        return own.out_proj(torch.einsum("bhqk,bkhe->bqhe", scores.softmax(-1), v).flatten(2))

    def forward(self, x, memory, mask=None, memory_mask=None):
        causal = torch.ones(x.size(1), x.size(1), dtype=torch.bool).tril()
        x = self.add_norm1.norm(x + self.attend(self.self_attention, x, x, causal if mask is None else causal & mask))
        x = self.add_norm2.norm(x + self.attend(self.cross_attention, x, memory, memory_mask))
        return self.add_norm3.norm(x + self.feed_forward.linear2(self.feed_forward.linear1(x).relu()))


class WithWeights(Layer):
    def forward(self, x, memory, mask=None, memory_mask=None):
        return super().forward(x, memory, mask, memory_mask), torch.zeros(1)


class Reference(companion.DecoderLayer):
    def __init__(self, d_model, num_heads, d_ff):
        super().__init__(d_model, num_heads, d_ff, dropout=0.1, norm_first=False)
        companion.use_implementation(self, "reference")


@pytest.mark.parametrize(
    "cls",
    [Layer, MasksCombined, WithDropouts, ByTorch, WrittenOut, WithWeights, Reference, companion.DecoderLayer],
)
@pytest.mark.parametrize("seed", [None, 1])
def test_right_decoder_layers_pass(cls, seed):
    assert repr(check.decoder_layer(cls, seed=seed)) == "decoder_layer: passed."


def test_a_layer_in_float32_passes_with_a_warning():
    class InFloat(Layer):
        def forward(self, x, memory, mask=None, memory_mask=None):
            return super().forward(x, memory, mask, memory_mask).float()

    assert check.decoder_layer(InFloat).warnings[0].startswith("Your output is float32")


def test_the_companions_pre_norm_layer_is_named():
    def pre_norm(d_model, num_heads, d_ff):
        return companion.DecoderLayer(d_model, num_heads, d_ff, norm_first=True)

    assert check.decoder_layer(pre_norm, raises=False).bugs == ("pre_norm",)


def test_leftover_dropout_is_told():
    class Active(Layer):
        def forward(self, x, memory, mask=None, memory_mask=None):
            return super().forward(F.dropout(x, 0.1), memory, mask, memory_mask)

    assert "Two calls with the same inputs" in check.decoder_layer(Active, raises=False).message


def test_a_shared_attention_is_told():
    class Shared(Layer):
        def __init__(self, d_model, num_heads, d_ff):
            super().__init__(d_model, num_heads, d_ff)
            self.cross_attention = self.self_attention

    assert "cross_attention.q_proj.weight" in check.decoder_layer(Shared, raises=False).message


def test_the_name_does_not_depend_on_what_a_plain_softmax_gives_where_nothing_is_seen():
    class Inverted(WrittenOut):
        def forward(self, x, memory, mask=None, memory_mask=None):
            return super().forward(x, memory, mask, None if memory_mask is None else ~memory_mask)

    assert check.decoder_layer(Inverted, raises=False).bugs == ("memory_mask_inverted",)


def test_a_memory_mask_with_a_default_may_be_left_out():
    class Insists(Layer):
        def forward(self, x, memory, mask=None, memory_mask=False):
            assert memory_mask is None or memory_mask.dim()
            return super().forward(x, memory, mask, memory_mask)

    message = check.decoder_layer(Insists, raises=False).message
    assert message.startswith("It is right, except when it is called with no memory_mask passed.")


def layer(forward):
    return type("Variant", (Layer,), {"forward": forward})


@pytest.mark.parametrize(
    ("own", "cross", "bugs"),
    [
        ({"causal": False}, {}, {"causal_mask_forgotten"}),
        ({}, {"causal": True}, {"causal_cross_attention"}),
        ({"causal": False}, {"memory": None, "mask": None}, {"causal_mask_forgotten", "memory_ignored"}),
        ({"mask": None}, {"mask": None}, {"mask_ignored", "memory_mask_ignored"}),
    ],
)
def test_one_or_two_bugs_are_named(own, cross, bugs):
    def forward(self, x, memory, mask=None, memory_mask=None):
        x = self.add_norm1(x, lambda x: self.self_attention(x, **{"mask": mask, "causal": True, **own}))
        given = {"memory": memory, "mask": memory_mask, **cross}
        return self.add_norm3(self.add_norm2(x, lambda x: self.cross_attention(x, **given)), self.feed_forward)

    assert set(check.decoder_layer(layer(forward), raises=False).bugs) == bugs


def plain(layer, x, memory, mask=None, memory_mask=None):
    return Layer.forward(layer, x, memory, mask, memory_mask)


@pytest.mark.parametrize(
    ("forward", "fact"),
    [
        (
            lambda self, x, memory, mask=None, memory_mask=None: plain(self, x + x.mean(1, keepdim=True), memory),
            "Changing the last target token moves the first, which may not see it.",
        ),
        (
            lambda self, x, memory, mask=None, memory_mask=None: plain(
                self, x + self.training * x.mean(1, keepdim=True), memory, mask, memory_mask
            ),
            "In training mode, changing the last target token moves the first.",
        ),
        (
            lambda self, x, memory, mask=None, memory_mask=None: plain(self, x + x.roll(1, 0), memory),
            "Changing the second item of the batch moves the first.",
        ),
        (
            lambda self, x, memory, mask=None, memory_mask=None: plain(self, x, memory + memory.roll(1, 0)),
            "Changing the memory of the second item of the batch moves the first item.",
        ),
        (
            lambda self, x, memory, mask=None, memory_mask=None: plain(self, x, torch.ones_like(memory)),
            "Changing the memory does not move your output; it should.",
        ),
        (
            lambda self, x, memory, mask=None, memory_mask=None: plain(self, x, memory[:, :-2]),
            "Changing the last source token does not move the first target token; without a memory_mask it should.",
        ),
        (
            lambda self, x, memory, mask=None, memory_mask=None: plain(self, x, memory.cumsum(1)),
            "The order of the source tokens moves your output; cross-attention alone does not know it.",
        ),
        (
            lambda self, x, memory, mask=None, memory_mask=None: 2 * plain(self, x, memory, mask),
            "Source tokens that memory_mask hides move your output.",
        ),
        (
            lambda self, x, memory, mask=None, memory_mask=None: 2 * plain(self, x, memory, None, memory_mask),
            "A target token that mask hides moves those after it.",
        ),
        (
            lambda self, x, memory, mask=None, memory_mask=None: 2 * plain(self, x, memory, mask, memory_mask),
            "With weight 1 and bias 0 in the norm, your tokens",
        ),
        (
            lambda self, x, memory, mask=None, memory_mask=None: self.add_norm3(
                2 * x, lambda x: self.cross_attention(x, memory, memory_mask)
            ),
            "Changing self_attention.q_proj.weight, self_attention.q_proj.bias, self_attention.k_proj.weight, "
            "self_attention.v_proj.weight and ",
        ),
    ],
)
def test_unknown_layers_are_rejected_with_facts_and_without_a_name(forward, fact):
    report = check.decoder_layer(layer(forward), raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert any(found.startswith(fact) for found in report.facts)
    assert 1 <= len(report.tables) <= 3


def test_which_source_token_moves_what_is_drawn_where_it_is_not_all_of_them():
    def first_hidden(self, x, memory, mask=None, memory_mask=None):
        return 2 * plain(self, x, memory[:, 1:], mask, None)

    captions = [table.caption for table in check.decoder_layer(layer(first_hidden), raises=False).tables]
    assert captions[-1] == "How far output t moves when source token s is changed (t down, s across)"


def second_as(second):
    """Return a layer whose second sublayer is something else."""

    class Changed(Layer):
        def forward(self, x, memory, mask=None, memory_mask=None):
            x = self.add_norm1(x, lambda x: self.self_attention(x, mask=mask, causal=True))
            x = self.add_norm2(x, lambda x: second(self, x, mask, memory_mask))
            return self.add_norm3(x, self.feed_forward)

    return Changed


@pytest.mark.parametrize(
    "second",
    [
        lambda self, x, mask, memory_mask: self.cross_attention(x, mask=mask, causal=True),
        lambda self, x, mask, memory_mask: self.cross_attention(x, mask=mask),
        lambda self, x, mask, memory_mask: self.self_attention(x, mask=mask, causal=True),
    ],
)
def test_a_second_self_attention_under_the_targets_mask_is_named(second):
    report = check.decoder_layer(second_as(second), raises=False)
    assert report.bugs == ("second_self_attention",)


def test_a_memory_mask_that_defaults_to_the_targets_mask_is_told():
    class OneForBoth(Layer):
        def forward(self, x, memory, mask=None, memory_mask=None):
            return super().forward(x, memory, mask, mask if memory_mask is None else memory_mask)

    message = check.decoder_layer(OneForBoth, raises=False).message
    assert message.startswith("It is right, except when it is called with no memory_mask passed.")


RIGHT_ANSWERS = {
    "decoder_layer": [
        companion.DecoderLayer,
        *(Layer, MasksCombined, WithDropouts, ByTorch, WrittenOut, WithWeights, Reference),
    ]
}
