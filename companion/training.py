"""Training: teacher forcing with the recipe of "Attention Is All You Need" (arXiv 1706.03762), section 5.

The decoder sees the right target so far and predicts the next token, at all positions at once. Adam with the
paper's constants, a learning rate that warms up linearly and then falls with the inverse square root of the step,
label smoothing, gradients clipped. Chapter *transformer*.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from companion.data import Batch, TranslationTask, length_bucketed_batches
from companion.transformer import Transformer


@dataclass(frozen=True)
class TrainingConfig:
    """How to train. The defaults suit `TransformerConfig.tiny` on `NumberWords`.

    Args:
        steps: updates of the weights.
        batch_size: pairs in each.
        peak_rate: the learning rate at the end of the warm-up; the paper's is (d_model · warmup_steps)^-0.5.
        warmup_steps: updates until then.
        label_smoothing: probability mass spread evenly over the vocabulary; 0.1 in the paper.
        clip_norm: gradients longer than this are shortened to it.
        seed: decides the order of the pairs and the dropout.

    Raises:
        ValueError: if a value is out of range.
    """

    steps: int = 700
    batch_size: int = 64
    peak_rate: float = 2.5e-3
    warmup_steps: int = 60
    label_smoothing: float = 0.1
    clip_norm: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "peak_rate", "warmup_steps", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0, got {getattr(self, name)}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be at least 0 and less than 1, got {self.label_smoothing}")


def inverse_sqrt_rate(step: int, warmup_steps: int, peak_rate: float) -> float:
    """Return the learning rate of update `step`, counted from 1.

    It rises linearly to `peak_rate` at `warmup_steps` and then falls as 1 / √step. With the peak
    (d_model · warmup_steps)^-0.5 this is equation 3 of arXiv 1706.03762.

    Raises:
        ValueError: if `step` is less than 1.
    """
    if step < 1:
        raise ValueError(f"steps are counted from 1, got {step}")
    return peak_rate * min(step / warmup_steps, math.sqrt(warmup_steps / step))


class Trainer:
    """Trains a model on a task; can stop after any step and go on from there.

    What happens at a step depends only on the weights, the optimizer's state and the step's number, so training
    that was stopped and resumed gives the same weights, bit for bit, as training in one go.

    Args:
        model: trained in place, on the device it is on.
        task: pairs to learn from, with their tokenizers.
        config: how to train.
    """

    def __init__(self, model: Transformer, task: TranslationTask, config: TrainingConfig | None = None) -> None:
        self.model = model
        self.config = config or TrainingConfig()
        self.step = 0
        self.losses: list[float] = []
        self.optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.98), eps=1e-9, fused=True)
        bos = task.target_tokenizer.bos_id
        sources = task.source_tokenizer.encode_batch([source for source, _ in task.train])
        targets = task.target_tokenizer.encode_batch([target for _, target in task.train])
        limit = model.config.max_len
        pairs = [(source, [bos, *target]) for source, target in zip(sources, targets, strict=True)]
        self.encoded = [pair for pair in pairs if len(pair[0]) <= limit and len(pair[1]) <= limit + 1]
        if not self.encoded:
            raise ValueError(f"no pair of the {len(pairs)} to train on fits the model's max_len ({limit})")
        self.left_out = len(pairs) - len(self.encoded)

    def run(self, callbacks: Iterable[Callable[[Trainer], None]] = (), *, progress: bool = True) -> list[float]:
        """Train until `config.steps`, and return the loss of every step so far, in nats per token.

        Args:
            callbacks: each is called with the trainer after every update.
            progress: show a bar on a terminal; elsewhere a plain line at every tenth of the way.
        """
        self.model.train()
        report = _progress(self.config.steps, self.step) if progress else None
        device = next(self.model.parameters()).device
        # Dropout is seeded step by step, without touching the random state of whoever calls.
        on_gpu = device.type == "cuda"
        seed_dropout = torch.cuda.manual_seed if on_gpu else torch.default_generator.manual_seed
        with torch.random.fork_rng(devices=[device] if on_gpu else []):
            for batch in self._remaining_batches():
                seed_dropout(self.config.seed * 1_000_003 + self.step)
                self.losses.append(self._update(batch.to(device)))
                self.step += 1
                if report is not None:
                    report(self.step, self.losses[-1])
                for callback in callbacks:
                    callback(self)
        return self.losses

    def _remaining_batches(self) -> Iterator[Batch]:
        per_epoch = math.ceil(len(self.encoded) / self.config.batch_size)
        while self.step < self.config.steps:
            epoch, done = divmod(self.step, per_epoch)
            seed = self.config.seed * 1_000_003 + epoch
            batches = length_bucketed_batches(self.encoded, self.config.batch_size, self.model.config.pad_id, seed)
            for index, batch in enumerate(batches):
                if index >= done and self.step < self.config.steps:
                    yield batch

    def _update(self, batch: Batch) -> float:
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = inverse_sqrt_rate(self.step + 1, config.warmup_steps, config.peak_rate)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.model.loss(batch.source_ids, batch.target_ids, config.label_smoothing)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss of step {self.step + 1} is {value}: lower peak_rate ({config.peak_rate}) "
                f"or lengthen warmup_steps ({config.warmup_steps})"
            )
        self.optimizer.step()
        return value

    def state(self) -> dict[str, Tensor]:
        """Return the optimizer's state and the losses as tensors, named after the parameters."""
        tensors = {"losses": torch.tensor(self.losses, dtype=torch.float64)}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"{name}/{key}"] = value
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Go on from where `state` was taken; the model's weights are the caller's to restore.

        Raises:
            ValueError: if the state is of another model.
        """
        self.losses = tensors["losses"].tolist()
        self.step = len(self.losses)
        if not self.step:
            return
        parameters = dict(self.model.named_parameters())
        keys = ("step", "exp_avg", "exp_avg_sq")
        expected = {"losses", *(f"{name}/{key}" for name in parameters for key in keys)}
        wrong = expected.symmetric_difference(tensors)
        if wrong:
            raise ValueError(f"this training state is of another model: {sorted(wrong)[0]} stands on one side only")
        for name, parameter in parameters.items():
            state = {key: tensors[f"{name}/{key}"].to(parameter.device, copy=True) for key in keys}
            if state["exp_avg"].shape != parameter.shape or state["exp_avg_sq"].shape != parameter.shape:
                raise ValueError(f"this training state is of another model: the shape of {name} differs")
            self.optimizer.state[parameter] = state


def _progress(total: int, done: int) -> Callable[[int, float], None]:
    if sys.stderr.isatty():
        from tqdm import tqdm

        bar = tqdm(total=total, initial=done, unit="step")

        def advance(step: int, loss: float) -> None:
            bar.set_postfix(loss=f"{loss:.2f}", refresh=False)
            bar.update()
            if step == total:
                bar.close()

        return advance

    def line(step: int, loss: float) -> None:
        if step == total or step % math.ceil(total / 10) == 0:
            print(f"step {step:>{len(str(total))}} of {total} · loss {loss:.2f}", flush=True)

    return line
