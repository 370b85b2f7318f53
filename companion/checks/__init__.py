"""Checks that an assignment calls: they say what is wrong.

``from companion import check``, then ``check.attention(my_attention)``. A check that passes returns a `Report`;
one that fails raises `CheckFailed`, which carries the report, or returns it with ``raises=False``. The package
never imports this one: nothing here takes part in a model.

What all checks share stands in `engine`; each chapter's checks and their bugs stand in a folder of its name.
"""

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Annotated, Any, get_origin, get_type_hints

from companion.checks.engine.bank import Bank, Bug, section
from companion.checks.engine.check import Check
from companion.checks.engine.classes import ClassForm
from companion.checks.engine.diagnosis import off_by
from companion.checks.engine.evidence import Evidence
from companion.checks.engine.handed_in import FunctionForm, HandedIn
from companion.checks.engine.probe import Probe
from companion.checks.engine.properties import how_far
from companion.checks.engine.public import PublicCheck, public
from companion.checks.engine.report import CheckFailed, Report, Table, number

# A check is registered by a line: its name, and the folder that holds it. It is loaded when it is first used.
additive_attention: Annotated[PublicCheck, "additive"]
attention: Annotated[PublicCheck, "attention"]
attention_weights: Annotated[PublicCheck, "attention"]
masked_softmax: Annotated[PublicCheck, "attention"]
causal_mask: Annotated[PublicCheck, "masks"]
padding_mask: Annotated[PublicCheck, "masks"]
combine_masks: Annotated[PublicCheck, "masks"]
schedule: Annotated[PublicCheck, "training"]
loss: Annotated[PublicCheck, "training"]
greedy: Annotated[PublicCheck, "generation"]
kv_cache: Annotated[PublicCheck, "generation"]
rnn_cell: Annotated[PublicCheck, "recurrent"]
gru_cell: Annotated[PublicCheck, "recurrent"]
split_heads: Annotated[PublicCheck, "multi_head"]
merge_heads: Annotated[PublicCheck, "multi_head"]
multi_head: Annotated[PublicCheck, "multi_head"]
positional: Annotated[PublicCheck, "positional"]
rotary: Annotated[PublicCheck, "positional"]
layer_norm: Annotated[PublicCheck, "add_norm"]
add_norm: Annotated[PublicCheck, "add_norm"]
feed_forward: Annotated[PublicCheck, "encoder"]
encoder_layer: Annotated[PublicCheck, "encoder"]
decoder_layer: Annotated[PublicCheck, "decoder"]
transformer: Annotated[PublicCheck, "transformer"]


class _Checks(Mapping[str, Check]):
    """The checks by name, each loaded when it is asked for."""

    __name__ = "CHECKS"

    def __init__(self, folders: Mapping[str, str]) -> None:
        self.folders = folders

    def __getitem__(self, name: str) -> Check:
        module = import_module(f"{__name__}.{self.folders[name]}")
        check: Check = getattr(module, name.upper())
        return check

    def __iter__(self) -> Iterator[str]:
        return iter(self.folders)

    def __len__(self) -> int:
        return len(self.folders)


class _Face(ModuleType):
    """This module, with the checks among its attributes.

    Python makes a folder that is imported an attribute of its parent; here `check.attention` stays the function.
    """

    def __getattr__(self, name: str) -> Any:
        if name not in CHECKS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        function = self.__dict__[name] = public(CHECKS[name])
        return function

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in CHECKS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return [*__all__]


_FACE = sys.modules[__name__]
CHECKS: Mapping[str, Check] = _Checks(
    {
        name: hint.__metadata__[0]
        for name, hint in get_type_hints(_FACE, include_extras=True).items()
        if get_origin(hint) is Annotated
    }
)
"""Every check by name, with its probes and its bank of bugs."""
_FACE.__class__ = _Face

__all__ = [
    "CHECKS",
    "Bank",
    "Bug",
    "Check",
    "CheckFailed",
    "ClassForm",
    "Evidence",
    "FunctionForm",
    "HandedIn",
    "Probe",
    "Report",
    "Table",
    "add_norm",
    "additive_attention",
    "attention",
    "attention_weights",
    "causal_mask",
    "combine_masks",
    "decoder_layer",
    "encoder_layer",
    "feed_forward",
    "greedy",
    "gru_cell",
    "how_far",
    "kv_cache",
    "layer_norm",
    "loss",
    "masked_softmax",
    "merge_heads",
    "multi_head",
    "number",
    "off_by",
    "padding_mask",
    "positional",
    "public",
    "rnn_cell",
    "rotary",
    "schedule",
    "section",
    "split_heads",
    "transformer",
]
