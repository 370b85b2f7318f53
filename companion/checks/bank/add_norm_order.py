"""Wrong add & norms: the norm stands in another place than around the sum.

Shapes: B batch, L length, D features; x is (B, L, D).
"""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong method under it.

from __future__ import annotations

from typing import Any

from torch import Tensor

from companion.checks._spec import Bug, bug
from companion.checks.bank.add_norm import PRE_POST, WRONG
from companion.checks.bank.add_norm_residual import Sublayer

ORDER_BUGS: list[Bug] = []


@bug(
    ORDER_BUGS,
    "This is pre-norm, x + sublayer(norm(x)); post-norm is asked for: add first, then normalise the sum.",
    hint="Which is done last, the addition or the norm?",
    section=PRE_POST,
    part="forward",
)
def pre_norm(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return x + sublayer(self.norm(x))


@bug(
    ORDER_BUGS,
    "You normalise the sublayer's output before you add x: x + norm(sublayer(x)). Normalise the sum.",
    hint="What stands inside the brackets of the norm?",
    section=PRE_POST,
    part="forward",
)
def norm_before_the_addition(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return x + self.norm(sublayer(x))


@bug(
    ORDER_BUGS,
    "You normalise x and the sublayer's output each by itself, and add the two; normalise their sum once.",
    hint="How often is the norm called?",
    section=PRE_POST,
    part="forward",
)
def both_normalised(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return self.norm(x) + self.norm(sublayer(x))


@bug(
    ORDER_BUGS,
    "You normalise x, not the sum: norm(x) + sublayer(x). The norm stands around both.",
    hint="What stands inside the brackets of the norm?",
    section=PRE_POST,
    part="forward",
)
def only_x_normalised(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return self.norm(x) + sublayer(x)


@bug(
    ORDER_BUGS,
    "You normalise x and use it both for the sublayer and for the sum, norm(x) + sublayer(norm(x)): the residual path "
    "has a norm on it, and the sum has none.",
    hint="Draw the path of x that goes round the sublayer. What stands on it?",
    section=PRE_POST,
    part="forward",
)
def residual_from_the_normed_x(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return self.norm(x) + sublayer(self.norm(x))


@bug(
    ORDER_BUGS,
    "You have two norms, one before the sublayer and one after the sum; post-norm has only the second.",
    hint="How often is the norm called?",
    section=PRE_POST,
    part="add",
    also=(lambda self, x, sublayer: self.norm(x) + sublayer(self.norm(x)),),
)
def norm_before_and_after(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return x + sublayer(self.norm(x))


@bug(
    ORDER_BUGS,
    "The sublayer's output is normalised, and then the sum once more; only the sum should be.",
    hint="How often is the norm called?",
    section=PRE_POST,
    part="add",
)
def sublayer_normalised_as_well(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return x + self.norm(sublayer(x))


@bug(
    ORDER_BUGS,
    "The sum is normalised twice.",
    hint="How often is the norm called? With a trained weight, the second time is not harmless.",
    section=WRONG,
    part="normalise",
)
def normalised_twice(self: Any, x: Tensor) -> Tensor:
    return self.norm(self.norm(x))


@bug(
    ORDER_BUGS,
    "You add x once more after the norm; x is added once, inside it.",
    hint="How often does x stand on your last line?",
    section=PRE_POST,
    part="forward",
)
def x_added_after_the_norm_as_well(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return x + self.norm(x + sublayer(x))


@bug(
    ORDER_BUGS,
    "There is no norm: you return the sum itself.",
    hint="What keeps the numbers from growing with every layer?",
    section=PRE_POST,
    part="normalise",
)
def norm_missing(self: Any, x: Tensor) -> Tensor:
    return x


@bug(
    ORDER_BUGS,
    "The sublayer comes last, on top of the norm: sublayer(norm(x)), and x is not added.",
    hint="In the formula, what stands inside, the sublayer or the norm?",
    section=PRE_POST,
    part="forward",
)
def pre_norm_without_residual(self: Any, x: Tensor, sublayer: Sublayer) -> Tensor:
    return sublayer(self.norm(x))
