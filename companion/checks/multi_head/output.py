"""Wrong multi-head layers: what becomes of the merged heads."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from companion.checks import in_training
from companion.checks.engine.bank import Bank
from companion.checks.multi_head.projections import biases_dropped, weights_not_transposed
from companion.checks.multi_head.right import BY_HAND, LOOPS, WRONG, build_multi_head, columns

OUTPUT_BUGS = Bank(part="output", section=WRONG)


@OUTPUT_BUGS.bug("Which layer lets the heads speak to each other?", section=BY_HAND)
def no_output_projection(self: Any, x: Tensor, query: Tensor) -> Tensor:
    """There is no output projection: the merged heads go through out_proj last."""
    return x


@OUTPUT_BUGS.bug("A Linear layer computes x W^T + b. Do you call it, or use its weight?")
def output_bias_dropped(self: Any, x: Tensor, query: Tensor) -> Tensor:
    """The bias of out_proj is dropped."""
    return F.linear(x, self.out_proj.weight)


@OUTPUT_BUGS.bug("W is square, so both ways fit. Which index of W belongs to the output?", derived=in_training.RENAMED)
def output_weight_not_transposed(self: Any, x: Tensor, query: Tensor) -> Tensor:
    """You multiply by the weight of out_proj where it should be its transpose: x W^T + b."""
    return x @ self.out_proj.weight + self.out_proj.bias


@OUTPUT_BUGS.bug("How often does the bias of out_proj enter your output?", section=BY_HAND)
def output_projection_per_head(self: Any, x: Tensor, query: Tensor) -> Tensor:
    """The output projection is applied to each head, and its bias added once for each. Merge the heads first, then
    project once.
    """
    return self.out_proj(x) + (self.num_heads - 1) * self.out_proj.bias


@OUTPUT_BUGS.bug("out_proj has D columns. Which E of them belong to head h?", section=LOOPS)
def same_columns_for_all(self: Any, x: Tensor, query: Tensor) -> Tensor:
    """The heads are projected by the same columns of out_proj, and summed; each head has columns of its own, as if
    they were put side by side first.
    """
    width = x.size(-1) // self.num_heads
    total = x.unflatten(-1, (self.num_heads, width)).sum(dim=-2)
    return columns(self.out_proj, total, slice(0, width)) + self.out_proj.bias


@OUTPUT_BUGS.bug("What should the layer return when out_proj's weight is zero?")
def residual_added(self: Any, x: Tensor, query: Tensor) -> Tensor:
    """You add the layer's input to its output. That residual belongs to the layer around attention (add & norm), not
    into it.
    """
    return self.out_proj(x) + query


@OUTPUT_BUGS.bug(
    "What do multi-head attention's definition and yours do last?",
    also=(lambda self, x, query: F.layer_norm(self.out_proj(x) + query, x.shape[-1:]),),
)
def output_normalised(self: Any, x: Tensor, query: Tensor) -> Tensor:
    """Your output is normalised; a layer norm belongs to the layer around attention, not into it."""
    return F.layer_norm(self.out_proj(x), x.shape[-1:])


@OUTPUT_BUGS.bug("Where does your forward use out_proj?", section=BY_HAND)
def v_proj_for_out_proj(self: Any, x: Tensor, query: Tensor) -> Tensor:
    """v_proj projects the merged heads; it should be out_proj."""
    return self.v_proj(x)


@OUTPUT_BUGS.bug(
    "Linear has a bias unless it is told otherwise. Fresh layers may hide it: set one to 1 and see.", part=""
)
def all_biases_dropped(d_model: int, num_heads: int) -> nn.Module:
    """No bias is added anywhere: each of the four projections has one."""
    return build_multi_head({"project": biases_dropped.wrong, "output": output_bias_dropped.wrong})(d_model, num_heads)


@OUTPUT_BUGS.bug(
    "W is square, so both ways fit. Which index of W belongs to the output?", part="", derived=in_training.RENAMED
)
def no_weight_transposed(d_model: int, num_heads: int) -> nn.Module:
    """None of your four weight matrices is transposed: a projection is x W^T + b."""
    parts = {"project": weights_not_transposed.wrong, "output": output_weight_not_transposed.wrong}
    return build_multi_head(parts)(d_model, num_heads)
