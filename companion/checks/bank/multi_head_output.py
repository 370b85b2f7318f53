"""Wrong multi-head layers: what becomes of the merged heads."""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong function under it.

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from companion.checks._spec import Bug, bug
from companion.checks.bank.multi_head import BY_HAND, LOOPS, WRONG, build_multi_head, columns
from companion.checks.bank.multi_head_projections import biases_dropped, weights_not_transposed

OUTPUT_BUGS: list[Bug] = []


@bug(
    OUTPUT_BUGS,
    "There is no output projection: the merged heads go through out_proj last.",
    hint="Which layer lets the heads speak to each other?",
    section=BY_HAND,
    part="output",
)
def no_output_projection(self: Any, x: Tensor, query: Tensor) -> Tensor:
    return x


@bug(
    OUTPUT_BUGS,
    "The bias of out_proj is dropped.",
    hint="A Linear layer computes x W^T + b. Do you call it, or use its weight?",
    section=WRONG,
    part="output",
)
def output_bias_dropped(self: Any, x: Tensor, query: Tensor) -> Tensor:
    return F.linear(x, self.out_proj.weight)


@bug(
    OUTPUT_BUGS,
    "You multiply by the weight of out_proj where it should be its transpose: x W^T + b.",
    hint="W is square, so both ways fit. Which index of W belongs to the output?",
    section=WRONG,
    part="output",
)
def output_weight_not_transposed(self: Any, x: Tensor, query: Tensor) -> Tensor:
    return x @ self.out_proj.weight + self.out_proj.bias


@bug(
    OUTPUT_BUGS,
    "The output projection is applied to each head, and its bias added once for each. Merge the heads first, then "
    "project once.",
    hint="How often does the bias of out_proj enter your output?",
    section=BY_HAND,
    part="output",
)
def output_projection_per_head(self: Any, x: Tensor, query: Tensor) -> Tensor:
    return self.out_proj(x) + (self.num_heads - 1) * self.out_proj.bias


@bug(
    OUTPUT_BUGS,
    "The heads are projected by the same columns of out_proj, and summed; each head has columns of its own, as if "
    "they were put side by side first.",
    hint="out_proj has D columns. Which E of them belong to head h?",
    section=LOOPS,
    part="output",
)
def same_columns_for_all(self: Any, x: Tensor, query: Tensor) -> Tensor:
    width = x.size(-1) // self.num_heads
    total = x.unflatten(-1, (self.num_heads, width)).sum(dim=-2)
    return columns(self.out_proj, total, slice(0, width)) + self.out_proj.bias


@bug(
    OUTPUT_BUGS,
    "You add the layer's input to its output. That residual belongs to the layer around attention (add & norm), not "
    "into it.",
    hint="What should the layer return when out_proj's weight is zero?",
    section=WRONG,
    part="output",
)
def residual_added(self: Any, x: Tensor, query: Tensor) -> Tensor:
    return self.out_proj(x) + query


@bug(
    OUTPUT_BUGS,
    "Your output is normalised; a layer norm belongs to the layer around attention, not into it.",
    hint="What do multi-head attention's definition and yours do last?",
    section=WRONG,
    part="output",
    also=(lambda self, x, query: F.layer_norm(self.out_proj(x) + query, x.shape[-1:]),),
)
def output_normalised(self: Any, x: Tensor, query: Tensor) -> Tensor:
    return F.layer_norm(self.out_proj(x), x.shape[-1:])


@bug(
    OUTPUT_BUGS,
    "v_proj projects the merged heads; it should be out_proj.",
    hint="Where does your forward use out_proj?",
    section=BY_HAND,
    part="output",
)
def v_proj_for_out_proj(self: Any, x: Tensor, query: Tensor) -> Tensor:
    return self.v_proj(x)


@bug(
    OUTPUT_BUGS,
    "No bias is added anywhere: each of the four projections has one.",
    hint="Linear has a bias unless it is told otherwise. Fresh layers may hide it: set one to 1 and see.",
    section=WRONG,
)
def all_biases_dropped(d_model: int, num_heads: int) -> nn.Module:
    return build_multi_head({"project": biases_dropped.wrong, "output": output_bias_dropped.wrong})(d_model, num_heads)


@bug(
    OUTPUT_BUGS,
    "None of your four weight matrices is transposed: a projection is x W^T + b.",
    hint="W is square, so both ways fit. Which index of W belongs to the output?",
    section=WRONG,
)
def no_weight_transposed(d_model: int, num_heads: int) -> nn.Module:
    parts = {"project": weights_not_transposed.wrong, "output": output_weight_not_transposed.wrong}
    return build_multi_head(parts)(d_model, num_heads)
