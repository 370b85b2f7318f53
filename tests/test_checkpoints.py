import json
import os
import random
import shutil
import subprocess
import sys
import time

import pytest
import torch

from companion import (
    Checkpoint,
    CheckpointError,
    Tokenizer,
    Transformer,
    has_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from tests.helpers import config, parameters_equal, small_task

FILES = ["config.json", "model.safetensors", "source_tokenizer.json", "target_tokenizer.json", "training.safetensors"]


def checkpoint(seed=0, **changes):
    task = small_task()
    torch.manual_seed(seed)
    parts = Transformer(config(**changes)), task.source_tokenizer, task.target_tokenizer
    return Checkpoint(*parts, {"seed": seed, "title": "größer"}, {"losses": torch.rand(7, dtype=torch.float64)})


def assert_equal(actual, expected):
    assert actual.model.config == expected.model.config
    assert parameters_equal(actual.model, expected.model)
    assert actual.source_tokenizer.to_json() == expected.source_tokenizer.to_json()
    assert actual.target_tokenizer.to_json() == expected.target_tokenizer.to_json()
    assert actual.notes == expected.notes
    assert actual.training.keys() == expected.training.keys()
    assert all(torch.equal(actual.training[name], expected.training[name]) for name in expected.training)


def contents(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "changes",
    [{}, {"norm_first": True}, {"tie_embeddings": False}, {"source_vocab_size": 19, "share_embeddings": True}],
    ids=str,
)
def test_what_was_saved_is_loaded_bit_for_bit(tmp_path, changes):
    saved = checkpoint(**changes)
    save_checkpoint(tmp_path / "new" / "folder", saved)
    loaded = load_checkpoint(str(tmp_path / "new" / "folder"))
    assert_equal(loaded, saved)
    assert not loaded.model.training
    assert (loaded.model.output.weight is loaded.model.target_embedding.weight) is loaded.model.config.tie_embeddings
    source, target = torch.tensor([[5, 2]]), torch.tensor([[1, 5]])
    assert torch.equal(loaded.model(source, target), saved.model.eval()(source, target))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_the_dtype_is_kept(tmp_path, dtype):
    saved = checkpoint()
    saved.model.to(dtype)
    save_checkpoint(tmp_path, saved)
    assert_equal(load_checkpoint(tmp_path), saved)


def test_a_save_leaves_one_checkpoint_and_other_peoples_files(tmp_path):
    (tmp_path / "2024").mkdir()
    (tmp_path / "2024" / "diary.txt").write_text("kept")
    for seed in range(3):
        save_checkpoint(tmp_path, checkpoint(seed))
    assert_equal(load_checkpoint(tmp_path), checkpoint(2))
    (folder,) = {name.rpartition("/")[0] for name in contents(tmp_path) if name.endswith(".safetensors")}
    assert contents(tmp_path) == sorted(["2024/diary.txt", "checkpoint.json", *(f"{folder}/{name}" for name in FILES)])


class Killed(BaseException):
    """Raised in place of a kill; no handler for errors may swallow it."""


STEPS = {
    "mkdir": (os, "mkdir"),
    "fsync": (os, "fsync"),
    "replace": (os, "replace"),
    "open": (os, "open"),
    "rmtree": (shutil, "rmtree"),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("first", [True, False], ids=["first save", "later save"])
def test_a_kill_anywhere_leaves_the_old_or_the_new_one(tmp_path, monkeypatch, step, first):
    place, name = STEPS[step]
    original = getattr(place, name)
    old, new = checkpoint(1), checkpoint(2)
    outcomes = set()
    for kill_at in range(20):
        for path in tmp_path.iterdir():
            shutil.rmtree(path)
        directory = tmp_path / str(kill_at)
        if not first:
            save_checkpoint(directory, old)
        calls = iter(range(100))

        def killing(*args, calls=calls, kill_at=kill_at, **options):
            if next(calls) == kill_at:
                raise Killed
            return original(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(place, name, killing)
            try:
                save_checkpoint(directory, new)
                survived = True
            except Killed:
                survived = False
        if first and not survived and not has_checkpoint(directory):
            outcomes.add("none")
        else:
            loaded = load_checkpoint(directory)
            which = "new" if loaded.notes["seed"] == 2 else "old"
            assert not (survived and which == "old")
            assert_equal(loaded, new if which == "new" else old)
            outcomes.add(which)
        save_checkpoint(directory, new)  # cleans up
        assert len(contents(directory)) == 1 + len(FILES)
        if survived:
            break
    assert survived
    assert kill_at > 0 or (first and step == "rmtree")
    assert "new" in outcomes


@pytest.mark.parametrize("kill_at", range(6))
def test_a_kill_in_the_middle_of_a_file(tmp_path, monkeypatch, kill_at):
    from companion import checkpoints

    save_checkpoint(tmp_path, checkpoint(1))
    count = iter(range(100))

    def torn(path, content):
        path.write_bytes(content if next(count) < kill_at else content[: len(content) // 2])
        if path.stat().st_size < len(content):
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_write_synced", torn)
        with pytest.raises(Killed):
            save_checkpoint(tmp_path, checkpoint(2))
    assert_equal(load_checkpoint(tmp_path), checkpoint(1))
    save_checkpoint(tmp_path, checkpoint(3))
    assert_equal(load_checkpoint(tmp_path), checkpoint(3))
    assert len(contents(tmp_path)) == 1 + len(FILES)


def test_a_full_disk_is_an_error_and_the_old_one_stays(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, checkpoint(1))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            save_checkpoint(tmp_path, checkpoint(2))
    assert_equal(load_checkpoint(tmp_path), checkpoint(1))


SAVE_FOREVER = """
import sys
from companion import checkpoints
saved = checkpoints.load_checkpoint(sys.argv[1])
print("ready", flush=True)
while True:
    checkpoints.save_checkpoint(sys.argv[1], saved)
"""


def test_a_real_kill(tmp_path):
    saved = checkpoint()
    save_checkpoint(tmp_path, saved)
    command = [sys.executable, "-c", SAVE_FOREVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(random.Random().uniform(0.05, 0.3))
        process.kill()
    assert_equal(load_checkpoint(tmp_path), saved)


def test_no_checkpoint_is_said(tmp_path):
    assert not has_checkpoint(tmp_path)
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CheckpointError, match=r"no checkpoint in .*: there is no checkpoint\.json"):
            load_checkpoint(path)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_changed_file_is_named(tmp_path, name):
    save_checkpoint(tmp_path, checkpoint())
    (path,) = tmp_path.rglob(name)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(CheckpointError, match=f"{name} is damaged: it is not the file that was saved; restore it"):
        load_checkpoint(tmp_path)
    path.unlink()
    with pytest.raises(CheckpointError, match=f"{name} cannot be read .*No such file"):
        load_checkpoint(tmp_path)


def mutations(content, rng, count):
    for _ in range(count):
        kind, at = rng.randrange(4), rng.randrange(len(content))
        if kind == 0:
            yield content[:at]
        elif kind == 1:
            yield content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
        elif kind == 2:
            yield content[:at] + rng.randbytes(rng.randrange(1, 9)) + content[at:]
        else:
            yield content[:at] + content[at + rng.randrange(1, 30) :]


def test_damage_gives_checkpoint_errors_only(tmp_path):
    saved, rng = checkpoint(), random.Random(0)
    save_checkpoint(tmp_path, saved)
    refused = 0
    for path in sorted(path for path in tmp_path.rglob("*") if path.is_file()):
        content = path.read_bytes()
        for mutated in mutations(content, rng, 150 if path.name == "checkpoint.json" else 40):
            path.write_bytes(mutated)
            try:
                loaded = load_checkpoint(tmp_path)
            except CheckpointError:
                refused += 1
            else:
                assert_equal(loaded, saved)  # a blank more in the pointer does no harm
        path.write_bytes(content)
    assert refused > 300


@pytest.mark.parametrize(
    "pointer",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b'"x"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"folder": 1e999}',
        b'{"folder": "a\\u0000b", "sha256": {}}',
    ]
    + [json.dumps({"format": number, "folder": "save-1", "sha256": {}}).encode() for number in (1, 2, None)],
    ids=lambda pointer: repr(pointer[:12]),
)
def test_no_pointer_gets_another_error(tmp_path, pointer):
    save_checkpoint(tmp_path, checkpoint())
    (tmp_path / "checkpoint.json").write_bytes(pointer)
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path)


def test_a_checkpoint_of_another_version_is_said(tmp_path, monkeypatch):
    saved = checkpoint()
    monkeypatch.setattr(saved.model, "config", config(d_ff=17))
    save_checkpoint(tmp_path, saved)
    with pytest.raises(
        CheckpointError, match=r"another version: .*linear1.weight has shape \(13, 10\), expected \(17, 10\)"
    ):
        load_checkpoint(tmp_path)


def test_only_tokenizers_are_taken_for_tokenizers():
    with pytest.raises(ValueError, match="not a tokenizer file"):
        Tokenizer.from_json("{}")
