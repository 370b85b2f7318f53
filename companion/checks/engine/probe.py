"""A question that a check asks: one set of inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Probe:
    """One set of inputs.

    Attributes:
        name: finishes the sentence "wrong on ..."; unique in its check.
        inputs: by parameter name, in order.
        gradients: the inputs whose gradients are compared.
        edge_warning: if not empty, an edge case, judged once everything else is right; a result that is not
            finite then gets this warning instead of a failure.
        omit: a parameter that is left out of the call; the probe is skipped where it has no default.
        remedy: what is said of a wrong value on a probe that takes no part in the diagnosis.
    """

    name: str
    inputs: Mapping[str, Any]
    gradients: tuple[str, ...] = ()
    edge_warning: str = ""
    omit: str = ""
    remedy: str = ""

    @property
    def core(self) -> bool:
        """Whether the probe takes part in the diagnosis."""
        return not self.edge_warning and not self.omit
