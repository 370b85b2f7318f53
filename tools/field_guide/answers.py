"""What a bug gives on one question."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Answer:
    """What a bug gives on one question (a probe of its check).

    Attributes:
        question: the probe's name.
        kind: "right", "off", "nan", "shape", "dtype" or "raised".
        value: the output, a tensor; None if there is none.
        right: the right output.
        error: name of the exception, if one was raised.
        edge: whether the question is an edge case.
    """

    question: str
    kind: str
    value: Any
    right: Tensor
    error: str = ""
    edge: bool = False

    @property
    def off(self) -> float:
        """The largest difference, as a number."""
        return float((self.value.double() - self.right.double()).abs().nan_to_num(0.0).max())
