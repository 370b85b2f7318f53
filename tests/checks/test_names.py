"""Parameters of other names: what is right passes with a warning, and what is wrong is told as it would be anyway."""

import itertools
import re
from functools import reduce

import pytest
import torch
from torch import nn

import companion
from companion import check

WORDS = {
    r"q_proj": "wq", r"k_proj": "W_K", r"v_proj": "valueLayer", r"out_proj": "fc",
    r"linear1": "up", r"linear2": "down",
    r"^weight$": "gain", r"^bias$": "shift", r"norm\.weight": "gamma", r"norm\.bias": "beta",
    r"self_attention": "attn", r"cross_attention": "src_attn", r"add_norm1": "after_attn", r"add_norm2": "middle",
    r"add_norm3": "last", r"source_embedding": "emb_src", r"target_embedding": "emb_tgt", r"^output": "head",
    r"^encoder.layers": "enc", r"^decoder.layers": "dec",
}  # fmt: skip
NUMBERS = {
    r"q_proj": "linears.0", r"k_proj": "linears.1", r"v_proj": "linears.2", r"out_proj": "linears.3",
    r"linear1": "net.0", r"linear2": "net.3",
    r"^weight$": "a_2", r"^bias$": "b_2", r"add_norm(\d).norm": r"norms.\1", r"^norm": "norms.0",
    r"self_attention": "attention1", r"cross_attention": "attention2", r"source_embedding": "embeddings.0",
    r"target_embedding": "embeddings.1", r"^(en|de)coder.layers": r"\1coder_layers",
}  # fmt: skip
FLAT = {
    r"q_proj": "query", r"k_proj": "key", r"v_proj": "value", r"out_proj": "unify", r"linear(\d)": r"fc\1",
    r"^weight$": "scale", r"^bias$": "offset", r"self_attention.": "self_", r"cross_attention.": "cross_",
    r"feed_forward.": "", r"add_norm(\d).norm": r"ln_\1", r"^norm\.": "", r"source_embedding": "src.embedding",
    r"target_embedding": "tgt.embedding", r"^output": "lm_head",
}  # fmt: skip
STYLES = {"words": WORDS, "numbers": NUMBERS, "flat": FLAT}
CLASSES = ["layer_norm", "add_norm", "feed_forward", "multi_head", "encoder_layer", "decoder_layer", "transformer"]
QUICK = CLASSES[:4]


def renamed(make, style):
    """Return what builds the same, but with parameters that have other names."""

    def other(name):
        return reduce(lambda name, pair: re.sub(*pair, name), style.items(), name)

    class Renamed(nn.Module):
        def __init__(self, *sizes):
            super().__init__()
            self.inner = lambda: inner  # not a child
            inner = make(*sizes)
            self.names = {name: other(name).split(".") for name, _ in inner.named_parameters()}
            for name, parameter in inner.named_parameters():
                *path, last = self.names[name]
                place = self
                for part in path:
                    if not hasattr(place, part):
                        setattr(place, part, nn.Module())
                    place = getattr(place, part)
                setattr(place, last, parameter)

        def forward(self, *inputs, **named):
            inner = self.inner().train(self.training).double()
            values = {name: reduce(getattr, path, self) for name, path in self.names.items()}
            return torch.func.functional_call(inner, values, inputs, named)

    return Renamed


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", CLASSES)
def test_what_is_right_passes_and_the_names_are_told(name, style):
    report = getattr(check, name)(renamed(check.CHECKS[name].right, STYLES[style]))
    assert len(report.warnings) == 1
    assert report.warnings[0].startswith("Parameters of yours have other names than in the course: ")


# Norms whose names say nothing may stand in any order.
ONLY_NAMES = {("encoder_layer", "words"): {"norms_swapped"}, ("decoder_layer", "words"): {"norms_in_another_order"}}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CLASSES]
)
def test_what_is_wrong_has_its_cause(name, style):
    one = check.CHECKS[name]
    for bug in one.bank:
        if not bug.shows_in:
            report = getattr(check, name)(renamed(one.implementations(bug)[0].thing, STYLES[style]), raises=False)
            assert report.passed == (bug.name in ONLY_NAMES.get((name, style), ())), bug.name
            assert report.bugs == (bug.name,) or report.passed
            assert "was taken for" in report.warnings[0]


class Norm(nn.Module):
    def __init__(self, d_model):
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.ones(d_model)), nn.Parameter(torch.zeros(d_model))

    def forward(self, x):
        return nn.functional.layer_norm(x, x.shape[-1:], self.gain, self.shift)


class Heads(nn.Module):
    """The four layers have the names that a subclass gives them, in the order in which they are used."""

    names = ("wq", "wk", "wv", "wo")

    def __init__(self, d_model, num_heads):
        super().__init__()
        self.num_heads = num_heads
        for name in sorted(self.names):
            setattr(self, name, self.layer(d_model))

    def layer(self, d_model):
        return nn.Linear(d_model, d_model)

    def forward(self, query, memory=None, mask=None):
        memory = query if memory is None else memory
        q, k, v, o = (getattr(self, name) for name in self.names)
        heads = [companion.split_heads(x, self.num_heads) for x in (q(query), k(memory), v(memory))]
        return o(companion.merge_heads(companion.scaled_dot_product_attention(*heads, mask)))


def test_what_was_taken_for_what_is_listed():
    said = "Parameters of yours have other names than in the course: "
    assert repr(check.layer_norm(Norm)) == (
        f"layer_norm: passed.\nWarning: {said}gain was taken for weight, shift for bias."
    )
    assert check.multi_head(Heads).warnings == (
        f"{said}wk was taken for k_proj, wo for out_proj, wq for q_proj, wv for v_proj.",
    )


def test_names_that_say_nothing_are_taken_in_the_order_that_is_right():
    for order in itertools.permutations(["red", "green", "blue", "grey"]):
        report = check.multi_head(type("Heads", (Heads,), {"names": order}))
        taken = [f"{own} (was taken )?for {expected}" for own, expected in zip(order, "qkvo", strict=True)]
        assert all(re.search(pair, report.warnings[0]) for pair in taken)


def test_names_that_say_nothing_are_tried_in_float32_too():
    class Float32(Heads):
        names = ("red", "green", "blue", "grey")

        def forward(self, query, memory=None, mask=None):
            return super().forward(query * torch.ones(1), memory, mask) @ torch.eye(query.size(-1))

    taken, precision = check.multi_head(Float32).warnings
    assert "red was taken for q_proj" in taken or "red for q_proj" in taken
    assert precision.startswith("Your function works with float32 inputs only")


def test_names_that_say_something_are_believed():
    swapped = type("Heads", (Heads,), {"names": ("key", "query", "value", "out")})
    assert check.multi_head(swapped, raises=False).bugs == ("queries_and_keys_swapped",)
    numbered = type("Heads", (Heads,), {"names": ("layer2", "layer1", "layer3", "layer4")})
    assert check.multi_head(numbered, raises=False).bugs == ("queries_and_keys_swapped",)


def test_where_many_ways_remain_nothing_is_said_of_what_is_wrong():
    """Eight tensors of two shapes can be taken in 576 ways; what is right by their order is right."""
    usual = [f"{name}.{kind}" for name in ("q_proj", "k_proj", "v_proj", "out_proj") for kind in ("weight", "bias")]
    names = dict(zip(usual, ["red", "rot", "green", "grun", "blue", "blau", "grey", "grau"], strict=True))
    one = check.CHECKS["multi_head"]
    assert check.multi_head(renamed(one.right, names)).passed
    unscaled = next(bug for bug in one.bank if bug.name == "scores_not_scaled")
    report = check.multi_head(renamed(one.implementations(unscaled)[0].thing, names), raises=False)
    assert report.message.endswith("; instead it has red, rot, green, grun and 4 more.")
    assert report.warnings == ()


class NoBiases(Heads):
    def layer(self, d_model):
        return nn.Linear(d_model, d_model, bias=False)


class Narrow(Heads):
    def layer(self, d_model):
        return nn.Linear(d_model, d_model + 1)


class Swapped(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(d_ff, d_model), nn.Linear(d_model, d_ff)

    def forward(self, x):
        return self.fc2(self.fc1(x).relu())


class Shared(Norm):
    def __init__(self, d_model):
        super().__init__(d_model)
        self.shift = self.gain


class NormTooMany(Norm):
    def __init__(self, d_model):
        super().__init__(d_model)
        self.norm = nn.LayerNorm(d_model)


class NoModules(Norm):
    def __init__(self, d_model):
        nn.Module.__init__(self)
        self.gain, self.shift = torch.ones(d_model), nn.Parameter(torch.zeros(d_model))


@pytest.mark.parametrize(
    ("name", "cls", "message"),
    [
        ("multi_head", NoBiases, "Your class has no parameter q_proj.bias, k_proj.bias, v_proj.bias, out_proj.bias: is "
         "bias=False said somewhere?"),
        ("multi_head", Narrow, "Your parameter wq.weight has shape (16, 15); it should be (15, 15)."),
        ("feed_forward", Swapped, "Your parameter fc1.weight has shape (7, 11); it should be (11, 7). torch.nn.Linear "
         "takes the number of features that go in first, then of those that come out."),
        ("layer_norm", Shared, "Your parameter shift is gain under another name: each should have numbers of its own."),
        ("layer_norm", NormTooMany, "Your class has no parameter weight, bias; instead it has gain, shift, norm.weight,"
         " norm.bias."),
        ("layer_norm", NoModules, "Your class has no parameter weight, bias. Your gain is a plain tensor: "
         "torch.nn.Parameter makes a tensor one that is trained."),
    ],
)  # fmt: skip
def test_parameters_that_do_not_fit_have_their_cause(name, cls, message):
    assert getattr(check, name)(cls, raises=False).message == message


class InSequence(companion.FeedForward):
    """Each layer has two names, of which one is the check's."""

    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff)
        self.net = nn.Sequential(self.linear1, nn.ReLU(), self.linear2)

    def forward(self, x):
        return self.net(x)


class TwoNamesOfTheirOwn(Norm):
    def __init__(self, d_model):
        super().__init__(d_model)
        self.gamma, self.beta = self.gain, self.shift


@pytest.mark.parametrize(
    ("name", "cls", "taken"),
    [
        ("feed_forward", InSequence, "net.0 was taken for linear1, net.2 for linear2."),
        ("layer_norm", TwoNamesOfTheirOwn, "gain was taken for weight, shift for bias, gamma for weight, beta for "
         "bias."),
    ],
)  # fmt: skip
def test_a_parameter_may_have_two_names(name, cls, taken):
    assert getattr(check, name)(cls).warnings[0].endswith(taken)
