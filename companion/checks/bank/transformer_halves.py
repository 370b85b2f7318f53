"""Wrong Transformers, as classes: the encoder, the decoder, what passes between them, and how layers are stacked.

Shapes: B batch, S source length, T target length, D d_model, V target vocabulary.
"""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of what is wrong under it.

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from companion.checks._spec import Bug, bug, section
from companion.checks.bank.transformer import WHOLE, RightTransformer
from companion.transformer import TransformerConfig

PADDING = section("masks", "Padding")
TRUE = section("masks", "True means two things in torch")
AHEAD = section("masks", "Looking ahead")

ENCODE_BUGS: list[Bug] = []
DECODE_BUGS: list[Bug] = []
STACK_BUGS: list[Bug] = []


# --- the encoder, and the padding of the source


@bug(
    ENCODE_BUGS,
    "The encoder gets no mask: the source's tokens attend to its padding.",
    hint="Add padding to a source: do the logits change?",
    section=PADDING,
    part="encode",
)
def padding_forgotten_in_the_encoder(self: Any, source: Tensor, padding: Tensor) -> Tensor:
    return self.encoder(source, None)


@bug(
    ENCODE_BUGS,
    "The encoder is causal: the whole source is known, so each of its tokens may look at all of it.",
    hint="Which rule keeps a source token from a later one?",
    section=AHEAD,
    part="encode",
)
def causal_encoder(self: Any, source: Tensor, padding: Tensor) -> Tensor:
    length = source.size(1)
    return self.encoder(source, padding & torch.ones(length, length, dtype=torch.bool).tril())


@bug(
    ENCODE_BUGS,
    "The decoder gets the source's embeddings; it should get what the encoder makes of them.",
    hint="What does your encoder return, and who takes it?",
    section=WHOLE,
    part="encode",
)
def embeddings_for_the_memory(self: Any, source: Tensor, padding: Tensor) -> Tensor:
    return source


@bug(
    ENCODE_BUGS,
    "Only the first layer of the encoder is run.",
    hint="Which of your encoder's layers take part?",
    section=WHOLE,
    part="encode",
)
def first_encoder_layer_alone(self: Any, source: Tensor, padding: Tensor) -> Tensor:
    return self.encoder.layers[0](source, padding)


@bug(
    ENCODE_BUGS,
    "All layers of the encoder get the embeddings; each should get what the one before it returned.",
    hint="What does the second layer of your encoder take?",
    section=WHOLE,
    part="encode",
)
def last_encoder_layer_alone(self: Any, source: Tensor, padding: Tensor) -> Tensor:
    return self.encoder.layers[-1](source, padding)


@bug(
    ENCODE_BUGS,
    "The source's mask is inverted: its tokens attend to the padding only. In this course True means 'may attend'.",
    hint="What does True mean in your mask?",
    section=TRUE,
    part="padding",
)
def padding_inverted(self: Any, ids: Tensor) -> Tensor:
    return ~RightTransformer.padding(self, ids)


@bug(
    ENCODE_BUGS,
    "The source's mask takes 0 for the padding; the config says which id it is, pad_id.",
    hint="Where in your code does config.pad_id stand?",
    section=PADDING,
    part="padding",
)
def padding_is_always_zero(self: Any, ids: Tensor) -> Tensor:
    return (ids != 0)[:, None, None, :]


# --- the decoder


def _through_layers(self: Any, x: Tensor, memory: Tensor, padding: Tensor | None, mask: Tensor | None) -> Tensor:
    """Run the decoder with a mask of one's own choice in its self-attention."""
    for layer in self.decoder.layers:
        x = layer.add_norm1(x, lambda x, layer=layer: layer.self_attention(x, mask=mask))
        x = layer.add_norm2(x, lambda x, layer=layer: layer.cross_attention(x, memory, padding))
        x = layer.add_norm3(x, layer.feed_forward)
    return x


@bug(
    DECODE_BUGS,
    "Cross-attention gets no mask: the target's tokens attend to the padding of the source.",
    hint="Add padding to a source: do the logits change?",
    section=PADDING,
    part="decode",
)
def padding_forgotten_in_cross_attention(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
    return self.decoder(target, memory, None, None)


@bug(
    DECODE_BUGS,
    "The causal mask is forgotten: each target token sees those after it. Training goes beautifully, and generation "
    "gives noise.",
    hint="May the first target token look at the second?",
    section=AHEAD,
    part="decode",
)
def causal_mask_forgotten(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
    return _through_layers(self, target, memory, padding, None)


@bug(
    DECODE_BUGS,
    "The causal mask is one step off: each target token sees the one after it, which is what it should predict.",
    hint="May query t see key t + 1?",
    section=AHEAD,
    part="decode",
)
def one_step_into_the_future(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
    length = target.size(1)
    mask = torch.ones(length, length, dtype=torch.bool).tril(1)
    return _through_layers(self, target, memory, padding, mask)


@bug(
    DECODE_BUGS,
    "The decoder does not look at the source: its memory is the target itself.",
    hint="Change the source: do the logits change?",
    section=WHOLE,
    part="decode",
)
def target_for_the_memory(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
    return self.decoder(target, target)


@bug(
    DECODE_BUGS,
    "Only the first layer of the decoder is run.",
    hint="Which of your decoder's layers take part?",
    section=WHOLE,
    part="decode",
)
def first_decoder_layer_alone(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
    return self.decoder.layers[0](target, memory, None, padding)


@bug(
    DECODE_BUGS,
    "All layers of the decoder get the embeddings; each should get what the one before it returned.",
    hint="What does the second layer of your decoder take?",
    section=WHOLE,
    part="decode",
)
def last_decoder_layer_alone(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
    return self.decoder.layers[-1](target, memory, None, padding)


@bug(
    DECODE_BUGS,
    "The decoder takes no target: it is given the memory in its place.",
    hint="Change the target: do the logits change?",
    section=WHOLE,
    part="decode",
)
def memory_for_the_target(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
    return self.decoder(memory, memory, None, padding)


# --- who gets what


@bug(
    DECODE_BUGS,
    "The encoder runs on the target; it should run on the source.",
    hint="Change the source: do the logits change?",
    section=WHOLE,
    part="forward",
    also=(
        lambda self, source_ids, target_ids: self.finish(
            self.decode(self.target(target_ids), self.encode(self.source(target_ids), None), None)
        ),
        lambda self, source_ids, target_ids: self.finish(
            self.decode(self.target(target_ids), self.encode(self.target(target_ids), None), None)
        ),
    ),
)
def encoder_runs_on_the_target(self: Any, source_ids: Tensor, target_ids: Tensor) -> Tensor:
    padding = self.padding(target_ids)
    memory = self.encode(self.target(target_ids), padding)
    return self.finish(self.decode(self.target(target_ids), memory, padding))


@bug(
    DECODE_BUGS,
    "Source and target are swapped: the encoder reads the target, and the decoder writes the source.",
    hint="Which of the two arguments of forward comes first?",
    section=WHOLE,
    part="forward",
    also=(lambda self, source_ids, target_ids: _swapped(self, target_ids, source_ids),),
)
def source_and_target_swapped(self: Any, source_ids: Tensor, target_ids: Tensor) -> Tensor:
    return RightTransformer.forward(self, target_ids, source_ids)


def _swapped(self: Any, first: Tensor, second: Tensor) -> Tensor:
    """Swap the ids, but look each up in its own embedding."""
    padding = self.padding(first)
    memory = self.encode(self.target(first), padding)
    return self.finish(self.decode(self.source(second), memory, padding))


# --- how layers are stacked: this shows in the parameters, and not in numbers


def _restack(config: TransformerConfig, stacked: Callable[[nn.ModuleList], Any]) -> nn.Module:
    model = RightTransformer(config)
    for half in (model.encoder, model.decoder):
        layers = stacked(half.layers)
        del half.layers
        half.layers = layers
    return model


@bug(
    STACK_BUGS,
    "All your layers are one and the same: [layer] * N repeats one object, so that there are one layer's parameters "
    "instead of N's.",
    hint="How many parameters does a second layer add? Make a new layer for each round.",
    section=WHOLE,
)
def one_layer_for_all(config: TransformerConfig) -> nn.Module:
    return _restack(config, lambda layers: nn.ModuleList([layers[0]] * len(layers)))


@bug(
    STACK_BUGS,
    "Your layers stand in a Python list, where torch does not find their parameters: nothing in them is trained, moved "
    "or saved. torch.nn.ModuleList is the list that it knows.",
    hint="How many parameters does list(model.parameters()) have?",
    section=WHOLE,
)
def layers_in_a_list(config: TransformerConfig) -> nn.Module:
    return _restack(config, list)


@bug(
    STACK_BUGS,
    "Your layers are copies of one another (copy.deepcopy): they are separate, but all begin with the same weights. "
    "Make each one anew, or draw the weights of each afterwards.",
    hint="Compare the first weights of two layers before any training.",
    section=WHOLE,
)
def layers_cloned(config: TransformerConfig) -> nn.Module:
    return _restack(config, lambda layers: nn.ModuleList(copy.deepcopy(layers[0]) for _ in layers))
