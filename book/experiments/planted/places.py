"""Where in a model a check's code belongs.

Each function takes the right model and what is handed in to a check, right or
wrong, and puts that in its place.
"""

import copy
import re
from collections.abc import Callable

import torch
from torch import nn

from companion import causal_mask, padding_mask
from companion.checks import CHECKS


class Call(nn.Module):
    """Stands where a layer of the companion stands, and calls a function."""

    def __init__(self, call: Callable, *held: nn.Module) -> None:
        super().__init__()
        self.call, self.held = call, nn.ModuleList(held)

    def forward(self, *args, **kwargs):
        """Call it."""
        return self.call(*args, **kwargs)


def output(value):
    """Return the output, of output and weights."""
    return value[0] if isinstance(value, tuple) else value


def both(mask, causal: bool, query_len: int, key_len: int):
    """Return the mask and the causal one as one mask."""
    if not causal:
        return mask
    may = causal_mask(query_len, key_len)
    return may if mask is None else mask & may


def replace(model: nn.Module, kind: str, make: Callable) -> None:
    """Put ``make(part)`` in the place of each part whose class has that name."""
    for parent in list(model.modules()):
        for name, part in list(parent.named_children()):
            if type(part).__name__ == kind:
                setattr(parent, name, make(part))


def grow(handed_in, sizes: tuple, right: nn.Module) -> nn.Module:
    """Build a wrong class with the weights that the right one begins with."""
    begin = right.state_dict()
    # A bank may build a class once for all; here each has its own weights.
    module = copy.deepcopy(handed_in(*sizes))
    own = module.state_dict()
    first, second = (
        own.get(f"encoder.layers.{number}.self_attention.q_proj.weight")
        for number in (0, 1)
    )
    if first is not None and second is not None and first.equal(second):
        # Layers that begin alike are a bug: they go on doing so.
        begin = {
            name: begin[re.sub(r"layers\.\d+", "layers.0", name)]
            for name in begin
        }
    shared = begin.keys() & own.keys()
    module.load_state_dict({name: begin[name] for name in shared}, strict=False)
    return module


def in_attention(model, call):
    """Let each attention of a Transformer call it."""

    def make(_):
        def attend(query, key, value, mask=None, causal=False):
            mask = both(mask, causal, query.size(-2), key.size(-2))
            return output(call(query=query, key=key, value=value, mask=mask))

        return Call(attend)

    replace(model, "ScaledDotProductAttention", make)


def in_the_causal_mask(model, call):
    """Let the decoder's self-attention take its mask."""
    for layer in model.decoder.layers:
        attention = layer.self_attention.attention

        def attend(query, key, value, mask, causal, right=attention):
            return right(query, key, value, call(query.size(-2), key.size(-2)))

        layer.self_attention.attention = Call(attend, attention)


def in_the_padding_mask(model, call):
    """Hide the source's padding with it."""
    model.source_mask = lambda ids: call(ids, model.config.pad_id)


def in_the_combined_mask(model, call):
    """Let the decoder hide padding and future with it."""
    decoder, pad_id = model.decoder, model.config.pad_id
    for layer in decoder.layers:
        attention = layer.self_attention.attention

        def attend(query, key, value, mask, causal, right=attention):
            return right(query, key, value, mask)

        layer.self_attention.attention = Call(attend, attention)

    def decode(target_ids, memory, memory_mask, cache=None):
        padding = padding_mask(target_ids, pad_id)
        mask = call(padding, causal_mask(target_ids.size(1)))
        x = model._embed(model.target_embedding, target_ids, 0)
        return decoder(x, memory, mask, memory_mask)

    model._decode = decode


def in_multi_head(model, handed_in):
    """Put it in the place of each multi-head attention."""

    def make(part):
        wrong = grow(handed_in, (part.d_model, part.num_heads), part)

        def attend(query, memory=None, mask=None, *, causal=False, cache=None):
            mask = both(mask, causal, query.size(1), query.size(1))
            return output(wrong(query, memory, mask))

        return Call(attend, wrong)

    replace(model, "MultiHeadAttention", make)


def in_the_split(model, call):
    """Let each multi-head attention split into heads with it."""
    parts = {"split": lambda self, x: call(x, self.num_heads)}
    in_multi_head(model, CHECKS["multi_head"].assemble(parts).thing)


def in_the_merge(model, call):
    """Let each multi-head attention merge its heads with it."""
    parts = {"merge": lambda self, x: call(x)}
    in_multi_head(model, CHECKS["multi_head"].assemble(parts).thing)


def in_the_positions(model, call):
    """Add its table to the embeddings."""
    encoding = call(model.config.max_len, model.config.d_model)
    model.positions = Call(
        lambda x, start=0: x + encoding[: x.size(1)].to(x.dtype)
    )


def in_rotary(model, call):
    """Turn the queries and keys of self-attention; add no positions."""
    model.positions = Call(lambda x, start=0: x)
    for layer in (*model.encoder.layers, *model.decoder.layers):
        layer.self_attention.rotary = Call(
            lambda x, start: call(x, start).to(x.dtype)
        )


def in_layer_norm(model, handed_in):
    """Put it in the place of each layer norm."""

    def make(part):
        return grow(handed_in, (part.weight.numel(),), part)

    replace(model, "LayerNorm", make)


def in_add_norm(model, handed_in):
    """Put it in the place of each add & norm."""

    def make(part):
        return grow(handed_in, (part.norm.weight.numel(),), part)

    replace(model, "AddNorm", make)


def in_feed_forward(model, handed_in):
    """Put it in the place of each feed-forward network."""

    def make(part):
        sizes = part.linear1.in_features, part.linear1.out_features
        return grow(handed_in, sizes, part)

    replace(model, "FeedForward", make)


def _in_the_layers(model, handed_in, kind):
    config = model.config
    sizes = config.d_model, config.num_heads, config.d_ff

    def make(part):
        wrong = grow(handed_in, sizes, part)
        # There is no cache here.
        return Call(lambda *args: output(wrong(*args[:4])), wrong)

    replace(model, kind, make)


def in_the_encoder(model, handed_in):
    """Put it in the place of each encoder layer."""
    _in_the_layers(model, handed_in, "EncoderLayer")


def in_the_decoder(model, handed_in):
    """Put it in the place of each decoder layer."""
    _in_the_layers(model, handed_in, "DecoderLayer")


def in_additive_attention(model, call):
    """Let a recurrent decoder look back with it."""
    attention = model.attention

    def decode(target_ids, memory, memory_mask, cache=None):
        states = model._states(target_ids, memory, memory_mask, cache)
        mask = memory_mask[:, 0].expand(-1, target_ids.size(1), -1)
        context = call(
            query=states,
            key=memory,
            value=memory,
            w_q=attention.q_proj.weight,
            w_k=attention.k_proj.weight,
            v=attention.score.weight[0],
            mask=mask,
        )
        joined = torch.cat([states, output(context)], dim=-1)
        return model.output(torch.tanh(model.combine(joined)))

    model.decode = decode


def in_the_cell(model, call):
    """Let a recurrent decoder step with it."""
    right = model.decoder

    def read(x, start):
        h, states = start[0], []
        biases = [right.bias_ih_l0, right.bias_hh_l0]
        if isinstance(right, nn.RNN):
            biases = [sum(biases)]
        for t in range(x.size(1)):
            h = call(x[:, t], h, right.weight_ih_l0, right.weight_hh_l0, *biases)
            states.append(h)
        return torch.stack(states, dim=1), h[None]

    model.decoder = Call(read, right)


PLACES = {
    "attention": in_attention,
    "causal_mask": in_the_causal_mask,
    "padding_mask": in_the_padding_mask,
    "combine_masks": in_the_combined_mask,
    "split_heads": in_the_split,
    "merge_heads": in_the_merge,
    "multi_head": in_multi_head,
    "positional": in_the_positions,
    "rotary": in_rotary,
    "layer_norm": in_layer_norm,
    "add_norm": in_add_norm,
    "feed_forward": in_feed_forward,
    "encoder_layer": in_the_encoder,
    "decoder_layer": in_the_decoder,
    "additive_attention": in_additive_attention,
    "rnn_cell": in_the_cell,
    "gru_cell": in_the_cell,
}
