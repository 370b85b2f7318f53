"""The commands: ``python -m companion train | translate | evaluate | assignments``.

A command that cannot do what it was asked says so in one line and exits with status 2.
"""

from __future__ import annotations

import argparse
import hashlib
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
    train.add_argument("--out", required=True, metavar="DIR", help="folder for the checkpoint")
    train.add_argument("--pairs", metavar="FILE", help="tab-separated pairs to learn from, instead of number words")
    train.add_argument("--source", metavar="LANG", help="language of the number words to translate from (en)")
    train.add_argument("--target", metavar="LANG", help="language to translate to (de)")
    train.add_argument("--steps", type=int, default=TrainingConfig.steps, help="updates of the weights (%(default)s)")
    train.add_argument("--seed", type=_seed, default=0, help="decides weights, split and order (%(default)s)")
    train.set_defaults(run=_train)

    for name, run, text in (
        ("translate", _translate, "translate a text with a trained model"),
        ("evaluate", _evaluate, "measure a trained model on pairs it never saw"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("dir", metavar="DIR", help="folder of the checkpoint")
        if name == "translate":
            command.add_argument("text", nargs="+", metavar="TEXT", help="what to translate")
        command.set_defaults(run=run)

    add_assignments(commands, _seed)
    return parser


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


def _task(description: dict[str, Any]) -> TranslationTask:
    if "pairs" not in description:
        return NumberWords(description["source"], description["target"], seed=description["seed"])
    if _hash(description["pairs"]) != description["sha256"]:
        raise CommandError(
            f"{description['pairs']} has changed since the model was trained on it, and what was unseen then may not "
            "be now: restore the file, or train anew into another --out"
        )
    found = read_pairs(description["pairs"])
    for problem in found.problems[:10]:
        print(f"{description['pairs']}: {problem}; left out", file=sys.stderr)
    if len(found.problems) > 10:
        print(f"{description['pairs']}: {len(found.problems) - 10} more lines left out", file=sys.stderr)
    return TranslationTask.from_pairs(found.pairs, seed=description["seed"])


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
    if saved and saved.notes.get("task") != description:
        raise CommandError(
            f"{options.out} holds a model of another task or seed ({saved.notes.get('task')}): choose another --out"
        )
    task = _task(description)
    if saved:
        # The model knows these tokens by number; another version of num2words may lead to others.
        task.source_tokenizer, task.target_tokenizer = saved.source_tokenizer, saved.target_tokenizer
        model = saved.model.to(default_device())
        trainer = Trainer(model, task, config)
        trainer.load_state(saved.training)
        print(f"going on from step {trainer.step}")
    else:
        torch.manual_seed(options.seed)
        sizes = len(task.source_tokenizer), len(task.target_tokenizer)
        model = Transformer(TransformerConfig.tiny(*sizes)).to(default_device())
        trainer = Trainer(model, task, config)
    if trainer.left_out:
        print(f"{trainer.left_out} pairs are longer than {model.config.max_len} tokens and are left out")

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
    for line in translate(checkpoint.model, checkpoint, options.text):
        print(line)


def _evaluate(options: argparse.Namespace) -> None:
    from sacrebleu.metrics.chrf import CHRF

    checkpoint = load_checkpoint(options.dir)
    if "task" not in checkpoint.notes:
        raise CommandError(f"{options.dir} does not say what it was trained on: it was not written by this command")
    task = _task(checkpoint.notes["task"])
    translations = translate(checkpoint.model, checkpoint, [source for source, _ in task.test])
    references = [checkpoint.target_tokenizer.normalise(target) for _, target in task.test]
    right = sum(ours == reference for ours, reference in zip(translations, references, strict=True))
    print(f"exact match: {right / len(references):.1%} of {len(references)} unseen pairs")
    print(f"chrF: {CHRF().corpus_score(translations, [references]).score:.1f}")


if __name__ == "__main__":
    sys.exit(main())
