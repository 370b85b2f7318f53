import pytest
import torch

from companion import Trainer, TrainingConfig, default_device
from tests.helpers import small_model, small_task


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(False, False, "cpu"), (True, False, "cuda"), (False, True, "mps"), (True, True, "cuda")],
)
def test_the_gpu_is_taken_where_there_is_one(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert default_device() == torch.device(expected)


def test_training_on_the_gpu_of_a_mac_seeds_that_gpu_and_puts_its_numbers_back(monkeypatch):
    """A stand-in for the machine: what is asked of torch.mps, with the numbers still computed on the CPU."""
    asked = []
    monkeypatch.setattr(torch.mps, "device_count", lambda: 1)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda device: asked.append("get"))
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda state, device: asked.append("set"))
    monkeypatch.setattr(torch.mps, "manual_seed", lambda seed: asked.append(seed))
    task = small_task()
    sizes = {f"{side}_vocab_size": len(getattr(task, f"{side}_tokenizer")) for side in ("source", "target")}
    trainer = Trainer(small_model(**sizes), task, TrainingConfig(steps=2, seed=1))
    monkeypatch.setattr(trainer.model, "parameters", lambda: iter([OnAMac()]))
    monkeypatch.setattr("companion.data.Batch.to", lambda batch, device: batch)
    monkeypatch.setattr(trainer, "_update", lambda batch: 0.0)
    trainer.run(progress=False)
    assert asked == ["get", 1_000_003, 1_000_004, "set"]


class OnAMac:
    device = torch.device("mps")


def test_a_model_is_moved_before_it_is_widened(monkeypatch):
    """The GPU of a Mac has no float64, so a picture's copy of the model must be on the CPU first."""
    from companion import viz

    order = []
    for name in ("cpu", "double"):
        method = getattr(torch.nn.Module, name)
        monkeypatch.setattr(torch.nn.Module, name, lambda self, n=name, m=method: order.append(n) or m(self))
    model = small_model().float()
    order.clear()
    viz.ArchitectureMap(model, torch.tensor([[5, 2]]), torch.tensor([[1, 6]]), ["a", "<eos>"], ["<bos>", "b"])
    assert order[:2] == ["cpu", "double"]
