import hashlib
import io
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import torch

import companion.__main__ as command
from companion import Checkpoint, NumberWords, load_checkpoint, save_checkpoint
from tests.helpers import parameters_equal, small_task

LINES = [f"{source}\t{target}\n" for source, target in [*dict.fromkeys(small_task().train)][:40]]


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(LINES), encoding="utf8")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a model that was trained for three steps on number words."""
    directory = tmp_path_factory.mktemp("trained") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "NumberWords", FewNumbers)
        assert command.main(["train", "--out", str(directory), "--steps", "3"]) == 0
    return directory


class FewNumbers(NumberWords):
    def __init__(self, source, target, seed):
        super().__init__(source, target, max_digits=2, seed=seed, num_train=50, num_held_out=7)


def run(capsys, *arguments):
    """Run a command; return its status, and what it wrote to stdout and stderr."""
    try:
        status = command.main([str(argument) for argument in arguments])
    except SystemExit as stop:  # argparse
        status = stop.code
    return status, *capsys.readouterr()


def train(capsys, pairs, out, steps, *more):
    return run(capsys, "train", "--pairs", pairs, "--out", out, "--steps", steps, *more)


def test_train_on_a_file_of_pairs(tmp_path, pairs, capsys):
    with pairs.open("a", encoding="utf8") as file:
        file.write("broken\n\nlong\t" + "lang " * 100 + "\n")
    status, out, err = train(capsys, pairs, tmp_path / "out", 3)
    assert status == 0
    assert err.splitlines() == [
        f"{pairs}: line 41: one column, expected source and target with a tab between them; left out",
        f"{pairs}: line 42: blank; left out",
    ]
    assert "step 3 of 3" in out
    assert re.search(r"exact match on 2 unseen pairs: \d+\.\d%; the model is in", out)
    loaded = load_checkpoint(tmp_path / "out")
    digest = hashlib.sha256(pairs.read_bytes()).hexdigest()
    assert loaded.notes == {"task": {"seed": 0, "pairs": str(pairs), "sha256": digest}}
    assert len(loaded.training["losses"]) == 3


@pytest.fixture
def long_pairs(pairs):
    """As many long pairs as short ones, so that some stand in every part."""
    long = [" ".join([line.partition("\t")[0]] * 30) for line in LINES]
    with pairs.open("a", encoding="utf8") as file:
        file.writelines(f"{text}\t{text}\n" for text in long)
    return pairs


def left_out(out):
    """How many pairs, of how many, are left out of each part."""
    line = r"(\d+) pairs of the (\d+) to (learn from|test with) are longer than 64 tokens and are left out"
    found = re.findall(line, out)
    return {part: (int(count), int(total)) for count, total, part in found}


def test_long_pairs_are_left_out_of_every_part_and_told(tmp_path, long_pairs, capsys):
    status, out, _ = train(capsys, long_pairs, tmp_path / "out", 2, "--seed", 3)
    assert status == 0
    told = left_out(out)
    assert told["learn from"][1] == 72
    assert told["test with"][1] == 4
    rest = told["test with"][1] - told["test with"][0]
    assert rest > 0
    assert f"exact match on {rest} unseen pairs" in out
    status, out, err = run(capsys, "evaluate", tmp_path / "out")
    assert (status, err) == (0, "")
    assert left_out(out) == told
    assert f"of {rest} unseen pairs" in out


def test_a_larger_max_len_takes_them(tmp_path, long_pairs, capsys):
    status, out, _ = train(capsys, long_pairs, tmp_path / "out", 1, "--max-len", 400)
    assert status == 0
    assert "left out" not in out
    assert "exact match on 4 unseen pairs" in out
    assert load_checkpoint(tmp_path / "out").model.config.max_len == 400
    assert train(capsys, long_pairs, tmp_path / "out", 1)[0] == 0
    status, _, err = train(capsys, long_pairs, tmp_path / "out", 1, "--max-len", 64)
    assert status == 2
    assert "holds a model made for 400 tokens, not for 64: leave out --max-len, or choose another --out" in err


def test_when_nothing_fits_it_is_said_before_the_training(tmp_path, pairs, capsys):
    status, out, err = train(capsys, pairs, tmp_path / "out", 1, "--max-len", 1)
    assert (status, out) == (2, "")
    assert "no pair of the 36 to learn from has at most 1 tokens: raise --max-len" in err
    assert not (tmp_path / "out").exists()


def test_a_file_that_has_moved_is_the_same_task(tmp_path, pairs, capsys):
    out = tmp_path / "out"
    train(capsys, pairs, out, 1)
    before = run(capsys, "evaluate", out)
    moved = pairs.rename(tmp_path / "elsewhere.tsv")
    status, _, err = run(capsys, "evaluate", out)
    assert status == 2
    assert f"No such file: {pairs}, with the pairs to learn from; if it has moved, name it by --pairs" in err
    assert run(capsys, "evaluate", out, "--pairs", moved) == before
    status, said, _ = train(capsys, moved, out, 2)
    assert status == 0
    assert "going on from step 1" in said
    assert load_checkpoint(out).notes["task"]["pairs"] == str(moved)
    assert run(capsys, "evaluate", out)[0] == 0
    moved.write_text("".join(reversed(LINES)), encoding="utf8")
    status, _, err = run(capsys, "evaluate", out, "--pairs", moved)
    assert status == 2
    assert "has changed since the model was trained on it" in err


def latin_1_output(monkeypatch):
    """A terminal, or a redirected file, that cannot hold all letters."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1", write_through=True))
    return written


def test_a_message_that_lacks_its_letters_ends_no_training(tmp_path, pairs, monkeypatch):
    written = latin_1_output(monkeypatch)
    pairs = pairs.rename(tmp_path / "числа.tsv")
    assert command.main(["train", "--pairs", str(pairs), "--out", str(tmp_path / "модель"), "--steps", "1"]) == 0
    assert written.getvalue().endswith(b"/\\u043c\\u043e\\u0434\\u0435\\u043b\\u044c\n")
    load_checkpoint(tmp_path / "модель")


def test_a_translation_that_lacks_its_letters_is_told_the_remedy(trained, monkeypatch, capsys):
    written = latin_1_output(monkeypatch)
    monkeypatch.setattr(command, "translate", lambda model, tokenizers, texts: ["größer", "семь"])
    assert command.main(["translate", str(trained), "one", "seven"]) == 2
    assert written.getvalue() == b""
    told = r"companion: latin-1, the encoding of the output, has no '\u0441', a letter of the translation: set PYTHON"
    assert capsys.readouterr().err.startswith(told)
    monkeypatch.setattr(command, "translate", lambda model, tokenizers, texts: ["größer"])
    assert command.main(["translate", str(trained), "one"]) == 0
    assert written.getvalue().decode("latin-1").splitlines() == ["größer"]


def test_training_goes_on_as_if_it_had_never_stopped(tmp_path, pairs, capsys):
    train(capsys, pairs, tmp_path / "whole", 5)
    train(capsys, pairs, tmp_path / "parts", 2)
    status, out, _ = train(capsys, pairs, tmp_path / "parts", 5)
    assert status == 0
    assert "going on from step 2" in out
    whole, parts = load_checkpoint(tmp_path / "whole"), load_checkpoint(tmp_path / "parts")
    assert parameters_equal(whole.model, parts.model)
    assert torch.equal(whole.training["losses"], parts.training["losses"])


def test_a_stop_by_the_keyboard_keeps_what_was_saved(tmp_path, pairs, capsys, monkeypatch):
    monkeypatch.setattr(command, "SAVE_EVERY_SECONDS", 0.0)
    original = command.save_checkpoint

    def stop_at_the_third(directory, checkpoint):
        if len(checkpoint.training["losses"]) == 3:
            raise KeyboardInterrupt
        original(directory, checkpoint)

    with monkeypatch.context() as patch:
        patch.setattr(command, "save_checkpoint", stop_at_the_third)
        status, _, err = train(capsys, pairs, tmp_path / "out", 5)
    assert status == 130
    assert err.strip() == "companion: stopped; the same command goes on from the last checkpoint"
    assert "going on from step 2" in train(capsys, pairs, tmp_path / "out", 5)[1]
    train(capsys, pairs, tmp_path / "whole", 5)
    assert parameters_equal(load_checkpoint(tmp_path / "out").model, load_checkpoint(tmp_path / "whole").model)


def test_a_file_of_pairs_that_changed_is_noticed(tmp_path, pairs, capsys):
    train(capsys, pairs, tmp_path / "out", 1)
    pairs.write_text("".join(reversed(LINES)), encoding="utf8")
    status, _, err = train(capsys, pairs, tmp_path / "out", 2)
    assert (status, err.count("\n")) == (2, 1)
    assert "holds a model of another task or seed" in err
    status, _, err = run(capsys, "evaluate", tmp_path / "out")
    assert (status, err.count("\n")) == (2, 1)
    assert "has changed since the model was trained on it" in err


def test_translate(trained, capsys):
    status, out, err = run(capsys, "translate", trained, "twenty-one", "seven")
    assert (status, err, out.count("\n")) == (0, "", 2)


def test_evaluate(trained, capsys, monkeypatch):
    monkeypatch.setattr(command, "NumberWords", FewNumbers)
    status, out, err = run(capsys, "evaluate", trained)
    assert (status, err) == (0, "")
    by_kind = r"  0 to 100: \d+\.\d% of 9\n  2 digits: \d+\.\d% of 8\n"
    assert re.fullmatch(r"exact match: \d+\.\d% of 7 unseen pairs\nchrF: \d+\.\d\n" + by_kind, out)


def damaged(trained, directory):
    shutil.copytree(trained, directory)
    (path,) = directory.rglob("checkpoint.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    return directory


def without_a_task(trained, directory):
    loaded = load_checkpoint(trained)
    save_checkpoint(directory, Checkpoint(loaded.model, loaded.source_tokenizer, loaded.target_tokenizer))
    return directory


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "the following arguments are required: COMMAND; see python -m companion --help"),
        ("fly", "invalid choice: 'fly'"),
        ("train", "the following arguments are required: --out"),
        ("train --out=", "argument --out: the name of the folder is empty"),
        ("translate '' one", "argument DIR: the name of the folder is empty"),
        ("evaluate ''", "argument DIR: the name of the folder is empty"),
        ("evaluate {trained} --pairs {pairs}", "was trained on number words, not on a file: leave out --pairs"),
        ("train --out {tmp}/new --pairs {pairs} --max-len many", "argument --max-len: invalid int value: 'many'"),
        ("train --out {tmp}/new --pairs {pairs} --max-len 0", "max_len must be at least 1, got 0"),
        ("train --out {tmp}/new --steps many", "argument --steps: invalid int value: 'many'"),
        ("train --out {tmp}/new --steps 0", "steps must be more than 0, got 0"),
        ("train --out {tmp}/new --seed -1", "argument --seed: -1 is not between 0 and 2^32 - 1"),
        ("train --out {tmp}/new --seed 99999999999999999999", "is not between 0 and 2^32 - 1"),
        ("train --out {tmp}/new --target xx", "num2words does not know the language 'xx'"),
        ("train --out {tmp}/new --target am", "num2words cannot write"),
        ("train --out {tmp}/new --pairs {tmp}/nowhere", "No such file or directory"),
        ("train --out {tmp}/new --pairs {tmp}", "Is a directory"),
        ("train --out {tmp}/new --pairs=", "Is a directory"),
        ("train --out {tmp}/new --pairs {tmp}/empty", "empty holds no pair"),
        ("train --out {tmp}/new --pairs {tmp}/few", "1 different sources are too few to split"),
        ("train --out {tmp}/new --pairs {tmp}/few --source en", "--pairs brings its own languages"),
        ("train --out {tmp}/few --pairs {pairs}", "few"),
        ("train --out {trained} --seed 1", "holds a model of another task or seed"),
        ("train --out {bare} --pairs {pairs}", "holds a model of another task or seed (None)"),
        ("train --out {damaged}", "checkpoint.safetensors is damaged"),
        ("translate {tmp} one", "no checkpoint in"),
        ("translate {damaged} one", "checkpoint.safetensors is damaged"),
        ("translate {trained}", "the following arguments are required: TEXT"),
        ("translate {trained} {long}", "does not fit max_len (64): raise max_len or shorten it"),
        ("evaluate {tmp}/nowhere", "no checkpoint in"),
        ("evaluate {bare}", "does not say what it was trained on"),
    ],
)
def test_bad_input_gets_one_line_and_status_2(tmp_path, trained, pairs, capsys, arguments, message):
    (tmp_path / "empty").touch()
    (tmp_path / "few").write_text("one\teins\n")
    places = {"tmp": tmp_path, "trained": trained, "pairs": pairs, "long": "-".join(["one"] * 100)}
    for name, make in (("damaged", damaged), ("bare", without_a_task)):
        if f"{{{name}}}" in arguments:
            places[name] = make(trained, tmp_path / name)
    status, out, err = run(capsys, *shlex.split(arguments.format_map(places)))
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("companion: ")
    assert message in err
    assert not (tmp_path / "new").exists()


def test_a_pairs_file_that_is_gone_is_said(tmp_path, pairs, capsys):
    train(capsys, pairs, tmp_path / "out", 1)
    pairs.unlink()
    status, _, err = run(capsys, "evaluate", tmp_path / "out")
    assert status == 2
    assert "No such file" in err


def test_as_a_command(tmp_path):
    command_line = [sys.executable, "-m", "companion", "translate", str(tmp_path), "one"]
    done = subprocess.run(command_line, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"companion: no checkpoint in {tmp_path}: there is no checkpoint.safetensors\n"


def test_many_problems_are_counted(tmp_path, pairs, capsys):
    pairs.write_text("".join(LINES) + "broken\n" * 13, encoding="utf8")
    _, _, err = train(capsys, pairs, tmp_path / "out", 1)
    assert len(err.splitlines()) == 11
    assert err.endswith(": 3 more lines left out\n")
