"""Wrong Transformers, as classes: layers that take part in another way, and something more than there should be.

Shapes: B batch, S source length, T target length, D d_model, V target vocabulary.
"""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of what is wrong under it.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from companion.checks._spec import Bug, bug
from companion.checks.bank.transformer import WHOLE, build_transformer
from companion.transformer import TransformerConfig

ORDER_BUGS: list[Bug] = []


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


@bug(
    ORDER_BUGS,
    "The first layer of each half is run again and again, in the place of the others: layers[0] where each layer has "
    "its turn.",
    hint="In your loop over the layers, does anything change from one round to the next?",
    section=WHOLE,
)
def first_layer_again_and_again(config: TransformerConfig) -> nn.Module:
    return build_transformer(_with_layers(lambda count: [0] * count))(config)


@bug(
    ORDER_BUGS,
    "The layers are run from the last to the first.",
    hint="Which layer gets the embeddings?",
    section=WHOLE,
)
def layers_in_reverse(config: TransformerConfig) -> nn.Module:
    return build_transformer(_with_layers(lambda count: [*range(count)][::-1]))(config)


@bug(
    ORDER_BUGS,
    "Each decoder layer looks at the output of the encoder layer of its own number; all of them should look at what "
    "the last encoder layer returned.",
    hint="When is the memory finished: before the decoder begins, or while it runs?",
    section=WHOLE,
)
def halves_side_by_side(config: TransformerConfig) -> nn.Module:
    def forward(self: Any, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        padding, memory, x = self.padding(source_ids), self.source(source_ids), self.target(target_ids)
        # Where one half has fewer layers, zip leaves out the other's last ones.
        for encoder_layer, decoder_layer in zip(self.encoder.layers, self.decoder.layers, strict=False):
            memory = encoder_layer(memory, padding)
            x = decoder_layer(x, memory, None, padding)
        return self.finish(x)

    return build_transformer({"forward": forward})(config)


@bug(
    ORDER_BUGS,
    "There is one more norm before the output layer; with post-norm the last decoder layer has normalised already.",
    hint="What does a post-norm layer do last?",
    section=WHOLE,
)
def norm_before_the_output(config: TransformerConfig) -> nn.Module:
    def finish(self: Any, x: Tensor) -> Tensor:
        return self.output(F.layer_norm(x, x.shape[-1:]))

    return build_transformer({"finish": finish})(config)


@bug(
    ORDER_BUGS,
    "The positions are added again before every layer; they are added once, to the embeddings.",
    hint="How often does your forward add positions to the source?",
    section=WHOLE,
)
def positions_in_every_layer(config: TransformerConfig) -> nn.Module:
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
