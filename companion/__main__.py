"""The commands: ``python -m companion train | translate | evaluate | assignments``.

A command that cannot do what it was asked says so in one line and exits with status 2.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch

from companion.assignments.commands import add_assignments
from companion.checkpoints import Checkpoint, has_checkpoint, load_checkpoint, save_checkpoint
from companion.data import NumberWords, TranslationTask, read_pairs
from companion.device import default_device
from companion.generation import exact_match, translate
from companion.training import Trainer, TrainingConfig
from companion.transformer import Transformer, TransformerConfig

SAVE_EVERY_SECONDS = 5.0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"companion: {message}; see {self.prog} --help\n")


class CommandError(Exception):
    """What was asked cannot be done; the message is for the person at the terminal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # no work is lost because a terminal lacks a letter of a message
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options.run(options)
    except (CommandError, ValueError, OSError, FloatingPointError) as error:
        print(f"companion: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        goes_on = "; the same command goes on from the last checkpoint" if options.run is _train else ""
        print(f"\ncompanion: stopped{goes_on}", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m companion", description="Train and use a small Transformer.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train a model; run again to go on after a stop")
    train.add_argument("--out", required=True, type=_folder, metavar="DIR", help="folder for the checkpoint")
    train.add_argument("--pairs", metavar="FILE", help="tab-separated pairs to learn from, instead of number words")
    train.add_argument("--source", metavar="LANG", help="language of the number words to translate from (en)")
    train.add_argument("--target", metavar="LANG", help="language to translate to (de)")
    train.add_argument("--steps", type=int, default=TrainingConfig.steps, help="updates of the weights (%(default)s)")
    train.add_argument("--max-len", type=int, metavar="N", help="leave out pairs of more tokens than this (64)")
    train.add_argument("--seed", type=_seed, default=0, help="decides weights, split and order (%(default)s)")
    train.set_defaults(run=_train)

    for name, run, text in (
        ("translate", _translate, "translate a text with a trained model"),
        ("evaluate", _evaluate, "measure a trained model on pairs it never saw"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("dir", type=_folder, metavar="DIR", help="folder of the checkpoint")
        if name == "translate":
            command.add_argument("text", nargs="+", metavar="TEXT", help="what to translate")
        else:
            command.add_argument("--pairs", metavar="FILE", help="where the file of pairs is now, if it has moved")
        command.set_defaults(run=run)

    add_assignments(commands, _seed)
    return parser


def _folder(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("the name of the folder is empty, as that of a variable that is not set")
    return text


def _seed(text: str) -> int:
    try:
        seed = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if not 0 <= seed < 2**32:
        raise argparse.ArgumentTypeError(f"{seed} is not between 0 and 2^32 - 1")
    return seed


def _hash(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _identity(description: dict[str, Any] | None) -> dict[str, Any]:
    """Return what makes a task the same: of a file its hash, and not where it is."""
    return {key: value for key, value in (description or {}).items() if key != "pairs"}


def _task(description: dict[str, Any], saved: Checkpoint | None) -> TranslationTask:
    if "pairs" in description:
        task = _task_from_file(description)
    else:
        task = NumberWords(description["source"], description["target"], seed=description["seed"])
    if saved:
        # The model knows these tokens by number; another version of num2words may lead to others.
        task.source_tokenizer, task.target_tokenizer = saved.source_tokenizer, saved.target_tokenizer
    return task


def _task_from_file(description: dict[str, Any]) -> TranslationTask:
    path = description["pairs"]
    if not os.path.exists(path):
        raise CommandError(f"No such file: {path}, with the pairs to learn from; if it has moved, name it by --pairs")
    if _hash(path) != description["sha256"]:
        raise CommandError(
            f"{path} has changed since the model was trained on it, and what was unseen then may not be now: restore "
            "the file, name a copy of it by --pairs, or train anew into another --out"
        )
    found = read_pairs(path)
    for problem in found.problems[:10]:
        print(f"{path}: {problem}; left out", file=sys.stderr)
    if len(found.problems) > 10:
        print(f"{path}: {len(found.problems) - 10} more lines left out", file=sys.stderr)
    return TranslationTask.from_pairs(found.pairs, seed=description["seed"])


def _fitting(task: TranslationTask, max_len: int) -> TranslationTask:
    """Leave out what the model cannot read or write, of every part alike, and say how much that is."""
    fitting = task.fitting(max_len)
    for name, pairs, left in (("learn from", task.train, fitting.train), ("test with", task.test, fitting.test)):
        if not left:
            raise CommandError(f"no pair of the {len(pairs)} to {name} has at most {max_len} tokens: raise --max-len")
        if len(left) < len(pairs):
            print(
                f"{len(pairs) - len(left)} pairs of the {len(pairs)} to {name} are longer than {max_len} tokens and "
                "are left out; a model made by train with a larger --max-len takes them"
            )
    return fitting


def _train(options: argparse.Namespace) -> None:
    config = TrainingConfig(steps=options.steps, seed=options.seed)
    description: dict[str, Any] = {"seed": options.seed}
    if options.pairs is not None:
        if options.source or options.target:
            raise CommandError("--pairs brings its own languages: leave out --source and --target")
        path = os.path.abspath(options.pairs)
        description |= {"pairs": path, "sha256": _hash(path)}
    else:
        description |= {"source": options.source or "en", "target": options.target or "de"}
    saved = load_checkpoint(options.out) if has_checkpoint(options.out) else None
    if saved and _identity(saved.notes.get("task")) != _identity(description):
        raise CommandError(
            f"{options.out} holds a model of another task or seed ({saved.notes.get('task')}): choose another --out"
        )
    if saved and options.max_len not in (None, saved.model.config.max_len):
        raise CommandError(
            f"{options.out} holds a model made for {saved.model.config.max_len} tokens, not for {options.max_len}: "
            "leave out --max-len, or choose another --out"
        )
    task = _task(description, saved)
    if saved:
        model = saved.model
    else:
        torch.manual_seed(options.seed)
        sizes = len(task.source_tokenizer), len(task.target_tokenizer)
        lengths = {} if options.max_len is None else {"max_len": options.max_len}
        model = Transformer(TransformerConfig.tiny(*sizes, **lengths))
    task = _fitting(task, model.config.max_len)
    trainer = Trainer(model.to(default_device()), task, config)
    if saved:
        trainer.load_state(saved.training)
        print(f"going on from step {trainer.step}")

    def save(trainer: Trainer) -> None:
        parts = task.source_tokenizer, task.target_tokenizer, {"task": description}, trainer.state()
        save_checkpoint(options.out, Checkpoint(trainer.averaged_model(), *parts))

    if not saved:
        save(trainer)
    last_saved = time.monotonic()

    def save_now_and_then(trainer: Trainer) -> None:
        nonlocal last_saved
        if time.monotonic() - last_saved > SAVE_EVERY_SECONDS:
            save(trainer)
            last_saved = time.monotonic()

    trainer.run([save_now_and_then])
    save(trainer)
    share = exact_match(trainer.averaged_model(), task, task.test)
    print(f"exact match on {len(task.test)} unseen pairs: {share:.1%}; the model is in {options.out}")


def _translate(options: argparse.Namespace) -> None:
    checkpoint = load_checkpoint(options.dir)
    text = "\n".join(translate(checkpoint.model, checkpoint, options.text))
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError as error:
        raise CommandError(
            f"{error.encoding}, the encoding of the output, has no {text[error.start]!a}, a letter of the translation: "
            "set PYTHONIOENCODING=utf-8"
        ) from error
    print(text)


def _evaluate(options: argparse.Namespace) -> None:
    from sacrebleu.metrics.chrf import CHRF

    checkpoint = load_checkpoint(options.dir)
    if "task" not in checkpoint.notes:
        raise CommandError(f"{options.dir} does not say what it was trained on: it was not written by this command")
    description = checkpoint.notes["task"]
    if options.pairs is not None:
        if "pairs" not in description:
            raise CommandError(f"{options.dir} was trained on number words, not on a file: leave out --pairs")
        description |= {"pairs": options.pairs}
    whole = _task(description, checkpoint)
    task = _fitting(whole, checkpoint.model.config.max_len)
    translations = translate(checkpoint.model, checkpoint, [source for source, _ in task.test])
    references = [checkpoint.target_tokenizer.normalise(target) for _, target in task.test]
    right = sum(ours == reference for ours, reference in zip(translations, references, strict=True))
    print(f"exact match: {right / len(references):.1%} of {len(references)} unseen pairs")
    print(f"chrF: {CHRF().corpus_score(translations, [references]).score:.1f}")
    kinds = whole.by_kind() if isinstance(whole, NumberWords) else {}
    for kind, pairs in kinds.items():
        if fitting := whole.pairs_fitting(pairs, checkpoint.model.config.max_len):
            print(f"  {kind}: {exact_match(checkpoint.model, checkpoint, fitting):.1%} of {len(fitting)}")


if __name__ == "__main__":
    sys.exit(main())
