"""Helpers of the tests: closeness, weights copied from torch's layers, a small model, a small task.

Sizes are distinct primes wherever the layer allows it, so that no two axes can be taken for one another.
"""

import functools
from html.parser import HTMLParser

import torch

from companion import NumberWords, Transformer, TransformerConfig

BATCH, HEADS, SOURCE_LEN, TARGET_LEN, HEAD_DIM, D_FF = 2, 3, 5, 7, 11, 13
D_MODEL = HEADS * HEAD_DIM
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def assert_close(actual, expected, tolerance=1e-12):
    """The largest difference is within `tolerance` of the largest expected value."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    assert (actual - expected).abs().max() <= tolerance * expected.abs().max()


def normal(*shape, dtype=torch.float64, requires_grad=False):
    return torch.randn(*shape, dtype=torch.float64).to(dtype).requires_grad_(requires_grad)


def randomised(module):
    """Fresh layers have zero biases and unit gains, which hide missing ones: draw every parameter."""
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    return module


@torch.no_grad()
def copy_attention(ours, theirs):
    """Give our multi-head attention the weights of torch's."""
    for index, projection in enumerate((ours.q_proj, ours.k_proj, ours.v_proj)):
        projection.weight.copy_(theirs.in_proj_weight.chunk(3)[index])
        if projection.bias is not None:
            projection.bias.copy_(theirs.in_proj_bias.chunk(3)[index])
    ours.out_proj.load_state_dict(theirs.out_proj.state_dict())
    return ours.double().eval()


def copy_layer(ours, theirs):
    """Give our encoder or decoder layer the weights of torch's."""
    copy_attention(ours.self_attention, theirs.self_attn)
    norms = 2
    if hasattr(ours, "cross_attention"):
        copy_attention(ours.cross_attention, theirs.multihead_attn)
        norms = 3
    for name in ("linear1", "linear2"):
        getattr(ours.feed_forward, name).load_state_dict(getattr(theirs, name).state_dict())
    for number in range(1, norms + 1):
        getattr(ours, f"add_norm{number}").norm.load_state_dict(getattr(theirs, f"norm{number}").state_dict())
    return ours.double().eval()


def copy_stack(ours, theirs):
    """Give our encoder or decoder the weights of torch's."""
    for our_layer, their_layer in zip(ours.layers, theirs.layers, strict=True):
        copy_layer(our_layer, their_layer)
    if theirs.norm is not None:
        ours.norm.load_state_dict(theirs.norm.state_dict())
    return ours.double().eval()


def padding(lengths, length):
    """Bool (B, 1, 1, length): True where a token is real."""
    return (torch.arange(length) < torch.tensor(lengths)[:, None])[:, None, None, :]


def config(**changes):
    sizes = {"source_vocab_size": 17, "target_vocab_size": 19, "d_model": 10, "num_heads": 5, "d_ff": 13}
    layers = {"num_encoder_layers": 2, "num_decoder_layers": 3}
    return TransformerConfig(**{**sizes, **layers, "max_len": 23, "dropout": 0.0, **changes})


def small_model(**changes):
    """A model in float64 with every weight drawn, so that its outputs are far from alike."""
    return randomised(Transformer(config(**changes)))


def ids(*lengths, vocab=17, end=True):
    """Random tokens with eos at the end and padding after it, (B, longest)."""
    rows = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    for row, length in zip(rows, lengths, strict=True):
        row[:length] = torch.randint(3, vocab, (length,))
        if end:
            row[length - 1] = 2
    return rows


def target_ids(*lengths, vocab=19, end=True):
    rows = ids(*lengths, vocab=vocab, end=end)
    rows[:, 0] = 1
    return rows


@functools.cache
def small_task():
    return NumberWords(max_digits=3, num_train=100, num_held_out=20)


def parameters_equal(first, second):
    pairs = zip(first.named_parameters(), second.named_parameters(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


class Page(HTMLParser):
    """What a reader of a picture's HTML meets: the tags with their attributes, and the text in each kind of tag."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.open = [], {}, []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def of(self, tag, name=None):
        return [attrs for found, attrs in self.tags if found == tag and name in (None, attrs.get("class"))]
