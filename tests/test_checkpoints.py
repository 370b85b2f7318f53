import contextlib
import dataclasses
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

from companion import (
    Checkpoint,
    CheckpointError,
    RecurrentConfig,
    Tokenizer,
    Transformer,
    has_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from tests.helpers import config, parameters_equal, small_task

FILE = "checkpoint.safetensors"


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


def test_a_save_leaves_one_file_and_other_peoples_alone(tmp_path):
    mine = ["2024/diary.txt", "save-7/thesis.txt", f"{FILE}.new", f"{FILE}.thesis.new", f"old-{FILE}"]
    for name in mine:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"kept: {name}")
    for seed in range(3):
        save_checkpoint(tmp_path, checkpoint(seed))
    assert_equal(load_checkpoint(tmp_path), checkpoint(2))
    assert contents(tmp_path) == sorted([*mine, FILE])
    assert all((tmp_path / name).read_text() == f"kept: {name}" for name in mine)


@pytest.mark.parametrize("content", [b"", b"mine", safetensors.torch.save({"mine": torch.zeros(3)}, {"format": "pt"})])
def test_a_file_of_somebody_elses_is_not_replaced(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"not saved, because .*{FILE} is there and is no checkpoint: move it"):
        save_checkpoint(tmp_path, checkpoint())
    assert (tmp_path / FILE).read_bytes() == content
    assert contents(tmp_path) == [FILE]


@pytest.mark.parametrize("part", ["all of it", "its encoder"])
def test_a_compiled_model_is_saved_as_the_model_that_it_is(tmp_path, part):
    saved, expected = checkpoint(), checkpoint()
    if part == "all of it":
        saved.model = torch.compile(saved.model, backend="eager")
    else:
        saved.model.encoder = torch.compile(saved.model.encoder, backend="eager")
    save_checkpoint(tmp_path, saved)
    assert_equal(load_checkpoint(tmp_path), expected)


def test_a_model_and_its_trainer_may_share_their_weights(tmp_path):
    saved = checkpoint()
    weight = saved.model.target_embedding.weight
    saved.training = {"weight": weight, "again": weight, "turned": weight.T}
    save_checkpoint(tmp_path, saved)
    assert_equal(load_checkpoint(tmp_path), saved)


def with_an_adapter(model):
    model.adapter = torch.nn.Linear(3, 5)


def with_a_buffer(model):
    model.register_buffer("seen", torch.zeros(3))


def with_an_output_of_its_own(model):
    model.output.weight = torch.nn.Parameter(torch.zeros(19, 10))


def with_shared_layers(model):
    model.encoder.layers[1] = model.encoder.layers[0]


def with_another_size(model):
    model.output.weight = model.target_embedding.weight = torch.nn.Parameter(torch.zeros(23, 10))


def with_an_adapter_on_a_weight(model):
    torch.nn.utils.parametrizations.weight_norm(model.encoder.layers[0].feed_forward.linear1)


def with_another_config(model):
    model.config = RecurrentConfig(17, 19)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (with_an_adapter, r"adapter.bias is \(5,\), and in a Transformer of this config absent"),
        (with_a_buffer, r"seen is \(3,\), .* absent"),
        (with_an_output_of_its_own, r"output.weight is \(19, 10\), .* absent"),
        (with_shared_layers, r"encoder.layers.1.*bias is absent, and in a Transformer of this config \(10,\)"),
        (with_another_size, r"target_embedding.weight is \(23, 10\), and in a Transformer of this config \(19, 10\)"),
        (with_an_adapter_on_a_weight, "encoder.layers.0.feed_forward.linear1.* absent"),
        (with_another_config, "TransformerConfig.* got an unexpected keyword argument"),
    ],
)
def test_a_save_refuses_what_a_load_would(tmp_path, change, key):
    save_checkpoint(tmp_path, checkpoint(1))
    other = checkpoint(2)
    change(other.model)
    with pytest.raises(CheckpointError, match=f"not saved, because it could not be loaded again: {key}"):
        save_checkpoint(tmp_path, other)
    assert contents(tmp_path) == [FILE]
    assert_equal(load_checkpoint(tmp_path), checkpoint(1))
    with pytest.raises(CheckpointError):
        save_checkpoint(tmp_path / "new", other)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "part", [{"notes": {"when": object()}}, {"training": {"losses": [1.0]}}], ids=["notes", "training"]
)
def test_what_cannot_be_written_is_refused(tmp_path, part):
    save_checkpoint(tmp_path, checkpoint(1))
    with pytest.raises(CheckpointError, match="not saved, because it could not be loaded again: .*(JSON|list)"):
        save_checkpoint(tmp_path, dataclasses.replace(checkpoint(2), **part))
    assert contents(tmp_path) == [FILE]
    assert_equal(load_checkpoint(tmp_path), checkpoint(1))


def test_the_file_is_one_that_other_programs_read(tmp_path):
    saved = checkpoint()
    save_checkpoint(tmp_path, saved)
    with safetensors.safe_open(tmp_path / FILE, "pt") as file:
        assert json.loads(file.metadata()["notes"]) == saved.notes
        assert torch.equal(file.get_tensor("training/losses"), saved.training["losses"])
        weight = file.get_tensor("model/target_embedding.weight")
    assert torch.equal(weight, saved.model.target_embedding.weight)


def test_the_callers_random_state_stays(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    saved = checkpoint()
    torch.manual_seed(5)
    save_checkpoint(tmp_path, saved)
    load_checkpoint(tmp_path)
    assert torch.equal(torch.rand(3), expected)


class Killed(BaseException):
    """Raised in place of a kill; no handler for errors may swallow it."""


STEPS = ["mkdir", "open", "unlink", "fsync", "replace"]  # what changes the folder; what is written is cut at fsync


@contextlib.contextmanager
def killed_at(number):
    """Kill a save before the step of this number; a killed process takes no further step either."""
    calls = itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        for name in STEPS:
            original = getattr(os, name)

            def step(*args, name=name, original=original, **options):
                call = next(calls)
                if call == number and name == "fsync":
                    with contextlib.suppress(OSError):  # where it is a folder
                        os.truncate(args[0], os.fstat(args[0]).st_size // 2)
                if call >= number:
                    raise Killed
                return original(*args, **options)

            patch.setattr(os, name, step)
        yield


@pytest.mark.parametrize("first", [True, False], ids=["first save", "later save"])
def test_a_kill_anywhere_leaves_the_old_or_the_new_one(tmp_path, first):
    old, new = checkpoint(1), checkpoint(2)
    outcomes = []
    for number in range(20):
        directory = tmp_path / str(number)
        if not first:
            save_checkpoint(directory, old)
        try:
            with killed_at(number):
                save_checkpoint(directory, new)
            survived = True
        except Killed:
            survived = False
        if has_checkpoint(directory):
            loaded = load_checkpoint(directory)
            outcomes.append("new" if loaded.notes["seed"] == 2 else "old")
            assert_equal(loaded, new if outcomes[-1] == "new" else old)
        else:
            outcomes.append("none")
        save_checkpoint(directory, new)  # cleans up
        assert contents(directory) == [FILE]
        if survived:
            break
    assert survived
    before = "none" if first else "old"
    changed = outcomes.index("new")
    assert outcomes == [before] * changed + ["new"] * (len(outcomes) - changed)
    assert changed >= 3
    assert outcomes[-1] == "new"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_save_that_fails_leaves_nothing_behind(tmp_path, monkeypatch, step):
    save_checkpoint(tmp_path, checkpoint(1))

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(OSError, match="No space left"):
            save_checkpoint(tmp_path, checkpoint(2))
    assert contents(tmp_path) == [FILE]
    assert_equal(load_checkpoint(tmp_path), checkpoint(1))


TRAIN = """
import os, sys, torch
from companion import *

task = NumberWords(max_digits=2, num_train=60, num_held_out=5)
tokenizers = task.source_tokenizer, task.target_tokenizer
sizes = {"d_model": 10, "num_heads": 5, "d_ff": 13, "num_encoder_layers": 1, "num_decoder_layers": 1, "max_len": 64}

def train(directory, steps):
    torch.manual_seed(0)
    saved = load_checkpoint(directory) if has_checkpoint(directory) else None
    model = saved.model if saved else Transformer(TransformerConfig(*map(len, tokenizers), dropout=0.1, **sizes))
    trainer = Trainer(model, task, TrainingConfig(steps=steps, batch_size=17))
    if saved:
        trainer.load_state(saved.training)
    save = lambda trainer: save_checkpoint(directory, Checkpoint(model, *tokenizers, {}, trainer.state()))
    trainer.run([save], progress=False)

torch.set_num_threads(1)
torch.optim.Adam([torch.zeros(1)])  # the first one imports for seconds
for line in sys.stdin:  # each run is a child, which can be killed without importing everything again
    child = os.fork()
    if not child:
        train(line.split()[0], int(line.split()[1]))
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_ten_times_training_ends_as_in_one_go(tmp_path):
    """It saves after every step, and SIGKILL comes at random moments: no checkpoint is unreadable, no bit differs."""
    whole, parts, rng = tmp_path / "whole", tmp_path / "parts", random.Random()
    command, environment = [sys.executable, "-c", TRAIN], {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as trainings:

        def train(directory, steps, kill_after=None):
            trainings.stdin.write(f"{directory} {steps}\n".encode())
            trainings.stdin.flush()
            child = int(trainings.stdout.readline())
            if kill_after is not None:
                before = saved_at()
                while saved_at() == before:
                    time.sleep(0.001)
                time.sleep(kill_after)
                os.kill(child, signal.SIGKILL)  # it trains for 10,000 steps: it is there
            return int(trainings.stdout.readline())

        def saved_at():
            return (parts / FILE).stat().st_mtime_ns if has_checkpoint(parts) else 0

        reached = [0]
        for _ in range(10):
            assert train(parts, 10_000, rng.uniform(0.0, 0.2)) == -signal.SIGKILL
            reached.append(len(load_checkpoint(parts).training["losses"]))
        steps = reached[-1] + 3
        assert train(parts, steps) == train(whole, steps) == 0
    assert reached == sorted(set(reached))  # each went on from where the one before it had been killed
    assert contents(parts) == [FILE]
    assert len(load_checkpoint(parts).training["losses"]) == steps
    assert_equal(load_checkpoint(parts), load_checkpoint(whole))


def test_no_checkpoint_is_said(tmp_path):
    assert not has_checkpoint(tmp_path)
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CheckpointError, match=r"no checkpoint in .*: there is no checkpoint\.safetensors"):
            load_checkpoint(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, checkpoint())

    def broken(path):
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(
        CheckpointError, match=rf"{FILE} cannot be read \(.*Input/output error.*\): restore it from a copy"
    ):
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


def assert_refused(directory, content):
    (directory / FILE).write_bytes(content)
    with pytest.raises(CheckpointError) as told:
        load_checkpoint(directory)
    assert f"{directory / FILE} is damaged: it is not the file that was saved; restore it" in str(told.value)


def test_every_damage_is_noticed(tmp_path):
    save_checkpoint(tmp_path, checkpoint())
    content = (tmp_path / FILE).read_bytes()
    for mutated in mutations(content, random.Random(0), 300):
        if mutated != content:
            assert_refused(tmp_path, mutated)
    for mutated in (b"", b"null", content + b" ", b" " + content, content[:8], bytes(len(content)), b"\xff" * 100):
        assert_refused(tmp_path, mutated)


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path):
    save_checkpoint(tmp_path, checkpoint())
    content = bytearray((tmp_path / FILE).read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    for at in [*range(0, header, 97), *range(8), *range(header - 9, header + 9), *range(header, len(content), 997)]:
        content[at] ^= 1
        assert_refused(tmp_path, content)
        content[at] ^= 1
    (tmp_path / FILE).write_bytes(content)
    load_checkpoint(tmp_path)


def rewritten(directory, **changes):
    """Give the checkpoint other metadata, and the hash that is right for them."""
    from companion import checkpoints

    with safetensors.safe_open(directory / FILE, "pt") as file:
        metadata = file.metadata() | changes | {"sha256": "0" * 64}
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    content = safetensors.torch.save(tensors, metadata)
    (directory / FILE).write_bytes(content.replace(b"0" * 64, checkpoints._hash(content), 1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": json.dumps(dataclasses.asdict(config(d_ff=17)))}, r"linear1.bias is \(13,\), and in .* \(17,\)"),
        (
            {"config": json.dumps(dataclasses.asdict(config(num_encoder_layers=3)))},
            r"encoder.layers.2.* is absent, and in",
        ),
        ({"config": json.dumps(dataclasses.asdict(config()) | {"window": 3})}, "unexpected keyword argument 'window'"),
        ({"format": "transformer-companion 3"}, "format is 'transformer-companion 3', expected .* 2'"),
        ({"source_tokenizer": "{}"}, "not a tokenizer file"),
    ],
)
def test_a_checkpoint_of_another_version_is_said(tmp_path, changes, message):
    save_checkpoint(tmp_path, checkpoint())
    rewritten(tmp_path)
    assert_equal(load_checkpoint(tmp_path), checkpoint())
    rewritten(tmp_path, **changes)
    with pytest.raises(
        CheckpointError, match=rf"{FILE} was written by another version \(.*{message}.*\): load it with"
    ):
        load_checkpoint(tmp_path)


def test_a_folder_of_the_first_format_is_said_and_stays(tmp_path):
    (tmp_path / "save-3").mkdir()
    for name in ("checkpoint.json", "save-3/training.safetensors"):
        (tmp_path / name).write_text("old")
    assert has_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="holds a checkpoint of an older version: load it with the version that"):
        load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, checkpoint())
    assert contents(tmp_path) == ["checkpoint.json", FILE, "save-3/training.safetensors"]
    assert_equal(load_checkpoint(tmp_path), checkpoint())


def test_only_tokenizers_are_taken_for_tokenizers():
    with pytest.raises(ValueError, match="not a tokenizer file"):
        Tokenizer.from_json("{}")
