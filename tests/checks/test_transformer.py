"""`check.transformer` lets every right model pass, and tells how layers should be stacked."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import companion
from companion import check
from companion.checks.transformer.ends import RightTransformer

# --- right, written in different ways


class Textbook(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.scale = math.sqrt(config.d_model)
        self.pad_id = config.pad_id
        self.source_embedding = nn.Embedding(config.source_vocab_size, config.d_model)
        self.target_embedding = nn.Embedding(config.target_vocab_size, config.d_model)
        self.positions = companion.SinusoidalPositionalEncoding(config.d_model, config.max_len)
        sizes = (config.d_model, config.num_heads, config.d_ff)
        self.encoder = companion.Encoder(config.num_encoder_layers, *sizes)
        self.decoder = companion.Decoder(config.num_decoder_layers, *sizes)
        self.output = nn.Linear(config.d_model, config.target_vocab_size, bias=False)

    def forward(self, source_ids, target_ids):
        source_mask = companion.padding_mask(source_ids, self.pad_id)
        memory = self.encoder(self.positions(self.source_embedding(source_ids) * self.scale), source_mask)
        target = self.positions(self.target_embedding(target_ids) * self.scale)
        return self.output(self.decoder(target, memory, None, source_mask))


class MasksTheTargetToo(Textbook):
    def forward(self, source_ids, target_ids):
        source_mask = (source_ids != self.pad_id)[:, None, None, :]
        target_mask = (target_ids != self.pad_id)[:, None, None, :]
        memory = self.encoder(self.positions(self.source_embedding(source_ids) * self.scale), source_mask)
        target = self.positions(self.target_embedding(target_ids) * self.scale)
        return self.output(self.decoder(target, memory, target_mask, source_mask))


class TableOfItsOwn(Textbook):
    def __init__(self, config):
        super().__init__(config)
        del self.positions
        self.register_buffer("table", companion.sinusoidal_encoding(config.max_len, config.d_model), persistent=False)

    def positions(self, x):
        return x + self.table[: x.size(1)].to(x.dtype)


class PositionsByHand(Textbook):
    def __init__(self, config):
        super().__init__(config)
        del self.positions

    def positions(self, x):
        rows = [
            [(math.sin if i % 2 == 0 else math.cos)(t / 10000 ** ((i - i % 2) / x.size(2))) for i in range(x.size(2))]
            for t in range(x.size(1))
        ]
        return x + torch.tensor(rows, dtype=x.dtype)


class Stack(nn.Module):
    def __init__(self, make, count):
        super().__init__()
        self.layers = nn.ModuleList([make() for _ in range(count)])

    def forward(self, x, *rest):
        for layer in self.layers:
            x = layer(x, *rest)
        return x


class StacksOfItsOwn(Textbook):
    def __init__(self, config):
        super().__init__(config)
        sizes = (config.d_model, config.num_heads, config.d_ff)
        self.encoder = Stack(lambda: companion.EncoderLayer(*sizes), config.num_encoder_layers)
        self.decoder = Stack(lambda: companion.DecoderLayer(*sizes), config.num_decoder_layers)


class ClonedAndDrawnAnew(StacksOfItsOwn):
    def __init__(self, config):
        super().__init__(config)
        for half in (self.encoder, self.decoder):
            half.layers = nn.ModuleList(copy.deepcopy(half.layers[0]) for _ in half.layers)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)


class Reference(Textbook):
    def __init__(self, config):
        super().__init__(config)
        companion.use_implementation(self, "reference")


class WithDropout(Textbook):
    def forward(self, source_ids, target_ids):
        return F.dropout(super().forward(source_ids, target_ids), 0.1, self.training)


class AlsoReturnsTheMemory(Textbook):
    def forward(self, source_ids, target_ids):
        return super().forward(source_ids, target_ids), self.source_embedding(source_ids)


class CountsFromZero(Textbook):
    """All weights zero at first, as for a test: not copies of one another."""

    def __init__(self, config):
        super().__init__(config)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


RIGHT = [
    Textbook,
    MasksTheTargetToo,
    TableOfItsOwn,
    PositionsByHand,
    StacksOfItsOwn,
    ClonedAndDrawnAnew,
    Reference,
    WithDropout,
    AlsoReturnsTheMemory,
    CountsFromZero,
    companion.Transformer,
    RightTransformer,
]


@pytest.mark.parametrize("cls", RIGHT)
def test_right_models_pass_without_a_warning(cls):
    report = check.transformer(cls)
    assert report.passed
    assert report.warnings == ()


# --- structure, written in other ways than in the bank


def structural(cls):
    (bug,) = check.transformer(cls, raises=False).bugs
    return bug


def test_one_layer_for_all():
    class Shared(Textbook):
        def __init__(self, config):
            super().__init__(config)
            layer = companion.EncoderLayer(config.d_model, config.num_heads, config.d_ff)
            self.encoder.layers = nn.ModuleList([layer for _ in range(config.num_encoder_layers)])

    assert structural(Shared) == "one_layer_for_all"


def test_layers_in_a_list():
    class Hidden(Textbook):
        def __init__(self, config):
            super().__init__(config)
            layers = [
                companion.DecoderLayer(config.d_model, config.num_heads, config.d_ff)
                for _ in range(config.num_decoder_layers)
            ]
            del self.decoder.layers
            self.decoder.layers = layers

    assert structural(Hidden) == "layers_in_a_list"
    assert "ModuleList" in check.transformer(Hidden, raises=False).message


def test_layers_cloned():
    class Cloned(Textbook):
        def __init__(self, config):
            super().__init__(config)
            layer = companion.EncoderLayer(config.d_model, config.num_heads, config.d_ff)
            self.encoder.layers = nn.ModuleList(copy.deepcopy(layer) for _ in range(config.num_encoder_layers))

    assert structural(Cloned) == "layers_cloned"


def test_two_bugs_at_once():
    class Twice(Textbook):
        def forward(self, source_ids, target_ids):
            mask = companion.padding_mask(source_ids, self.pad_id)
            memory = self.encoder(self.source_embedding(source_ids) * self.scale, mask)
            target = self.positions(self.target_embedding(target_ids) * self.scale)
            return self.output(self.decoder(target, memory, None, None))

    report = check.transformer(Twice, raises=False)
    assert set(report.bugs) == {"source_positions_missing", "padding_forgotten_in_cross_attention"}


# --- what no known bug explains


def test_an_unknown_bug_gets_facts():
    class Odd(Textbook):
        def forward(self, source_ids, target_ids):
            logits = super().forward(source_ids, target_ids)
            return logits + logits.flip(1)

    report = check.transformer(Odd, raises=False)
    assert report.bugs == ()
    assert report.message == "Your output is not the right one."
    assert "Changing the last target token moves the logits of the first, which may not see it." in report.facts
    html = report._repr_html_()
    assert "How far the logits of target token t move when target token s is another" in html
    assert "How far the logits of target token t move when source token s is another" in html


def test_a_part_that_does_nothing_is_named():
    class Skips(Textbook):
        def forward(self, source_ids, target_ids):
            mask = companion.padding_mask(source_ids, self.pad_id)
            memory = self.encoder.layers[1](self.source_embedding(source_ids), mask)
            target = self.positions(self.target_embedding(target_ids) * self.scale)
            return self.output(self.decoder(target, memory, None, mask))

    facts = check.transformer(Skips, raises=False).facts
    assert "Changing the parameters of encoder.layers.0 does not move your logits; it should." in facts
    assert "The order of the source's tokens does not move your logits; it should." in facts


def test_missing_parameters_and_a_wrong_constructor():
    class NoOutput(Textbook):
        def __init__(self, config):
            super().__init__(config)
            del self.output

    assert check.transformer(NoOutput, raises=False).message == "Your class has no parameter output.weight."
    assert check.transformer(lambda: 3, raises=False).message == (
        "Your class is built with (); the check calls cls(config), with forward(source_ids, target_ids)."
    )


def test_dropout_that_is_always_on():
    class Always(Textbook):
        def forward(self, source_ids, target_ids):
            return F.dropout(super().forward(source_ids, target_ids), 0.1)

    assert check.transformer(Always, raises=False).message.startswith("Two calls with the same inputs give different")


def test_the_right_answer_is_the_companions():
    one = check.CHECKS["transformer"]
    for probe in one.probes:
        model = companion.Transformer(probe.inputs["config"]).double().eval()
        model.load_state_dict({name: probe.inputs[name] for name in model.state_dict()})
        expected = model(probe.inputs["source_ids"], probe.inputs["target_ids"])
        torch.testing.assert_close(one.expected(probe), expected.detach(), rtol=1e-10, atol=1e-10)


RIGHT_ANSWERS = {"transformer": RIGHT}


class WithStages(Textbook):
    """The right model, in which something is done to what passes from stage to stage."""

    def enter(self, x):
        return x * self.scale

    def remember(self, x):
        return x

    def leave(self, x):
        return x

    def forward(self, source_ids, target_ids):
        mask = companion.padding_mask(source_ids, self.pad_id)
        memory = self.encoder(self.positions(self.enter(self.source_embedding(source_ids))), mask)
        target = self.positions(self.enter(self.target_embedding(target_ids)))
        return self.output(self.leave(self.decoder(target, self.remember(memory), None, mask)))


class RootAdded(WithStages):
    def enter(self, x):
        return x + self.scale


class ClampedAtFirst(WithStages):
    def enter(self, x):
        return (x * self.scale).clamp(-0.5, 0.5)


class ClampedInBetween(WithStages):
    def remember(self, x):
        return x.clamp(-0.5, 0.5)


class ClampedAtLast(WithStages):
    def leave(self, x):
        return x.clamp(-0.5, 0.5)


class NormBehindTheEncoder(WithStages):
    def remember(self, x):
        return F.layer_norm(x, x.shape[-1:])


class NormBehindBoth(NormBehindTheEncoder):
    leave = NormBehindTheEncoder.remember


class NormOfItsOwn(WithStages):
    def __init__(self, config):
        super().__init__(config)
        self.final_norm = nn.LayerNorm(config.d_model)

    def leave(self, x):
        return self.final_norm(x)


def test_an_addition_of_the_root_is_named():
    assert check.transformer(RootAdded, raises=False).bugs == ("root_of_d_model_added",)


def test_a_norm_too_many_is_named():
    assert check.transformer(WithStages).passed
    assert check.transformer(NormBehindTheEncoder, raises=False).bugs == ("norm_behind_the_encoder",)
    assert check.transformer(NormBehindBoth, raises=False).bugs == ("norm_behind_the_encoder",)
    report = check.transformer(NormOfItsOwn, raises=False)
    assert report.message.endswith("that this check does not expect. Is there a norm more than in the formula?")


@pytest.mark.parametrize(
    ("cls", "stage"),
    [
        (ClampedAtFirst, "What enters the first encoder layer is not the embeddings times sqrt(d_model) plus the "),
        (ClampedInBetween, "What enters the first decoder layer is right, and what leaves the last one is not: "),
        (ClampedAtLast, "What leaves the last decoder layer is right: look at what stands between it and the logits."),
    ],
)
def test_the_first_stage_that_is_wrong_is_told(cls, stage):
    report = check.transformer(cls, raises=False)
    assert report.bugs == ()
    assert any(fact.startswith(stage) for fact in report.facts)


def test_what_is_wrong_in_the_network_of_every_layer_is_named():
    class SigmoidForRelu(Textbook):
        def __init__(self, config):
            super().__init__(config)
            for layer in (*self.encoder.layers, *self.decoder.layers):
                network = layer.feed_forward
                network.forward = lambda x, network=network: network.linear2(network.linear1(x).sigmoid())

    report = check.transformer(SigmoidForRelu, raises=False)
    assert report.bugs == ("sigmoid_for_relu",)
    assert report.message == "In the feed-forward network: your activation is a sigmoid; it should be ReLU, max(0, x)."
