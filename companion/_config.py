"""Errors about the values of a config, in words: what came, what was expected."""

from __future__ import annotations

from typing import Any, get_type_hints

_KINDS = {int: "a whole number", float: "a number", bool: "True or False", str: "a string"}


def check_kinds(config: Any) -> None:
    """Refuse a dataclass with a value that is not what its field declares: an int, a float, a bool or a str."""
    for name, kind in get_type_hints(type(config)).items():
        value = getattr(config, name)
        accepted = (int, float) if kind is float else kind
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            got = type(value).__name__
            raise ValueError(f"{name} must be {_KINDS[kind]} ({kind.__name__}), got {value!r} ({got})")


def check_sizes(config: Any, *names: str) -> None:
    """Refuse a size that is less than 1."""
    for name in names:
        if getattr(config, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(config, name)}")


def check_special_ids(config: Any) -> None:
    """Refuse pad_id, bos_id and eos_id if two are the same, or one is not an id of both vocabularies."""
    special = {config.pad_id, config.bos_id, config.eos_id}
    if len(special) < 3 or min(special) < 0 or max(special) >= min(config.source_vocab_size, config.target_vocab_size):
        raise ValueError(
            f"pad_id ({config.pad_id}), bos_id ({config.bos_id}) and eos_id ({config.eos_id}) must differ and lie in "
            f"both vocabularies ({config.source_vocab_size} and {config.target_vocab_size} tokens)"
        )


def check_tokenizers(config: Any, tokenizers: Any) -> None:
    """Refuse the config of a model that has too few tokens for its tokenizers, or other special ids than they have."""
    for side in ("source", "target"):
        tokenizer = getattr(tokenizers, f"{side}_tokenizer")
        needed = {name: getattr(tokenizer, name) for name in ("pad_id", "bos_id", "eos_id")}
        for name, theirs in {f"{side}_vocab_size": len(tokenizer), **needed}.items():
            ours = getattr(config, name)
            if ours < theirs or (name in needed and ours != theirs):  # a vocabulary may have room to spare
                raise ValueError(
                    f"the model's {name} ({ours}) does not fit the {side} tokenizer, which needs {theirs}: "
                    f"make the model with {name}={theirs}, or take the tokenizers it was made for"
                )
