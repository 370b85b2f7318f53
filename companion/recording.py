"""Recording: attention maps out of a running model, without changing what it computes.

A model that plots its attention should not have to return it: the fused kernel never makes the weights at all.
So the recorder listens at the door. It hooks every `ScaledDotProductAttention`, and computes the weights a second
time from the queries, keys and mask that the layer got.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from companion.attention import ScaledDotProductAttention, attention_weights


@contextmanager
def record_attention(model: nn.Module) -> Iterator[dict[str, Tensor | list[Tensor]]]:
    """Collect the attention weights of every layer that runs inside the ``with`` block.

    The model's outputs stay as they are, bit for bit, and nothing remains on the model afterwards. Weights are
    those before dropout. Chapter *transformer* plots them.

    Args:
        model: any module that holds `MultiHeadAttention` or `ScaledDotProductAttention`, or is one.

    Yields:
        a dict that fills as the model runs, in the order of the calls. Keys are the dotted names of the
        multi-head layers, such as "decoder.layers.1.cross_attention", or "attention" where the model itself is
        one. Values are detached tensors (B, H, Q, K); a layer that ran more than once, as when a cache decodes,
        has a list of them, one for each call.

    Raises:
        RuntimeError: when the block ends without an error and nothing was recorded.
    """
    maps: dict[str, Tensor | list[Tensor]] = {}
    layers = _names(model)
    with ExitStack() as hooks:
        for name, layer in layers.items():
            handle = layer.register_forward_pre_hook(_recorder(maps, name), with_kwargs=True)
            hooks.callback(handle.remove)
        yield maps
    if not layers:
        raise RuntimeError(
            f"nothing was recorded: {type(model).__name__} has no ScaledDotProductAttention inside; "
            "pass a model that attends through the companion's layers"
        )
    if not maps:
        raise RuntimeError(
            f"nothing was recorded: {type(model).__name__} did not run inside the with block; "
            "call the very model that was passed, inside the block (for a compiled one: the model before compiling)"
        )


def _names(model: nn.Module) -> dict[str, nn.Module]:
    """Name each attention by the layer it belongs to, or by itself where that would not tell two apart."""
    found = {name: module for name, module in model.named_modules() if isinstance(module, ScaledDotProductAttention)}
    owners = Counter(name.rpartition(".")[0] for name in found)
    names: dict[str, nn.Module] = {}
    for name, module in found.items():
        owner = name.rpartition(".")[0]
        names[owner if owner and owners[owner] == 1 else name or "attention"] = module
    return names


def _recorder(maps: dict[str, Tensor | list[Tensor]], name: str) -> Callable[..., None]:
    """Make the hook for one layer; it returns None, which leaves the layer's inputs alone."""

    def weights_of(
        query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        # The signature is that of ScaledDotProductAttention.forward, so that Python sorts out its arguments.
        with torch.no_grad():
            return attention_weights(query, key, mask, causal=causal)

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        weights = weights_of(*args, **kwargs)
        before = maps.get(name)
        if before is None:
            maps[name] = weights
        elif isinstance(before, list):
            before.append(weights)
        else:
            maps[name] = [before, weights]

    return hook
