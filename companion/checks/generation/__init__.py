"""Checks of chapter *generation*: `greedy` and `kv_cache`."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from companion.checks.attention.weights import CAPTION, facts_of_weights
from companion.checks.engine.check import Check
from companion.checks.engine.evidence import Call, Evidence
from companion.checks.engine.handed_in import FunctionForm
from companion.checks.engine.probe import Probe
from companion.checks.engine.properties import Run
from companion.checks.engine.report import Table
from companion.checks.engine.steps import StepForm
from companion.checks.generation import cache as caches
from companion.checks.generation import greedy as bank
from companion.checks.generation.memory import REMEMBER_BUGS

_LONGEST = 200


class _Script:
    """A model that knows one sentence: after bos and a beginning of it, the next id; else, some other id.

    Where `never` is an id, it does not come unless it is in the sentence.
    """

    def __init__(self, bos_id: int, sentence: Sequence[int], vocabulary: int, never: int | None = None) -> None:
        self.sentence = [bos_id, *sentence]
        self.vocabulary = vocabulary
        self.never = never

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
        if self.never is not None:
            logits[self.never] = -self.vocabulary
        if ids and ids == self.sentence[: len(ids)] and len(ids) < len(self.sentence):
            logits[self.sentence[len(ids)]] = self.vocabulary
        return logits - self.vocabulary / 2


def make_greedy_probes(seed: int | None = None) -> tuple[Probe, ...]:
    """Return the probes for greedy decoding; with a seed, with other ids."""
    names = list(range(11))  # how each id is called
    if seed is not None:
        random.Random(seed).shuffle(names)

    def probe(
        name: str, sentence: list[int], bos_id: int, eos_id: int, max_len: int, never: int | None = None
    ) -> Probe:
        tokens = [names[token] for token in sentence]
        script = _Script(names[bos_id], tokens, vocabulary=11, never=None if never is None else names[never])
        inputs = {"next_logits": script, "bos_id": names[bos_id], "eos_id": names[eos_id], "max_len": max_len}
        return Probe(name, inputs)

    # Sentences go on after the end, so that decoding past it shows.
    return (
        probe("a sentence of four tokens", [4, 6, 4, 2, 7, 9, 3, 8, 5, 6], bos_id=1, eos_id=2, max_len=9),
        probe("a sentence longer than max_len", [6, 4, 8, 3, 9, 7, 2, 5, 4, 6], bos_id=1, eos_id=2, max_len=5),
        probe("a sentence that ends at once", [3, 4, 6, 8, 4, 9], bos_id=5, eos_id=3, max_len=4),
        probe("a sentence as long as max_len", [7, 9, 3, 8, 6], bos_id=5, eos_id=3, max_len=3),
        probe("max_len 1", [7, 9, 3, 8, 6], bos_id=5, eos_id=3, max_len=1),
        probe("a sentence in which bos_id comes again", [4, 1, 6, 2, 7, 9, 3, 8, 5, 6], bos_id=1, eos_id=2, max_len=9),
        probe("a model that never ends", [8, 6, 4, 7, 9, 5], bos_id=1, eos_id=2, max_len=4, never=2),
    )


def _look(check: Check, call: Call) -> Evidence:
    for probe in check.core:
        yours, right = call(**probe.inputs), check.expected(probe)
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
    form=FunctionForm("next_logits", "bos_id", "eos_id", "max_len"),
    kind="ids",
    right=bank.right_greedy,
    make_probes=make_greedy_probes,
    bank=tuple(bank.GREEDY_BUGS),
    section=bank.GREEDY,
    look=_look,
)


def make_kv_cache_probes(seed: int = 20170616) -> tuple[Probe, ...]:
    """Return the probes: one sequence each, in chunks."""
    generator = torch.Generator().manual_seed(seed)

    def probe(name: str, batch: int, heads: int, d_k: int, d_v: int, chunks: list[int]) -> Probe:
        def draw(features: int) -> Tensor:
            # Numbers that float32 holds exactly, so that a float32 run gets the same inputs.
            return torch.randn(batch, heads, sum(chunks), features, generator=generator).double()

        return Probe(name, {"query": draw(d_k), "key": draw(d_k), "value": draw(d_v), "chunks": chunks})

    # The first one shows most bugs at once, which makes a diagnosis fast.
    return (
        probe("a prompt of 3 tokens, then 1, then 2", 2, 3, 5, 7, [3, 1, 2]),
        probe("one token at a time", 2, 3, 7, 5, [1, 1, 1, 1]),
        probe("keys and values of one size", 3, 2, 11, 11, [2, 3, 2]),
        probe("everything in one call", 2, 3, 5, 7, [5]),
        probe("a single item and a single head", 1, 1, 3, 2, [1, 5, 1]),
    )


def _look_at_cache(check: Check, call: Call) -> Evidence:
    """Say what is odd about the weights of a sequence in chunks; with the identity for values they are the output."""
    probe = check.core[0]
    tokens = probe.inputs["key"].size(-2)
    run = Run(check, call, probe, {"value": torch.eye(tokens).double().expand(2, 3, -1, -1)})
    weights = run.yours
    may = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    facts = facts_of_weights(weights, may)
    if (blind := (weights.abs() < 1e-9) & may).any():
        _, _, row, column = (int(i) for i in blind.nonzero()[0])
        facts.append(f"Token {row} gives no weight to token {column}, which came before it or with it.")
    return Evidence(facts, [Table.compare(f"{CAPTION}, in chunks of 3, 1 and 2", weights[0, 0], run.right[0, 0])])


KV_CACHE: Check = Check(
    name="kv_cache",
    expects="""
    ``fn(query, key, value, cache)``, which does causal attention of new tokens over all keys so far.

    The inputs are the new query and key (B, H, N, E) and value (B, H, N, V), and the cache: None in the first call,
    afterwards what the function returned. It returns the output (B, H, N, V) and the new cache, in which it may keep
    whatever it likes. The check feeds one sequence in chunks of several sizes, joins the outputs, and compares them
    with causal attention over the whole sequence. Gradients are not asked for: decoding does without them.
    """,
    form=StepForm(),
    kind="float",
    right=caches.build_kv_cache({}),
    make_probes=make_kv_cache_probes,
    bank=(*caches.SEE_BUGS, *REMEMBER_BUGS, *caches.ANSWER_BUGS),
    section=caches.MODES,
    build=caches.build_kv_cache,
    look=_look_at_cache,
)
