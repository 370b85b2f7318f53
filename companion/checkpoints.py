"""Checkpoints: a model, its tokenizers and where its training stands, in one folder that survives a kill.

A save writes a new subfolder, syncs it to the disk, and only then replaces a small pointer file, which the file
system does in one step. A kill at any moment leaves the old checkpoint whole or the new one. The pointer holds a
hash of each file, so that a damaged one is noticed instead of loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from companion.data import Tokenizer
from companion.transformer import Transformer, TransformerConfig

POINTER = "checkpoint.json"
FORMAT = 1
FOLDER = "save-"  # and a number; any other folder in the directory is somebody else's
FILES = ("config.json", "source_tokenizer.json", "target_tokenizer.json", "model.safetensors", "training.safetensors")


class CheckpointError(ValueError):
    """A checkpoint is missing or damaged; the message says which file and what to do."""


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

    Raises:
        OSError: if it cannot be written; the checkpoint that was there stays whole.
    """
    from safetensors.torch import save

    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    config = {"model": asdict(checkpoint.model.config), "notes": checkpoint.notes}
    parameters = {name: p.detach().cpu().contiguous() for name, p in checkpoint.model.named_parameters()}
    training = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.training.items()}
    contents = {
        "config.json": json.dumps(config, indent=2, ensure_ascii=False).encode(),
        "source_tokenizer.json": checkpoint.source_tokenizer.to_json().encode(),
        "target_tokenizer.json": checkpoint.target_tokenizer.to_json().encode(),
        "model.safetensors": save(parameters),
        "training.safetensors": save(training),
    }
    taken = _numbers(directory)
    folder = directory / f"{FOLDER}{max(taken, default=0) + 1}"
    folder.mkdir()
    for name, content in contents.items():
        _write_synced(folder / name, content)
    _sync_folder(folder)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    pointer = {"format": FORMAT, "folder": folder.name, "sha256": hashes}
    _write_synced(directory / f"{POINTER}.new", json.dumps(pointer, indent=2).encode())
    os.replace(directory / f"{POINTER}.new", directory / POINTER)
    _sync_folder(directory)
    for number in taken:  # the one before, and what a kill left unfinished
        shutil.rmtree(directory / f"{FOLDER}{number}", ignore_errors=True)


def load_checkpoint(directory: str | os.PathLike[str]) -> Checkpoint:
    """Read what `save_checkpoint` wrote.

    Raises:
        CheckpointError: if there is no checkpoint, or a file of it is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    contents = _read_verified(Path(directory))
    try:
        config = json.loads(contents["config.json"])
        model = Transformer(TransformerConfig(**config["model"]))
        _fill(model, load(contents["model.safetensors"]))
        return Checkpoint(
            model.eval(),
            Tokenizer.from_json(contents["source_tokenizer.json"].decode()),
            Tokenizer.from_json(contents["target_tokenizer.json"].decode()),
            config["notes"],
            load(contents["training.safetensors"]),
        )
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(
            f"the checkpoint in {os.fspath(directory)} was written by another version: {error}"
        ) from error


def has_checkpoint(directory: str | os.PathLike[str]) -> bool:
    """Say whether `directory` holds a checkpoint."""
    return (Path(directory) / POINTER).is_file()


def _numbers(directory: Path) -> list[int]:
    numbers = (path.name.removeprefix(FOLDER) for path in directory.glob(f"{FOLDER}*"))
    return [int(number) for number in numbers if number.isascii() and number.isdecimal()]


def _fill(model: Transformer, tensors: dict[str, Tensor]) -> None:
    parameters = dict(model.named_parameters())
    wrong = set(parameters).symmetric_difference(tensors)
    if wrong:
        raise ValueError(f"{sorted(wrong)[0]} stands in the file or in the model, not in both")
    with torch.no_grad():
        for name, parameter in parameters.items():
            if parameter.shape != tensors[name].shape:
                raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}, expected {tuple(parameter.shape)}")
            parameter.data = tensors[name]


def _read_verified(directory: Path) -> dict[str, bytes]:
    if not has_checkpoint(directory):
        raise CheckpointError(f"no checkpoint in {directory}: there is no {POINTER}")
    try:
        pointer = json.loads((directory / POINTER).read_bytes())
        folder, hashes = directory / str(pointer["folder"]), dict(pointer["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{directory / POINTER} is damaged ({error}): restore it or train again") from error
    if pointer.get("format") != FORMAT:
        raise CheckpointError(f"{directory / POINTER} has format {pointer.get('format')!r}, expected {FORMAT}")
    contents = {}
    for name in FILES:
        path = folder / name
        try:
            contents[name] = path.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a damaged name with a NUL in it
            raise CheckpointError(f"{path} cannot be read ({error}): restore it or train again") from error
        if hashlib.sha256(contents[name]).hexdigest() != hashes.get(name):
            raise CheckpointError(f"{path} is damaged: it is not the file that was saved; restore it or train again")
    return contents


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    if os.name == "posix":  # Windows has no such call, and does not need it
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
