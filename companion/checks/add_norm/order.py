"""Wrong add & norms: the norm stands in another place than around the sum.

Shapes: B batch, L length, D features; x is (B, L, D).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from companion.checks.add_norm.norm import PRE_POST, WRONG
from companion.checks.add_norm.residual import Sublayer
from companion.checks.engine.bank import Bank

ORDER_BUGS = Bank(part="forward", section=PRE_POST)


@ORDER_BUGS.bug("Which is done last, the addition or the norm?")
def pre_norm(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """This is pre-norm, x + sublayer(norm(x)); post-norm is asked for: add first, then normalise the sum."""
    return x + sublayer(self.norm(x))


@ORDER_BUGS.bug("What stands inside the brackets of the norm?")
def norm_before_the_addition(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """You normalise the sublayer's output before you add x: x + norm(sublayer(x)). Normalise the sum."""
    return x + self.norm(sublayer(x))


@ORDER_BUGS.bug("How often is the norm called?")
def both_normalised(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """You normalise x and the sublayer's output each by itself, and add the two; normalise their sum once."""
    return self.norm(x) + self.norm(sublayer(x))


@ORDER_BUGS.bug("What stands inside the brackets of the norm?")
def only_x_normalised(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """You normalise x, not the sum: norm(x) + sublayer(x). The norm stands around both."""
    return self.norm(x) + sublayer(x)


@ORDER_BUGS.bug("Draw the path of x that goes round the sublayer. What stands on it?")
def residual_from_the_normed_x(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """You normalise x and use it both for the sublayer and for the sum, norm(x) + sublayer(norm(x)): the residual
    path has a norm on it, and the sum has none.
    """
    return self.norm(x) + sublayer(self.norm(x))


@ORDER_BUGS.bug(
    "How often is the norm called?", part="add", also=(lambda self, x, sublayer: self.norm(x) + sublayer(self.norm(x)),)
)
def norm_before_and_after(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """You have two norms, one before the sublayer and one after the sum; post-norm has only the second."""
    return x + sublayer(self.norm(x))


@ORDER_BUGS.bug("How often is the norm called?", part="add")
def sublayer_normalised_as_well(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The sublayer's output is normalised, and then the sum once more; only the sum should be."""
    return x + self.norm(sublayer(x))


@ORDER_BUGS.bug(
    "How often is the norm called? With a trained weight, the second time is not harmless.",
    section=WRONG,
    part="normalise",
)
def normalised_twice(self: Any, x: Tensor) -> Tensor:
    """The sum is normalised twice."""
    return self.norm(self.norm(x))


@ORDER_BUGS.bug("How often does x stand on your last line?")
def x_added_after_the_norm_as_well(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """You add x once more after the norm; x is added once, inside it."""
    return x + self.norm(x + sublayer(x))


@ORDER_BUGS.bug("What keeps the numbers from growing with every layer?", part="normalise")
def norm_missing(self: Any, x: Tensor) -> Tensor:
    """There is no norm: you return the sum itself."""
    return x


@ORDER_BUGS.bug("In the formula, what stands inside, the sublayer or the norm?")
def pre_norm_without_residual(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    """The sublayer comes last, on top of the norm: sublayer(norm(x)), and x is not added."""
    return sublayer(self.norm(x))
