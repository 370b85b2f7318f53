"""`check.feed_forward` and `check.encoder_layer`."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import companion
from companion import check


class Network(nn.Module):
    """The two linear layers; what is done with them is in the classes below."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)

    def forward(self, x):
        return self.linear2(self.linear1(x).clamp(min=0))


class WithDropout(Network):
    def __init__(self, d_model, d_ff, dropout=0.1):
        super().__init__(d_model, d_ff)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.linear2(self.dropout(torch.relu(self.linear1(x))))


class ByMatrices(Network):
    def forward(self, x):
        hidden = torch.maximum(x @ self.linear1.weight.T + self.linear1.bias, torch.zeros((), dtype=x.dtype))
        return hidden @ self.linear2.weight.T + self.linear2.bias


class ByEinsum(Network):
    def forward(self, x):
        hidden = F.relu(torch.einsum("bld,fd->blf", x, self.linear1.weight) + self.linear1.bias)
        return torch.einsum("blf,df->bld", hidden, self.linear2.weight) + self.linear2.bias


class ByPositions(Network):
    def forward(self, x):
        return torch.stack([self.linear2(F.relu(self.linear1(token))) for token in x.unbind(1)], dim=1)


class ByConvolution(Network):
    """A convolution of width 1, as the paper says."""

    def forward(self, x):
        x = F.relu(F.conv1d(x.mT, self.linear1.weight[..., None], self.linear1.bias))
        return F.conv1d(x, self.linear2.weight[..., None], self.linear2.bias).mT


class Affine(nn.Module):
    def __init__(self, features, out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out, features))
        self.bias = nn.Parameter(torch.empty(out))

    def forward(self, x):
        return x @ self.weight.T + self.bias


class OwnParameters(Network):
    def __init__(self, d_model, d_ff):
        nn.Module.__init__(self)
        self.linear1, self.linear2 = Affine(d_model, d_ff), Affine(d_ff, d_model)


@pytest.mark.parametrize(
    "cls",
    [
        Network,
        WithDropout,
        ByMatrices,
        ByEinsum,
        ByPositions,
        ByConvolution,
        OwnParameters,
        companion.FeedForward,
        lambda d_model, d_ff: companion.FeedForward(d_model, d_ff).double(),
    ],
)
@pytest.mark.parametrize("seed", [None, 1])
def test_right_feed_forwards_pass(cls, seed):
    assert repr(check.feed_forward(cls, seed=seed)) == "feed_forward: passed."


def test_a_network_in_float32_passes_with_a_warning():
    class InFloat(Network):
        def forward(self, x):
            hidden = F.relu(F.linear(x.float(), self.linear1.weight.float(), self.linear1.bias.float()))
            return F.linear(hidden, self.linear2.weight.float(), self.linear2.bias.float())

    assert check.feed_forward(InFloat).warnings[0].startswith("Your output is float32")


def test_linear_layers_without_biases_are_told():
    class Biasless(Network):
        def __init__(self, d_model, d_ff):
            super().__init__(d_model, d_ff)
            self.linear1 = nn.Linear(d_model, d_ff, bias=False)

    assert "no parameter linear1.bias" in check.feed_forward(Biasless, raises=False).message


def test_linear_layers_of_swapped_sizes_are_told():
    def swapped(d_model, d_ff):
        return Network(d_ff, d_model)

    assert "linear1.weight has shape" in check.feed_forward(swapped, raises=False).message


def test_leftover_dropout_in_the_network_is_told():
    class Active(Network):
        def forward(self, x):
            return self.linear2(F.dropout(F.relu(self.linear1(x)), 0.2))

    assert "Two calls with the same inputs" in check.feed_forward(Active, raises=False).message


def network(forward):
    return type("Variant", (Network,), {"forward": forward})


def test_two_bugs_of_a_network_are_both_named():
    both = network(lambda self, x: F.linear(F.gelu(self.linear1(x)), self.linear2.weight))
    report = check.feed_forward(both, raises=False)
    assert set(report.bugs) == {"gelu_for_relu", "second_bias_missing"}


@pytest.mark.parametrize(
    ("forward", "fact"),
    [
        (
            lambda self, x: self.linear2(2 * self.linear1(x)),
            "Your network is linear: without biases f(2x) is 2f(x) and f(-x) is -f(x).",
        ),
        (
            lambda self, x: self.linear2(F.relu(self.linear1(x)) ** 2),
            "Without biases f(2x) is not 2f(x), as it is for ReLU: is the activation another one?",
        ),
        (
            lambda self, x: self.linear2(F.relu(self.linear1(x + x.roll(1, 1)))),
            "Changing the other tokens moves token 0; each position is treated by itself.",
        ),
        (
            lambda self, x: self.linear2(F.relu(self.linear1(x + x.roll(1, 0)))),
            "Changing the second item of the batch moves the first.",
        ),
        (
            lambda self, x: F.relu(x) * 0.5 + self.linear2.bias,
            "Changing linear1.weight, linear1.bias, linear2.weight does not move your output; it should.",
        ),
    ],
)
def test_unknown_networks_are_rejected_with_facts_and_without_a_name(forward, fact):
    report = check.feed_forward(network(forward), raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert fact in report.facts
    assert report.tables


# --- encoder layer


class Layer(nn.Module):
    """From the companion's parts."""

    def __init__(self, d_model, num_heads, d_ff):
        super().__init__()
        self.self_attention = companion.MultiHeadAttention(d_model, num_heads)
        self.feed_forward = companion.FeedForward(d_model, d_ff)
        self.add_norm1 = companion.AddNorm(d_model)
        self.add_norm2 = companion.AddNorm(d_model)

    def forward(self, x, mask=None):
        x = self.add_norm1(x, lambda x: self.self_attention(x, mask=mask))
        return self.add_norm2(x, self.feed_forward)


class WithoutDefault(Layer):
    def forward(self, x, mask):
        attended = self.self_attention(x, None, mask)
        x = self.add_norm1.norm(x + attended)
        return self.add_norm2.norm(x + self.feed_forward(x))


class WithDropouts(Layer):
    def __init__(self, d_model, num_heads, d_ff, dropout=0.1):
        super().__init__(d_model, num_heads, d_ff)
        self.add_norm1 = companion.AddNorm(d_model, dropout=dropout)
        self.add_norm2 = companion.AddNorm(d_model, dropout=dropout)


class ByTorch(Layer):
    """The companion's parameters in torch's own layer."""

    def __init__(self, d_model, num_heads, d_ff):
        super().__init__(d_model, num_heads, d_ff)
        self.num_heads = num_heads

    def forward(self, x, mask=None):
        own, ff = self.self_attention, self.feed_forward
        projections = (own.q_proj, own.k_proj, own.v_proj)
        weights = {
            "self_attn.in_proj_weight": torch.cat([one.weight for one in projections]),
            "self_attn.in_proj_bias": torch.cat([one.bias for one in projections]),
        }
        pairs = {
            "self_attn.out_proj": own.out_proj,
            "linear1": ff.linear1,
            "linear2": ff.linear2,
            "norm1": self.add_norm1.norm,
            "norm2": self.add_norm2.norm,
        }
        for name, one in pairs.items():
            weights |= {f"{name}.weight": one.weight, f"{name}.bias": one.bias}
        layer = nn.TransformerEncoderLayer(x.size(-1), self.num_heads, ff.linear1.out_features, 0.0, batch_first=True)
        if mask is not None:  # (B * H, L, L), and True is hidden
            shape = (x.size(0), self.num_heads, x.size(1), x.size(1))
            mask = ~mask.expand(shape).flatten(0, 1)
        return torch.func.functional_call(layer, weights, (x, mask))


class Plain(nn.Module):
    """A container of parameters that have the right names."""


def named(d_model, *names):
    plain = Plain()
    for name in names:
        setattr(plain, name, nn.Linear(d_model, d_model))
    return plain


class WrittenOut(nn.Module):
    """Nothing of the companion, and attention by loops over heads."""

    def __init__(self, d_model, num_heads, d_ff):
        super().__init__()
        self.num_heads = num_heads
        self.self_attention = named(d_model, "q_proj", "k_proj", "v_proj", "out_proj")
        self.feed_forward = Network(d_model, d_ff)
        self.add_norm1, self.add_norm2 = Plain(), Plain()
        self.add_norm1.norm, self.add_norm2.norm = nn.LayerNorm(d_model), nn.LayerNorm(d_model)

    def attend(self, x, mask):
        own = self.self_attention
        heads = []
        for head, (q, k, v) in enumerate(
            zip(*(one(x).chunk(self.num_heads, -1) for one in (own.q_proj, own.k_proj, own.v_proj)), strict=True)
        ):
            scores = q @ k.mT / q.size(-1) ** 0.5
            if mask is not None:
                part = mask if mask.dim() == 2 else mask[:, head % mask.size(1)]
                scores = scores.masked_fill(~part, float("-inf"))
            heads.append(scores.softmax(-1) @ v)
        return own.out_proj(torch.cat(heads, -1))

    def forward(self, x, mask=None):
        x = self.add_norm1.norm(x + self.attend(x, mask))
        return self.add_norm2.norm(x + self.feed_forward(x))


class WithWeights(Layer):
    def forward(self, x, mask=None):
        return super().forward(x, mask), torch.eye(x.size(1))


class Reference(companion.EncoderLayer):
    def __init__(self, d_model, num_heads, d_ff):
        super().__init__(d_model, num_heads, d_ff, norm_first=False)
        companion.use_implementation(self, "reference")


@pytest.mark.parametrize(
    "cls",
    [
        Layer,
        WithoutDefault,
        WithDropouts,
        ByTorch,
        WrittenOut,
        WithWeights,
        Reference,
        companion.EncoderLayer,
    ],
)
@pytest.mark.parametrize("seed", [None, 1])
def test_right_encoder_layers_pass(cls, seed):
    assert repr(check.encoder_layer(cls, seed=seed)) == "encoder_layer: passed."


def test_a_layer_in_float32_passes_with_a_warning():
    class InFloat(Layer):
        def forward(self, x, mask=None):
            return super().forward(x, mask).float()

    assert check.encoder_layer(InFloat).warnings[0].startswith("Your output is float32")


def test_the_companions_pre_norm_layer_is_named():
    def pre_norm(d_model, num_heads, d_ff):
        return companion.EncoderLayer(d_model, num_heads, d_ff, norm_first=True)

    assert check.encoder_layer(pre_norm, raises=False).bugs == ("pre_norm",)


def test_a_layer_that_lacks_its_second_norm_is_told():
    class OneNorm(Layer):
        def __init__(self, d_model, num_heads, d_ff):
            super().__init__(d_model, num_heads, d_ff)
            del self.add_norm2

        def forward(self, x, mask=None):
            return self.feed_forward(self.add_norm1(x, self.self_attention))

    assert "add_norm2.norm.weight" in check.encoder_layer(OneNorm, raises=False).message


def test_sublayers_kept_in_a_list_are_told():
    class Listed(Layer):
        def __init__(self, d_model, num_heads, d_ff):
            super().__init__(d_model, num_heads, d_ff)
            self.norms = [companion.AddNorm(d_model), companion.AddNorm(d_model)]
            del self.add_norm1, self.add_norm2

    assert "no parameter add_norm1.norm.weight" in check.encoder_layer(Listed, raises=False).message


def test_the_name_does_not_depend_on_what_a_plain_softmax_gives_where_nothing_is_seen():
    class Inverted(WrittenOut):
        def forward(self, x, mask=None):
            return super().forward(x, None if mask is None else ~mask)

    assert check.encoder_layer(Inverted, raises=False).bugs == ("mask_inverted",)


def test_a_mask_of_none_has_to_be_taken():
    class Insists(Layer):
        def forward(self, x, mask=None):
            return super().forward(x, mask.bool())

    message = check.encoder_layer(Insists, raises=False).message
    assert message.startswith("Your function raised AttributeError in line")


def test_leftover_dropout_in_the_layer_is_told():
    class Active(Layer):
        def forward(self, x, mask=None):
            return F.dropout(super().forward(x, mask), 0.1)

    assert "Two calls with the same inputs" in check.encoder_layer(Active, raises=False).message


def layer(forward):
    return type("Variant", (Layer,), {"forward": forward})


@pytest.mark.parametrize(
    ("forward", "bugs"),
    [
        (
            lambda self, x, mask=None: self.add_norm2(
                self.add_norm1.norm(self.self_attention(x, mask=mask)), lambda x: x * 0 + self.feed_forward(x)
            ),
            {"residual_around_attention_missing"},
        ),
        (
            lambda self, x, mask=None: self.add_norm2(self.add_norm1.norm(self.self_attention(x)), self.feed_forward),
            {"mask_ignored", "residual_around_attention_missing"},
        ),
        (
            lambda self, x, mask=None: self.add_norm1(
                self.add_norm1(x, lambda x: self.self_attention(x, causal=True, mask=mask)), self.feed_forward
            ),
            {"causal_mask_in_the_encoder", "one_norm_for_both"},
        ),
    ],
)
def test_one_or_two_bugs_of_a_layer_are_named(forward, bugs):
    assert set(check.encoder_layer(layer(forward), raises=False).bugs) == bugs


def plain(layer, x, mask):
    return Layer.forward(layer, x, mask)


@pytest.mark.parametrize(
    ("forward", "fact"),
    [
        (
            lambda self, x, mask=None: plain(self, x + x.roll(1, 0), mask),
            "Changing the second item of the batch moves the first.",
        ),
        (
            lambda self, x, mask=None: plain(self, x, torch.eye(x.size(1), dtype=torch.bool)),
            "Without a mask, changing the last token does not move the first; it should.",
        ),
        (
            lambda self, x, mask=None: plain(self, x + torch.arange(x.size(1))[:, None], mask),
            "Without a mask, x in another order does not give the same output in that order; it should.",
        ),
        (
            lambda self, x, mask=None: 2 * plain(self, x, None),
            "A token that the padding mask hides moves a token that may not attend to it.",
        ),
        (
            lambda self, x, mask=None: 2 * plain(self, x, None),
            "Under a causal mask, the last token moves a token that may not attend to it.",
        ),
        (lambda self, x, mask=None: 2 * plain(self, x, mask), "With weight 1 and bias 0 in the norm, your tokens"),
        (
            lambda self, x, mask=None: self.add_norm2(0.5 * x, lambda x: self.self_attention(x, mask=mask)),
            "Changing feed_forward.linear1.weight, feed_forward.linear1.bias, feed_forward.linear2.weight, "
            "feed_forward.linear2.bias and 2 more does not move your output; it should.",
        ),
    ],
)
def test_unknown_layers_are_rejected_with_facts_and_without_a_name(forward, fact):
    report = check.encoder_layer(layer(forward), raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert any(found.startswith(fact) for found in report.facts)
    assert len(report.tables) == 2


def test_attention_without_a_residual_before_a_pre_norm_half_is_not_called_a_pre_norm_layer():
    class Mixed(Layer):
        def forward(self, x, mask=None):
            x = self.add_norm1.norm(self.self_attention(x, mask=mask))
            return x + self.feed_forward(self.add_norm2.norm(x))

    report = check.encoder_layer(Mixed, raises=False)
    assert report.bugs == ("pre_norm_in_the_second_half", "residual_around_attention_missing")


RIGHT_ANSWERS = {
    "feed_forward": [
        companion.FeedForward,
        *(Network, WithDropout, ByMatrices, ByEinsum, ByPositions, ByConvolution, OwnParameters),
    ],
    "encoder_layer": [
        companion.EncoderLayer,
        *(Layer, WithoutDefault, WithDropouts, ByTorch, WrittenOut, WithWeights, Reference),
    ],
}


class NormOnThePathOfX(nn.Module):
    """Both sums are of the normed x, and nothing is normalised behind them."""

    def __init__(self, d_model, num_heads, d_ff):
        super().__init__()
        self.self_attention = companion.MultiHeadAttention(d_model, num_heads)
        self.feed_forward = companion.FeedForward(d_model, d_ff)
        self.add_norm1, self.add_norm2 = companion.AddNorm(d_model), companion.AddNorm(d_model)

    def forward(self, x, mask=None):
        normed = self.add_norm1.norm(x)
        middle = self.add_norm2.norm(normed + self.self_attention(normed, mask=mask))
        return middle + self.feed_forward(middle)


def relu_at_the_end(layer):
    """Make a class of layers whose network is activated at its end as well."""

    class Activated(layer):
        def __init__(self, *sizes):
            super().__init__(*sizes)
            self.feed_forward.register_forward_hook(lambda module, inputs, output: output.relu())

    return Activated


def test_what_is_wrong_in_a_part_is_named_in_a_layer_too():
    report = check.encoder_layer(NormOnThePathOfX, raises=False)
    assert report.bugs == ("residual_from_the_normed_x",)
    assert report.message.startswith("In your add & norm: you normalise x and use it both for the sublayer and for the")
    for name, layer in (("encoder_layer", companion.EncoderLayer), ("decoder_layer", companion.DecoderLayer)):
        report = getattr(check, name)(relu_at_the_end(layer), raises=False)
        assert report.bugs == ("activation_after_both",)
        assert report.message.startswith("In the feed-forward network: there is an activation after the second linear")
