"""The map of the architecture: twenty steps, whose numbers are the model's, from a model that stays as it was."""

import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from companion import Transformer, TransformerConfig, record_attention, sinusoidal_encoding, split_heads, viz
from companion.viz._steps import collect
from companion.viz.architecture import FEATURES, LIKELIEST, _digits, _likeliest

SOURCE, TARGET = torch.tensor([[5, 9, 7, 3, 2]]), torch.tensor([[1, 13, 8]])
SOURCE_TOKENS, TARGET_TOKENS = ["twenty", "-", "o<n", "e", "<eos>"], ["<bos>", "ein", "und"]


def small_model(**changes):
    torch.manual_seed(0)
    sizes = {"d_model": 8, "num_heads": 2, "d_ff": 13, "num_encoder_layers": 1, "num_decoder_layers": 1, "max_len": 32}
    model = Transformer(TransformerConfig(19, 23, **{**sizes, **changes}))
    for name, parameter in model.named_parameters():  # else biases and shifts are 0 and gains 1
        if "norm" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3, mean=float("norm.weight" in name))
    return model


def picture(model, **options):
    return viz.ArchitectureMap(model, SOURCE, TARGET, SOURCE_TOKENS, TARGET_TOKENS, **options)


@pytest.fixture(scope="module")
def model():
    return small_model(dropout=0.1)


@pytest.fixture(scope="module")
def html(model):
    return picture(model)._repr_html_()


class Reader(HTMLParser):
    """The steps as a page without script tells them: names, captions, the numbers of each table."""

    def __init__(self, html):
        super().__init__()
        self.attributes, self.steps, self.tag = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tag = tag
        self.attributes += attrs
        match tag, dict(attrs).get("class"):
            case "li", _:
                self.steps.append({"name": "", "tables": []})
            case "p", "name":
                self.tag = "name"
            case "table", _:
                self.steps[-1]["tables"].append({"caption": "", "rows": []})
            case "tbody", _:
                self.steps[-1]["tables"][-1]["rows"] = []
            case "tr", _:
                self.steps[-1]["tables"][-1]["rows"].append([])

    def handle_endtag(self, tag):
        self.tag = ""

    def handle_data(self, data):
        if self.tag == "name":
            self.steps[-1]["name"] = data
        elif self.tag == "caption":
            self.steps[-1]["tables"][-1]["caption"] += data
        elif self.tag == "td":
            self.steps[-1]["tables"][-1]["rows"][-1].append(float(data.replace("−", "-").replace("∞", "inf")))


def by_hand(model):
    """The twenty steps once more, out of the model's parts: for each the tensors of its tables."""
    model = model.eval()
    root = math.sqrt(model.config.d_model)
    encoder, decoder = model.encoder.layers[-1], model.decoder.layers[-1]

    def positions(ids):
        return sinusoidal_encoding(ids.size(1), model.config.d_model)

    def attend(layer, x, memory, causal=False):
        q, k, v = (
            split_heads(linear(y), layer.num_heads)
            for linear, y in [(layer.q_proj, x), (layer.k_proj, memory), (layer.v_proj, memory)]
        )
        scores = q @ k.mT / math.sqrt(layer.head_dim)
        if causal:
            scores = scores + torch.full_like(scores, -torch.inf).triu(1)
        weights = scores.softmax(-1)
        merged = torch.cat((weights @ v).unbind(1), dim=-1)
        return [q, k, v], [scores, weights], [merged, layer.out_proj(merged)]

    def norm(add_norm, x, y):
        return [x + y, add_norm.norm(x + y)]

    def widen(ff, x):
        return [ff.linear1(x).clamp(min=0), ff(x)]

    with torch.no_grad():
        x2 = model.source_embedding(SOURCE) * root
        x3 = x = x2 + positions(SOURCE)
        for layer in model.encoder.layers[:-1]:
            x = layer(x)
        s4, s5, s6 = attend(encoder.self_attention, x, x)
        s7 = norm(encoder.add_norm1, x, s6[-1])
        s8 = widen(encoder.feed_forward, s7[-1])
        s9 = norm(encoder.add_norm2, s7[-1], s8[-1])
        memory = s9[-1]
        x11 = model.target_embedding(TARGET) * root
        s11 = [x11, x11 + positions(TARGET)]
        y = s11[-1]
        for layer in model.decoder.layers[:-1]:
            y = layer(y, memory)
        qkv, weights, s13 = attend(decoder.self_attention, y, y, causal=True)
        s14 = norm(decoder.add_norm1, y, s13[-1])
        cross_qkv, cross_weights, crossed = attend(decoder.cross_attention, s14[-1], memory)
        s16 = [*crossed, *norm(decoder.add_norm2, s14[-1], crossed[-1])]
        s17 = widen(decoder.feed_forward, s16[-1])
        s18 = norm(decoder.add_norm3, s16[-1], s17[-1])
        logits = model.output(s18[-1])
    source_ids, target_ids = SOURCE[..., None], TARGET[..., None]
    return [
        *([source_ids], [x2], [x3], s4, s5, s6, s7, s8, s9, [target_ids], s11, [*qkv, *weights], s13, s14),
        *([*cross_qkv, *cross_weights], s16, s17, s18, [logits], [logits.softmax(-1)]),
    ]


def shown(tensor, picture):
    """What the map shows of a tensor: tables, one for each head."""
    tensor = tensor[0].double()
    if tensor.size(-1) == 23:
        return [tensor[:, picture.likeliest]]
    return [head[:, :FEATURES] for head in (tensor if tensor.dim() == 3 else [tensor])]


def test_there_are_twenty_steps(model, html):
    assert repr(picture(model)) == "ArchitectureMap(steps=20, source_tokens=5, target_tokens=3, d_model=8)"
    steps = Reader(html).steps
    assert len(steps) == html.count('<g class="box"') == 20
    assert [steps[number - 1]["name"] for number in (1, 9, 20)] == [
        "Source ids",
        "Add & norm: the memory",
        "Probabilities",
    ]
    assert steps[4]["tables"][1]["caption"] == "scores, head 2 of 2: (B, H, S, S) = (1, 2, 5, 5)"
    assert "V = 23 tokens of the target vocabulary." in html


@pytest.mark.parametrize("changes", [{}, {"num_encoder_layers": 2, "num_decoder_layers": 3}, {"d_model": 20}])
def test_every_number_is_the_models(changes):
    model = small_model(**changes)
    map_ = picture(model)
    steps = Reader(map_._repr_html_()).steps
    for step, tensors in zip(steps, by_hand(model), strict=True):
        expected = [table for tensor in tensors for table in shown(tensor, map_)]
        assert len(step["tables"]) == len(expected), step["name"]
        for table, numbers in zip(step["tables"], expected, strict=True):
            rows = np.array(table["rows"])[:, : numbers.size(1)]  # without the other tokens
            np.testing.assert_allclose(rows, numbers, atol=0.0051, rtol=0, err_msg=table["caption"])


def test_the_ends_are_the_models_own(model):
    model.eval()
    found = collect(model, SOURCE, TARGET)
    with torch.no_grad(), record_attention(model) as maps:
        probabilities = model(SOURCE, TARGET).softmax(-1)
    torch.testing.assert_close(found["probabilities"].float(), probabilities)
    torch.testing.assert_close(found["probabilities"].sum(-1), torch.ones(1, 3, dtype=torch.float64))
    torch.testing.assert_close(found["enc.add_norm2.output"].float(), model.encode(SOURCE).detach())
    ours = ["enc.self_attention.weights", "dec.self_attention.weights", "dec.cross_attention.weights"]
    for name, weights in zip(ours, maps.values(), strict=True):
        torch.testing.assert_close(found[name].float(), weights)


def test_the_model_stays_as_it_was():
    model = small_model(dropout=0.1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    picture(model)
    assert model.training
    assert all(parameter.dtype == torch.float32 and parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_the_likeliest_tokens_are_shown_and_the_rows_sum_to_one(model):
    map_ = picture(model)
    probabilities = map_.tensors["probabilities"][0]
    assert len(map_.likeliest) == LIKELIEST
    assert set(probabilities.argmax(axis=1)) <= set(map_.likeliest)
    rows = Reader(map_._repr_html_()).steps[-1]["tables"][0]["rows"]
    assert [len(row) for row in rows] == [LIKELIEST + 1] * 3
    np.testing.assert_allclose(np.sum(rows, axis=1), 1, atol=0.055)
    names = [f"name{token}" for token in range(23)]
    named = picture(model, target_vocabulary=names)
    assert named.words == [names[token] for token in map_.likeliest]
    assert "13 others</th>" in named._repr_html_()


def test_a_position_keeps_its_likeliest_token_though_others_are_likelier_elsewhere():
    probabilities = np.full((2, 40), 0.001)
    probabilities[0, :15] = 0.06
    probabilities[1, 30] = 0.02
    assert _likeliest(probabilities) == [*range(9), 30]
    assert _likeliest(probabilities[:, :11]) == list(range(11))


def test_it_runs_to_the_same_bytes_is_small_and_fetches_nothing(model, html):
    assert picture(model)._repr_html_() == html
    assert len(html.encode()) < 150_000
    names = {name for name, _ in Reader(html).attributes}
    assert not {"id", "src", "href"} & names
    assert "http" not in html
    assert "url(" not in html
    assert "o<n" not in re.sub(r"data-picture='[^']*'", "", html)


def test_digits_do_not_hang_on_the_last_bit():
    assert [_digits(number) for number in (0.125, 0.125 - 1e-12, -0.001, -0.126, -np.inf)] == [
        *("0.13", "0.13", "0.00", "−0.13", "−∞")
    ]


def test_large_models_are_cut_and_told_so():
    html = picture(small_model(d_model=20, num_encoder_layers=2))._repr_html_()
    assert "(B, S, D) = (1, 5, 20); the first 8 features</caption>" in html
    assert "the last of 2</text>" in html


def test_padding_is_masked():
    model = small_model()
    padded = torch.tensor([[5, 9, 2, 0, 0]])
    map_ = viz.ArchitectureMap(model, padded, TARGET, ["a", "b", "<eos>", "<pad>", "<pad>"], TARGET_TOKENS)
    for step in (4, 14):
        weights = np.array(Reader(map_._repr_html_()).steps[step]["tables"][-1]["rows"])
        assert (weights[:, 3:] == 0).all()
    assert np.isfinite(map_.tensors["logits"]).all()


def test_what_does_not_fit_is_refused_in_words(model):
    with pytest.raises(ValueError, match=r"^source_ids hold 5 tokens but 2 source_tokens were given$"):
        viz.ArchitectureMap(model, SOURCE, TARGET, ["a", "b"], TARGET_TOKENS)
    with pytest.raises(TypeError, match=r"^target_tokens must be a list of strings, got the string 'abc': split it"):
        viz.ArchitectureMap(model, SOURCE, TARGET, SOURCE_TOKENS, "abc")
    with pytest.raises(ValueError, match=r"^the model's target vocabulary has 23 tokens but 1 were given$"):
        picture(model, target_vocabulary=["a"])
    with pytest.raises(ValueError, match=r"^the map draws the paper's post-norm: pass a model with norm_first=False$"):
        picture(small_model(norm_first=True))
