"""Training: teacher forcing with the recipe of "Attention Is All You Need" (arXiv 1706.03762), section 5.

The decoder sees the right target so far and predicts the next token, at all positions at once. Adam with the
paper's constants, a learning rate that warms up linearly and then falls with the inverse square root of the step,
label smoothing, gradients clipped, and in the end an average of the latest weights. Chapter *transformer*.
"""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from companion._config import check_kinds, check_tokenizers
from companion.data import Batch, TranslationTask, length_bucketed_batches
from companion.transformer import Transformer

ADAM_KEYS = ("step", "exp_avg", "exp_avg_sq")  # what the optimizer keeps of each parameter that it has updated
AVERAGED_UPDATES = 50  # the weights of about so many updates make the running average


@dataclass(frozen=True)
class TrainingConfig:
    """How to train. The defaults suit `TransformerConfig.tiny` on `NumberWords`.

    Args:
        steps: updates of the weights.
        batch_size: pairs in each.
        peak_rate: the learning rate at the end of the warm-up; the paper's is (d_model · warmup_steps)^-0.5.
        warmup_steps: updates until then.
        label_smoothing: probability mass spread evenly over the vocabulary; 0.1 in the paper.
        clip_norm: gradients longer than this are shortened to it; with math.inf none is.
        seed: decides the order of the pairs and the dropout.

    Raises:
        ValueError: if a value is of another kind or out of range.
    """

    steps: int = 900
    batch_size: int = 32
    peak_rate: float = 3e-3
    warmup_steps: int = 40
    label_smoothing: float = 0.1
    clip_norm: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_kinds(self)
        for name in ("steps", "batch_size", "peak_rate", "warmup_steps", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0, got {getattr(self, name)}")
        if self.peak_rate == math.inf:
            raise ValueError("peak_rate must be a finite number, got inf")
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
        model: trained in place, on the device it is on; `averaged_model` gives the one to use.
        task: pairs to learn from, with their tokenizers.
        config: how to train.

    Raises:
        ValueError: if the model was made for other tokenizers than the task's, or no pair fits its max_len.
    """

    def __init__(self, model: Transformer, task: TranslationTask, config: TrainingConfig | None = None) -> None:
        check_tokenizers(model.config, task)
        self.model = model
        self.config = config or TrainingConfig()
        self.step = 0
        self.losses: list[float] = []
        self.average = [parameter.detach().clone() for parameter in model.parameters()]
        self.optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.98), eps=1e-9, fused=True)
        limit = model.config.max_len
        pairs = task.fitting(limit).train
        if not pairs:
            raise ValueError(f"no pair of the {len(task.train)} to train on fits the model's max_len ({limit})")
        self.left_out = len(task.train) - len(pairs)
        bos = task.target_tokenizer.bos_id
        sources = task.source_tokenizer.encode_batch([source for source, _ in pairs])
        targets = task.target_tokenizer.encode_batch([target for _, target in pairs])
        self.encoded = [(source, [bos, *target]) for source, target in zip(sources, targets, strict=True)]

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
        on_gpu = device.type != "cpu"  # "cuda", or "mps" on a Mac
        seed_dropout = torch.get_device_module(device).manual_seed if on_gpu else torch.default_generator.manual_seed
        with torch.random.fork_rng([device] if on_gpu else [], device_type=device.type if on_gpu else None):
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
        with torch.no_grad():
            share = 1 / min(self.step + 1, AVERAGED_UPDATES)
            for parameter, average in zip(self.model.parameters(), self.average, strict=True):
                average.lerp_(parameter, share)
        return value

    def averaged_model(self) -> Transformer:
        """Return a copy of the model, in eval mode, with the running average of its latest weights.

        Each update overshoots a little, and the average evens that out; the paper averages its last checkpoints for
        the same reason (section 6.1).
        """
        model = copy.deepcopy(self.model).eval()
        with torch.no_grad():
            for parameter, average in zip(model.parameters(), self.average, strict=True):
                parameter.copy_(average)
        return model

    def state(self) -> dict[str, Tensor]:
        """Return all that is needed to go on, as tensors: the losses, and the weights with what belongs to each.

        A parameter that was never updated, such as a frozen one, has its weight and average alone.
        """
        tensors = {"losses": torch.tensor(self.losses, dtype=torch.float64)}
        for (name, parameter), average in zip(self._parameters().items(), self.average, strict=True):
            parts = {"weight": parameter.detach(), "average": average, **self.optimizer.state.get(parameter, {})}
            tensors |= {f"{name}/{key}": value for key, value in parts.items()}
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Go on from where `state` was taken.

        Raises:
            ValueError: if the state is of another model; then nothing has changed.
        """
        losses = tensors["losses"].tolist() if "losses" in tensors else []
        parameters = self._parameters()
        updated = {name for name in parameters for key in ADAM_KEYS if f"{name}/{key}" in tensors}
        shapes: dict[str, tuple[int, ...]] = {"losses": (len(losses),)}
        for name, parameter in parameters.items():
            for key in ("weight", "average", *(ADAM_KEYS if name in updated else ())):
                shapes[f"{name}/{key}"] = () if key == "step" else tuple(parameter.shape)
        for name in sorted(shapes.keys() | tensors.keys()):
            found = tuple(tensors[name].shape) if name in tensors else None
            if found != shapes.get(name):
                raise ValueError(
                    f"this training state is of another model: {name} has shape {found}, expected {shapes.get(name)}"
                )
        self.losses, self.step = losses, len(losses)
        self.optimizer.state.clear()
        with torch.no_grad():
            for (name, parameter), average in zip(parameters.items(), self.average, strict=True):
                parameter.copy_(tensors[f"{name}/weight"])
                average.copy_(tensors[f"{name}/average"])
                if name in updated:
                    state = {key: tensors[f"{name}/{key}"].to(parameter.device, copy=True) for key in ADAM_KEYS}
                    self.optimizer.state[parameter] = state

    def _parameters(self) -> dict[str, nn.Parameter]:
        # torch.compile puts "_orig_mod." into the names; the state is the same with and without it.
        return {name.replace("_orig_mod.", ""): parameter for name, parameter in self.model.named_parameters()}


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
