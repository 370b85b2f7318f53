"""The check of chapter *generation*: `greedy`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from companion.checks._public import public
from companion.checks._spec import Check, Evidence, Probe
from companion.checks.bank import generation as bank

_LONGEST = 200


class _Script:
    """A model that knows one sentence: after bos and a beginning of it, the next id; else, some other id."""

    def __init__(self, bos_id: int, sentence: Sequence[int], vocabulary: int) -> None:
        self.sentence = [bos_id, *sentence]
        self.vocabulary = vocabulary

    def __call__(self, ids: Sequence[int] | Tensor) -> Tensor:
        if isinstance(ids, Tensor) and ids.dim() == 1:
            ids = ids.tolist()
        if not isinstance(ids, (list, tuple)):
            raise TypeError(f"next_logits takes the list of all ids so far, got {type(ids).__name__}")
        if len(ids) > _LONGEST:
            raise RuntimeError(f"next_logits was given more than {_LONGEST} ids: does your loop stop at max_len?")
        ids = [int(token) for token in ids]
        # A different ranking of the vocabulary for each beginning, the same on every machine.
        start = sum((place + 3) * (token + 1) for place, token in enumerate(ids))
        logits = torch.tensor([float((start + 5 * token) % self.vocabulary) for token in range(self.vocabulary)])
        if ids == self.sentence[: len(ids)] and len(ids) < len(self.sentence):
            logits[self.sentence[len(ids)]] = self.vocabulary
        return logits - self.vocabulary / 2


def _probes() -> tuple[Probe, ...]:
    def probe(name: str, sentence: list[int], bos_id: int, eos_id: int, max_len: int) -> Probe:
        script = _Script(bos_id, sentence, vocabulary=11)
        return Probe(name, {"next_logits": script, "bos_id": bos_id, "eos_id": eos_id, "max_len": max_len})

    # Sentences go on after the end, so that decoding past it shows.
    return (
        probe("a sentence of four tokens", [4, 6, 4, 2, 7, 9, 3, 8, 5, 6], bos_id=1, eos_id=2, max_len=9),
        probe("a sentence longer than max_len", [6, 4, 8, 3, 9, 7, 2, 5, 4, 6], bos_id=1, eos_id=2, max_len=5),
        probe("a sentence that ends at once", [3, 4, 6, 8, 4, 9], bos_id=5, eos_id=3, max_len=4),
        probe("a sentence as long as max_len", [7, 9, 3, 8, 6], bos_id=5, eos_id=3, max_len=3),
        probe("max_len 1", [7, 9, 3, 8, 6], bos_id=5, eos_id=3, max_len=1),
    )


def _look(call: Callable[..., Tensor | None]) -> Evidence:
    for probe in GREEDY.core:
        yours, right = call(**probe.inputs), GREEDY.expected(probe)
        if yours is not None and not torch.equal(yours, right.double()):
            return Evidence([f"On {probe.name} you return {_ids(yours)}; right is {_ids(right)}."])
    return Evidence()


def _ids(tokens: Tensor) -> str:
    shown = ", ".join(str(int(token)) for token in tokens[:12])
    return f"[{shown}, ...]" if len(tokens) > 12 else f"[{shown}]"


GREEDY = Check(
    name="greedy",
    expects="""
    ``fn(next_logits, bos_id, eos_id, max_len)``, which decodes greedily.

    ``next_logits(ids)`` takes the list of all ids so far, which begins with bos_id, and returns the logits of the
    next token, a tensor of shape (vocabulary,). The function returns the list of the new ids: without bos_id, with
    eos_id as the last one if it was produced, and at most max_len of them, eos_id counted.
    """,
    parameters=("next_logits", "bos_id", "eos_id", "max_len"),
    kind="ids",
    right=bank.right_greedy,
    make_probes=_probes,
    bank=tuple(bank.GREEDY_BUGS),
    section=bank.GREEDY,
    look=_look,
)

greedy = public(GREEDY)
