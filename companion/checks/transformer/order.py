"""Wrong Transformers, as classes: layers that take part in another way, and something more than there should be.

Shapes: B batch, S source length, T target length, D d_model, V target vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from companion.checks.decoder.masked import build_decoder_layer
from companion.checks.encoder.layer import build_encoder_layer
from companion.checks.engine.bank import Bank, Function
from companion.checks.engine.variants import Variant
from companion.checks.transformer.ends import WHOLE, build_transformer
from companion.transformer import TransformerConfig

ORDER_BUGS = Bank(section=WHOLE)


def build_with_layers(parts: Mapping[str, Function]) -> Variant:
    """Return the right model with some methods of every layer replaced, in both halves, as what builds it."""
    encoder_layer, decoder_layer = build_encoder_layer(parts), build_decoder_layer(parts)

    def encode(self: Any, source: Tensor, padding: Tensor) -> Tensor:
        for layer in self.encoder.layers:
            source = encoder_layer.of(layer)(source, padding)
        return source

    def decode(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        for layer in self.decoder.layers:
            target = decoder_layer.of(layer)(target, memory, None, padding)
        return target

    return build_transformer({"encode": encode, "decode": decode})


def _with_layers(order: Callable[[int], list[int]]) -> dict[str, Callable[..., Tensor]]:
    """Return parts in which the layers of both halves, of which there are N, are run in another order."""

    def encode(self: Any, source: Tensor, padding: Tensor) -> Tensor:
        for number in order(len(self.encoder.layers)):
            source = self.encoder.layers[number](source, padding)
        return source

    def decode(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        for number in order(len(self.decoder.layers)):
            target = self.decoder.layers[number](target, memory, None, padding)
        return target

    return {"encode": encode, "decode": decode}


@ORDER_BUGS.bug("In your loop over the layers, does anything change from one round to the next?")
def first_layer_again_and_again(config: TransformerConfig) -> nn.Module:
    """The first layer of each half is run again and again, in the place of the others: layers[0] where each layer
    has its turn.
    """
    return build_transformer(_with_layers(lambda count: [0] * count))(config)


@ORDER_BUGS.bug("Which layer gets the embeddings?")
def layers_in_reverse(config: TransformerConfig) -> nn.Module:
    """The layers are run from the last to the first."""
    return build_transformer(_with_layers(lambda count: [*range(count)][::-1]))(config)


@ORDER_BUGS.bug("When is the memory finished: before the decoder begins, or while it runs?")
def halves_side_by_side(config: TransformerConfig) -> nn.Module:
    """Each decoder layer looks at the output of the encoder layer of its own number; all of them should look at what
    the last encoder layer returned.
    """

    def forward(self: Any, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        padding, memory, x = self.padding(source_ids), self.source(source_ids), self.target(target_ids)
        # Where one half has fewer layers, zip leaves out the other's last ones.
        for encoder_layer, decoder_layer in zip(self.encoder.layers, self.decoder.layers, strict=False):
            memory = encoder_layer(memory, padding)
            x = decoder_layer(x, memory, None, padding)
        return self.finish(x)

    return build_transformer({"forward": forward})(config)


@ORDER_BUGS.bug("What does a post-norm layer do last?")
def norm_before_the_output(config: TransformerConfig) -> nn.Module:
    """There is one more norm before the output layer; with post-norm the last decoder layer has normalised already."""

    def finish(self: Any, x: Tensor) -> Tensor:
        return self.output(F.layer_norm(x, x.shape[-1:]))

    return build_transformer({"finish": finish})(config)


def _encode_and_norm(self: Any, source: Tensor, padding: Tensor) -> Tensor:
    memory = self.encoder(source, padding)
    return F.layer_norm(memory, memory.shape[-1:])


def _norm_and_finish(self: Any, x: Tensor) -> Tensor:
    out: Tensor = self.output(F.layer_norm(x, x.shape[-1:]))
    return out


@ORDER_BUGS.bug(
    "What does a post-norm layer do last?",
    also=(build_transformer({"encode": _encode_and_norm, "finish": _norm_and_finish}),),
)
def norm_behind_the_encoder(config: TransformerConfig) -> nn.Module:
    """There is one more norm behind the encoder, or behind both stacks; with post-norm the last layer has normalised
    already.
    """
    return build_transformer({"encode": _encode_and_norm})(config)


@ORDER_BUGS.bug("How often does your forward add positions to the source?")
def positions_in_every_layer(config: TransformerConfig) -> nn.Module:
    """The positions are added again before every layer; they are added once, to the embeddings."""

    def encode(self: Any, source: Tensor, padding: Tensor) -> Tensor:
        for layer in self.encoder.layers:
            source = layer(self.positions(source), padding)
        return source

    def decode(self: Any, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        for layer in self.decoder.layers:
            target = layer(self.positions(target), memory, None, padding)
        return target

    def embed(self: Any, x: Tensor) -> Tensor:
        return x * self.config.d_model**0.5

    return build_transformer({"encode": encode, "decode": decode, "embed": embed})(config)
