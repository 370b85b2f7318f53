"""Wrong Transformers, as classes: the encoder, the decoder, what passes between them, and how layers are stacked.

Shapes: B batch, S source length, T target length, D d_model, V target vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from companion.checks.engine.bank import Bank, section
from companion.checks.transformer.ends import WHOLE, RightTransformer
from companion.transformer import TransformerConfig

PADDING = section("masks", "Padding")
TRUE = section("masks", "True means two things in torch")
AHEAD = section("masks", "Looking ahead")

ENCODE_BUGS = Bank(part="encode", section=WHOLE)
DECODE_BUGS = Bank(part="decode", section=WHOLE)
STACK_BUGS = Bank(section=WHOLE)


# --- the encoder, and the padding of the source


@ENCODE_BUGS.bug("Add padding to a source: do the logits change?", section=PADDING)
def padding_forgotten_in_the_encoder(self: Any, source: Tensor, padding: Tensor) -> Tensor:
    """The encoder gets no mask: the source's tokens attend to its padding."""
    return self.encoder(source, None)


@ENCODE_BUGS.bug("Which rule keeps a source token from a later one?", section=AHEAD)
def causal_encoder(self: Any, source: Tensor, padding: Tensor) -> Tensor:
    """The encoder is causal: the whole source is known, so each of its tokens may look at all of it."""
    length = source.size(1)
    return self.encoder(source, padding & torch.ones(length, length, dtype=torch.bool).tril())


@ENCODE_BUGS.bug("What does your encoder return, and who takes it?")
def embeddings_for_the_memory(self: Any, source: Tensor, padding: Tensor) -> Tensor:
    """The decoder gets the source's embeddings; it should get what the encoder makes of them."""
    return source


@ENCODE_BUGS.bug("Which of your encoder's layers take part?")
def first_encoder_layer_alone(self: Any, source: Tensor, padding: Tensor) -> Tensor:
    """Only the first layer of the encoder is run."""
    return self.encoder.layers[0](source, padding)


@ENCODE_BUGS.bug("What does the second layer of your encoder take?")
def last_encoder_layer_alone(self: Any, source: Tensor, padding: Tensor) -> Tensor:
    """All layers of the encoder get the embeddings; each should get what the one before it returned."""
    return self.encoder.layers[-1](source, padding)


@ENCODE_BUGS.bug("What does True mean in your mask?", section=TRUE, part="padding")
def padding_inverted(self: Any, ids: Tensor) -> Tensor:
    """The source's mask is inverted: its tokens attend to the padding only. In this course True means 'may attend'."""
    return ~RightTransformer.padding(self, ids)


@ENCODE_BUGS.bug("Where in your code does config.pad_id stand?", section=PADDING, part="padding")
def padding_is_always_zero(self: Any, ids: Tensor) -> Tensor:
    """The source's mask takes 0 for the padding; the config says which id it is, pad_id."""
    return (ids != 0)[:, None, None, :]


# --- the decoder


def _through_layers(self: Any, x: Tensor, memory: Tensor, padding: Tensor | None, mask: Tensor | None) -> Tensor:
    """Run the decoder with a mask of one's own choice in its self-attention."""
    for layer in self.decoder.layers:
        x = layer.add_norm1(x, lambda x, layer=layer: layer.self_attention(x, mask=mask))
        x = layer.add_norm2(x, lambda x, layer=layer: layer.cross_attention(x, memory, padding))
        x = layer.add_norm3(x, layer.feed_forward)
    return x


@DECODE_BUGS.bug("Add padding to a source: do the logits change?", section=PADDING)
def padding_forgotten_in_cross_attention(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
    """Cross-attention gets no mask: the target's tokens attend to the padding of the source."""
    return self.decoder(target, memory, None, None)


@DECODE_BUGS.bug("May the first target token look at the second?", section=AHEAD)
def causal_mask_forgotten(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
    """The causal mask is forgotten: each target token sees those after it. Training goes beautifully, and generation
    gives noise.
    """
    return _through_layers(self, target, memory, padding, None)


@DECODE_BUGS.bug("May query t see key t + 1?", section=AHEAD)
def one_step_into_the_future(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
    """The causal mask is one step off: each target token sees the one after it, which is what it should predict."""
    length = target.size(1)
    mask = torch.ones(length, length, dtype=torch.bool).tril(1)
    return _through_layers(self, target, memory, padding, mask)


@DECODE_BUGS.bug("Change the source: do the logits change?")
def target_for_the_memory(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
    """The decoder does not look at the source: its memory is the target itself."""
    return self.decoder(target, target)


@DECODE_BUGS.bug("Which of your decoder's layers take part?")
def first_decoder_layer_alone(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
    """Only the first layer of the decoder is run."""
    return self.decoder.layers[0](target, memory, None, padding)


@DECODE_BUGS.bug("What does the second layer of your decoder take?")
def last_decoder_layer_alone(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
    """All layers of the decoder get the embeddings; each should get what the one before it returned."""
    return self.decoder.layers[-1](target, memory, None, padding)


@DECODE_BUGS.bug("Change the target: do the logits change?")
def memory_for_the_target(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
    """The decoder takes no target: it is given the memory in its place."""
    return self.decoder(memory, memory, None, padding)


# --- who gets what


@DECODE_BUGS.bug(
    "Change the source: do the logits change?",
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
    """The encoder runs on the target; it should run on the source."""
    padding = self.padding(target_ids)
    memory = self.encode(self.target(target_ids), padding)
    return self.finish(self.decode(self.target(target_ids), memory, padding))


@DECODE_BUGS.bug(
    "Which of the two arguments of forward comes first?",
    part="forward",
    also=(lambda self, source_ids, target_ids: _swapped(self, target_ids, source_ids),),
)
def source_and_target_swapped(self: Any, source_ids: Tensor, target_ids: Tensor) -> Tensor:
    """Source and target are swapped: the encoder reads the target, and the decoder writes the source."""
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


def _stacks(model: nn.Module) -> Iterator[nn.ModuleList]:
    """Yield the stacks of layers that torch knows of."""
    yield from (part for part in model.modules() if isinstance(part, nn.ModuleList) and len(part) > 1)


def _has_one_layer_for_all(model: nn.Module) -> bool:
    return any(len({id(layer) for layer in stack}) < len(stack) for stack in _stacks(model))


def _has_layers_in_a_list(model: nn.Module) -> bool:
    held = [there for part in model.modules() for there in vars(part).values() if isinstance(there, list | tuple)]
    return any(isinstance(layer, nn.Module) for there in held for layer in there)


def _has_clones(model: nn.Module) -> bool:
    return any(_begin_alike(stack[0], stack[1]) for stack in _stacks(model))


def _begin_alike(one: nn.Module, other: nn.Module) -> bool:
    """Compare the first parameters that are drawn: a bias begins with zeros, a gain with ones."""
    for here, there in zip(one.parameters(), other.parameters(), strict=False):
        if (here != here.flatten()[0]).any():
            return torch.equal(here, there)
    return False


@STACK_BUGS.bug(
    "How many parameters does a second layer add? Make a new layer for each round.",
    shows_in=_has_one_layer_for_all,
    derived="Derived: the layers stay the same for ever, and the optimizer sees one layer's parameters.",
)
def one_layer_for_all(config: TransformerConfig) -> nn.Module:
    """All your layers are one and the same: [layer] * N repeats one object, so that there are one layer's parameters
    instead of N's.
    """
    return _restack(config, lambda layers: nn.ModuleList([layers[0]] * len(layers)))


@STACK_BUGS.bug(
    "How many parameters does list(model.parameters()) have?",
    shows_in=_has_layers_in_a_list,
    derived="Derived: the optimizer does not know the layers; they stay as they were drawn, and are not saved.",
)
def layers_in_a_list(config: TransformerConfig) -> nn.Module:
    """Your layers stand in a Python list, where torch does not find their parameters: nothing in them is trained,
    moved or saved. torch.nn.ModuleList is the list that it knows.
    """
    return _restack(config, list)


@STACK_BUGS.bug(
    "Compare the first weights of two layers before any training.",
    shows_in=_has_clones,
    derived="Derived: the layers begin alike, and their gradients drive them apart.",
)
def layers_cloned(config: TransformerConfig) -> nn.Module:
    """Your layers are copies of one another (copy.deepcopy): they are separate, but all begin with the same weights.
    Make each one anew, or draw the weights of each afterwards.
    """
    return _restack(config, lambda layers: nn.ModuleList(copy.deepcopy(layers[0]) for _ in layers))
