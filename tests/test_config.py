"""What a config refuses does not depend on how its annotations are written."""

from dataclasses import dataclass, fields

import pytest

from companion import RecurrentConfig, TrainingConfig, TransformerConfig
from companion._config import check_kinds

CONFIGS = [TransformerConfig(17, 19), RecurrentConfig(17, 19), TrainingConfig()]
WRONG = {int: 1.5, float: "0.5", bool: 1, str: 3}


@pytest.mark.parametrize(
    ("config", "name"),
    [(config, field.name) for config in CONFIGS for field in fields(config)],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_every_field_refuses_another_kind(config, name):
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    wrong = WRONG[type(values[name])]
    with pytest.raises(ValueError, match=rf"^{name} must be .*, got {wrong!r} \({type(wrong).__name__}\)$"):
        type(config)(**{**values, name: wrong})


@dataclass
class Evaluated:  # this file's annotations are types, those of the package are strings
    steps: int = 5
    rate: float = 0.5
    last: bool = True
    name: str = "a"


def test_annotations_may_be_types():
    assert all(isinstance(field.type, type) for field in fields(Evaluated))
    check_kinds(Evaluated(rate=3))
    for field in fields(Evaluated):
        with pytest.raises(ValueError, match=f"^{field.name} must be "):
            check_kinds(Evaluated(**{field.name: WRONG[field.type]}))


def test_a_clip_norm_may_be_infinite():
    assert TrainingConfig(clip_norm=float("inf")).clip_norm == float("inf")
