"""How does each bug of the checks' bank show when a model is trained with it?

Every bug is put where its code belongs in a small model that translates
numbers, and the model is trained as the right one is.

Run ``python book/experiments/bugs_in_training.py``. It goes on where it was
stopped, and trains again only with what is new in the bank.
"""

import ast
import hashlib
import inspect
import math
import textwrap
from collections.abc import Callable
from functools import cache

import torch
from planted import CHECKED, Host, plant

from companion import (
    NumberWords,
    Trainer,
    TrainingConfig,
    inverse_sqrt_rate,
)
from companion.checks import CHECKS
from companion.data import length_bucketed_batches, pad_batch
from companion.results import store_runs

QUESTION = (
    "A small model learns to translate numbers in words with one bug in it: "
    "does it start, how far does its held-out loss fall, and what share of new "
    "numbers does it translate without a mistake?"
)
STEPS, MOST = 200, 200
# What is right makes these models; the other checks' bugs stand in the first.
RIGHT = ("transformer", "rotary", "gru_cell", "rnn_cell")
SEEDS = range(5)


@cache
def make_task() -> NumberWords:
    """Make the task, once."""
    return NumberWords(max_digits=4)


def set_rate(optimizer, call, step: int, config: TrainingConfig, d_model: int):
    """Bend the rate of a step as a wrong schedule bends its own."""
    warmup = config.warmup_steps
    peak = (d_model * warmup) ** -0.5
    bent = float(call(step, d_model, warmup)) / inverse_sqrt_rate(
        step, warmup, peak
    )
    for group in optimizer.param_groups:
        group["lr"] *= bent


def held_out_loss(model: Host, task: NumberWords, pairs: list) -> float:
    """Return the right loss of new pairs, in nats a token."""
    config = model.config
    encoded = [
        (
            task.source_tokenizer.encode(source),
            [config.bos_id, *task.target_tokenizer.encode(target)],
        )
        for source, target in pairs
    ]
    total = tokens = 0
    for batch in length_bucketed_batches(encoded, 64, config.pad_id, 0):
        real = (batch.target_ids[:, 1:] != config.pad_id).sum().item()
        total += model.loss(batch.source_ids, batch.target_ids).item() * real
        tokens += real
    return total / tokens


def match(model: Host, task: NumberWords, pairs: list) -> float:
    """Return the share translated without a mistake, in padded batches."""
    config, right = model.config, 0
    for start in range(0, len(pairs), 100):
        some = pairs[start : start + 100]
        source_ids = pad_batch(
            [task.source_tokenizer.encode(source) for source, _ in some],
            config.pad_id,
        )
        ids = torch.full((len(some), 1), config.bos_id)
        finished = torch.zeros_like(ids, dtype=torch.bool)
        while ids.size(1) < 24 and not finished.all():
            logits = model(source_ids, ids)[:, -1:]
            new = logits.argmax(dim=-1).masked_fill(finished, config.pad_id)
            finished |= new == config.eos_id
            ids = torch.cat([ids, new], dim=1)
        for written, (_, target) in zip(ids[:, 1:].tolist(), some, strict=True):
            ours = task.target_tokenizer.decode(written)
            right += ours == task.target_tokenizer.normalise(target)
    return right / len(pairs)


def train(
    name: str, handed_in: Callable, seed: int = 0, steps: int = STEPS
) -> dict:
    """Train a model with a function or class in it, and say how it went."""
    task = make_task()
    at = "before the first step"
    try:
        host = plant(name, handed_in, task, seed)
        config = TrainingConfig(steps=steps, seed=seed, label_smoothing=0.0)
        trainer = Trainer(host, task, config)
        if name == "schedule":
            trainer.optimizer.register_step_pre_hook(
                lambda optimizer, *_: set_rate(
                    optimizer, handed_in, trainer.step + 1, config, 64
                )
            )
        trainer.run(progress=False)
        at = "in eval mode"
        host.eval()
        with torch.no_grad():
            for weight, average in zip(
                host.parameters(), trainer.average, strict=True
            ):
                weight.copy_(average)
            loss = held_out_loss(host, task, task.validation[:MOST])
            share = match(host, task, task.test[:MOST])
        # JSON has no NaN.
        loss = round(loss, 4) if math.isfinite(loss) else None
        return {"loss": loss, "exact_match": round(share, 4)}
    except FloatingPointError:
        return {"not_finite_at_step": trainer.step + 1}
    except Exception as error:
        if at != "in eval mode" and "trainer" in locals():
            at = f"at step {trainer.step + 1}"
        return {"error": type(error).__name__, "at": at}


def fingerprint(entry) -> str:
    """Hash a bug's code, whatever its layout, its name and what is said of it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(entry.wrong)))
    wrong = tree.body[0]
    wrong.name, wrong.decorator_list = "_", []
    if ast.get_docstring(wrong) is not None:
        del wrong.body[0]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:16]


def arms() -> list[str]:
    """Return what is to be trained: check, bug and hash of its code, or seed."""
    found = []
    for name in CHECKED:
        if name in RIGHT:
            found += [f"{name} right {seed}" for seed in SEEDS]
        # Other checks know attention's bugs too; they are tried in attention.
        known = CHECKS["attention"].bank if name != "attention" else ()
        found += [
            f"{name} {entry.name} {fingerprint(entry)}"
            for entry in CHECKS[name].bank
            if entry not in known
        ]
    return found


def run(arm: str) -> dict:
    """Train one arm, on one thread."""
    torch.set_num_threads(1)
    name, bug, variant = arm.split()
    check = CHECKS[name]
    if bug == "right":
        return train(name, check.right, seed=int(variant))
    entry = next(entry for entry in check.bank if entry.name == bug)
    return train(name, check.implementations(entry)[0].thing)


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=arms(), key="arm", processes=2)
