"""Everything that a Transformer computes on one pair of sequences, collected by hooks, and named.

The model itself is left alone: a copy of it runs, in float64, so that the digits shown are the same on every machine.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from companion.attention import attention_weights
from companion.positional import sinusoidal_encoding
from companion.transformer import Transformer


class Call(NamedTuple):
    """What a module got and gave."""

    inputs: tuple[Any, ...]
    output: Any


def run_and_listen(model: nn.Module, *inputs: Tensor) -> dict[str, list[Call]]:
    """Run `model` and return the calls of each of its modules, by dotted name."""
    calls: dict[str, list[Call]] = {}

    def listener(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            calls.setdefault(name, []).append(Call(args, output))

        return hook

    handles = [module.register_forward_hook(listener(name)) for name, module in model.named_modules()]
    try:
        with torch.no_grad():
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def collect(model: Transformer, source_ids: Tensor, target_ids: Tensor) -> dict[str, Tensor]:
    """Return the tensors on the way from ids to probabilities, and the parameters that made them, in float64.

    Of a stack of layers they are the last layer's, whose output goes on: "enc.…" and "dec.…". Activations keep their
    batch dimension; parameters have none.

    Raises:
        ValueError: if the model is pre-norm.
    """
    if model.config.norm_first:
        raise ValueError("the map draws the paper's post-norm: pass a model with norm_first=False")
    model = copy.deepcopy(model).cpu().double().eval()  # in this order: not every GPU has float64
    source_ids, target_ids = source_ids.cpu(), target_ids.cpu()
    calls = run_and_listen(model, source_ids, target_ids)
    found: dict[str, Tensor] = {}
    sides = [("source", source_ids, model.source_embedding), ("target", target_ids, model.target_embedding)]
    for (name, ids, embedding), positions in zip(sides, calls["positions"], strict=True):
        found[f"{name}.ids"] = ids
        found[f"{name}.embedding"] = embedding.weight[ids]  # (B, L, D)
        found[f"{name}.scaled"] = positions.inputs[0]
        found[f"{name}.positions"] = sinusoidal_encoding(ids.size(1), model.config.d_model).double()[None]
        found[f"{name}.x"] = positions.output
    encoder, decoder = len(model.encoder.layers) - 1, len(model.decoder.layers) - 1
    for side, stack, parts in [
        ("enc", f"encoder.layers.{encoder}", ["self_attention"]),
        ("dec", f"decoder.layers.{decoder}", ["self_attention", "cross_attention"]),
    ]:
        found[f"{side}.x"] = calls[stack][0].inputs[0]
        for part in parts:
            _attention(found, f"{side}.{part}", f"{stack}.{part}", model, calls)
        _feed_forward(found, f"{side}.feed_forward", f"{stack}.feed_forward", model, calls)
        for number in range(1, len(parts) + 2):
            _norm(found, f"{side}.add_norm{number}", f"{stack}.add_norm{number}.norm", model, calls)
    found["logits"] = calls["output"][0].output
    found["output.weight"] = model.output.weight
    found["probabilities"] = found["logits"].softmax(dim=-1)
    return {name: tensor.detach() for name, tensor in found.items()}


def _attention(found: dict[str, Tensor], to: str, name: str, model: nn.Module, calls: dict[str, list[Call]]) -> None:
    query, key, value, mask, causal = calls[f"{name}.attention"][0].inputs
    weights = attention_weights(query, key, mask, causal=causal)  # (B, H, Q, K)
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))
    scores = scores.masked_fill(weights == 0, float("-inf"))  # in float64 a weight is 0 by the mask alone
    found |= {f"{to}.query": query, f"{to}.key": key, f"{to}.value": value}
    found |= {f"{to}.scores": scores, f"{to}.weights": weights}
    merged, output = calls[f"{name}.out_proj"][0]
    found |= {f"{to}.merged": merged[0], f"{to}.output": output}
    _parameters(found, to, name, ("q_proj", "k_proj", "v_proj", "out_proj"), model)


def _feed_forward(found: dict[str, Tensor], to: str, name: str, model: nn.Module, calls: dict[str, list[Call]]) -> None:
    (hidden,), output = calls[f"{name}.linear2"][0]
    found |= {f"{to}.hidden": hidden, f"{to}.output": output}
    _parameters(found, to, name, ("linear1", "linear2"), model)


def _norm(found: dict[str, Tensor], to: str, name: str, model: nn.Module, calls: dict[str, list[Call]]) -> None:
    (summed,), output = calls[name][0]
    found |= {f"{to}.sum": summed, f"{to}.output": output}
    norm = model.get_submodule(name)
    found |= {f"{to}.weight": norm.get_parameter("weight"), f"{to}.bias": norm.get_parameter("bias")}


def _parameters(found: dict[str, Tensor], to: str, name: str, linears: tuple[str, ...], model: nn.Module) -> None:
    for linear in linears:
        for parameter, tensor in model.get_submodule(f"{name}.{linear}").named_parameters():
            found[f"{to}.{linear}.{parameter}"] = tensor
