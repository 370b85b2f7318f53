"""Influence: which inputs a model's outputs depend on, read off its gradients.

A mask, a forgotten transpose, a batch mixed up: each shows as a position that influences another where it must not,
or does not where it should. Chapters *multi_head*, *masks* and *encoder* draw the matrix.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def influence(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Measure how strongly each output position depends on each input position.

    Args:
        function: from (1, S, D) to (1, T, V), differentiable.
        x: (1, S, D), the point at which to measure.

    Returns:
        (T, S) tensor. Entry (t, s) is ‖∂y_t/∂x_s‖, the Frobenius norm of the V × D matrix of derivatives. It is
        exactly 0 where nothing flows from s to t.

    Raises:
        ValueError: if `x` or what the function returns is not one sequence of vectors.
        TypeError: if one of them is no tensor, or `x` holds whole numbers.
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"x must be a tensor of floats, got {got}: ids have no derivatives, their embeddings do")
    if x.dim() != 3 or x.size(0) != 1:
        raise ValueError(f"x must be one sequence, of shape (1, length, features), got {tuple(x.shape)}")

    def outputs(point: Tensor) -> Tensor:
        y = function(point)
        if not isinstance(y, Tensor):
            got = type(y).__name__
            raise TypeError(f"the function must return one tensor, got {got}: of torch's attention take the first, [0]")
        if y.dim() != 3 or y.size(0) != 1:
            raise ValueError(f"the function must return one sequence (1, length, features), got {tuple(y.shape)}")
        return y[0]  # (T, V)

    jacobian = torch.autograd.functional.jacobian(outputs, x.detach())  # (T, V, 1, S, D)
    return jacobian[:, :, 0].square().sum(dim=(1, 3)).sqrt()  # (T, S)
