"""Checkpoints: a model, its tokenizers and where its training stands, in one file that survives a kill.

A save writes a new file beside the old one, syncs it to the disk and puts it in the old one's place, which the file
system does in one step: a kill at any moment leaves the old checkpoint whole or the new one. It is a safetensors
file like any other. The config, the tokenizers and the notes are its metadata, and so is a hash of all its bytes, so
that damage is noticed instead of loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from companion.data import Tokenizer
from companion.transformer import Transformer, TransformerConfig

FILE = "checkpoint.safetensors"
UNFINISHED = f"{FILE}.{{}}.new"  # with 32 digits that no other save draws
FORMAT = "transformer-companion 2"
FORMAT_1 = "save-*/training.safetensors"  # a folder of files with a pointer to it
HASH_FOLLOWS = b'"sha256":"'  # in the metadata; in JSON inside them each quotation mark has a backslash before it


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged or cannot be made; the message says which file and what to do."""


@dataclass
class Checkpoint:
    """What a folder holds.

    Args:
        model: the model, on the CPU, in eval mode.
        source_tokenizer: cuts the source.
        target_tokenizer: cuts the target.
        notes: whatever JSON the writer wanted to keep: the task, the measures.
        training: tensors from `Trainer.state`, or empty.
    """

    model: Transformer
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    notes: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Tensor] = field(default_factory=dict)


def save_checkpoint(directory: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `directory`, in place of the one that is there.

    Whatever is raised, the one that was there stays whole, and nothing of the new one is left behind.

    Raises:
        CheckpointError: if it could not be loaded again, or a file that is no checkpoint stands in its place.
        OSError: if it cannot be written.
    """
    try:
        content = _pack(checkpoint)
        _unpack(content)
        digest = _hash(content)
    except Exception as error:
        raise CheckpointError(f"not saved, because it could not be loaded again: {error}") from error
    path = Path(directory, FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and b'"format":"transformer-companion ' not in path.read_bytes():
        raise CheckpointError(f"not saved, because {path} is there and is no checkpoint: move it away")
    for left_by_a_kill in path.parent.glob(UNFINISHED.format("[0-9a-f]" * 32)):
        left_by_a_kill.unlink(missing_ok=True)
    unfinished = path.with_name(UNFINISHED.format(uuid.uuid4().hex))
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.seek(_place_of_hash(content).start)
            file.write(digest)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    if os.name == "posix":  # Windows cannot sync a folder, and does not need it
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def load_checkpoint(directory: str | os.PathLike[str]) -> Checkpoint:
    """Read what `save_checkpoint` wrote.

    Raises:
        CheckpointError: if there is no checkpoint, or it is damaged, or of another version.
    """
    path = Path(directory, FILE)
    remedy = "restore it from a copy, or move it away and train again"
    other_version = "load it with the version that wrote it, or train again into another folder"
    if not has_checkpoint(directory):
        raise CheckpointError(f"no checkpoint in {path.parent}: there is no {FILE}")
    if not path.is_file():
        raise CheckpointError(f"{path.parent} holds a checkpoint of an older version: {other_version}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error}): {remedy}") from error
    if HASH_FOLLOWS not in content or content[_place_of_hash(content)] != _hash(content):
        raise CheckpointError(f"{path} is damaged: it is not the file that was saved; {remedy}")
    try:
        return _unpack(content)
    except Exception as error:
        raise CheckpointError(f"{path} was written by another version ({error}): {other_version}") from error


def has_checkpoint(directory: str | os.PathLike[str]) -> bool:
    """Say whether `directory` holds a checkpoint, of this version or an older one."""
    return Path(directory, FILE).is_file() or any(Path(directory).glob(FORMAT_1))


def _pack(checkpoint: Checkpoint) -> bytes:
    """Make the content of the file, with zeros for its hash. What was compiled gets the names that it had before."""
    from safetensors.torch import save

    model = checkpoint.model
    kept = model.state_dict()
    named = chain(model.named_parameters(), model.named_buffers())
    tensors = {f"model/{name.replace('_orig_mod.', '')}": tensor for name, tensor in named if name in kept}
    tensors |= {f"training/{name}": tensor for name, tensor in checkpoint.training.items()}
    metadata = {
        "format": FORMAT,
        "config": json.dumps(asdict(model.config)),
        "source_tokenizer": checkpoint.source_tokenizer.to_json(),
        "target_tokenizer": checkpoint.target_tokenizer.to_json(),
        "notes": json.dumps(checkpoint.notes),
        "sha256": "0" * 64,
    }
    # Copies, since safetensors refuses tensors that share memory, as a model's and its trainer's may.
    copies = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    return save(copies, metadata)


def _unpack(content: bytes) -> Checkpoint:
    from safetensors.torch import load

    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    metadata = json.loads(header)["__metadata__"]
    if metadata["format"] != FORMAT:
        raise ValueError(f"its format is {metadata['format']!r}, expected {FORMAT!r}")
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "training": {}}
    for name, tensor in load(content).items():
        part, _, rest = name.partition("/")
        parts[part][rest] = tensor
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):  # the caller's random state stays as it is
        model = Transformer(TransformerConfig(**json.loads(metadata["config"])))
    _fill(model, parts["model"])
    source, target = (Tokenizer.from_json(metadata[f"{side}_tokenizer"]) for side in ("source", "target"))
    return Checkpoint(model.eval(), source, target, json.loads(metadata["notes"]), parts["training"])


def _fill(model: Transformer, tensors: dict[str, Tensor]) -> None:
    parameters = dict(model.named_parameters())
    for name in sorted(parameters.keys() | tensors.keys()):
        found, expected = (tuple(of[name].shape) if name in of else "absent" for of in (tensors, parameters))
        if found != expected:
            raise ValueError(f"{name} is {found}, and in a Transformer of this config {expected}")
        parameters[name].data = tensors[name]


def _hash(content: bytes) -> bytes:
    """Hash all bytes but those of the hash itself."""
    place = _place_of_hash(content)
    sha256 = hashlib.sha256(content[: place.start])
    sha256.update(memoryview(content)[place.stop :])
    return sha256.hexdigest().encode()


def _place_of_hash(content: bytes) -> slice:
    start = content.index(HASH_FOLLOWS) + len(HASH_FOLLOWS)
    return slice(start, start + 64)
