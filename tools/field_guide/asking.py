"""Asking a bug the tests that a reader can run: each check's function is brought into the form that a test takes."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from companion import causal_mask, combine_masks
from companion.checks import Check, Probe

from . import own_tests, parameters
from .answers import Call

Tests = dict[str, Callable[[], bool]]
Test = Callable[..., bool]
Layer = Callable[..., Tensor]

CARRIES_ITEMS = ("x", "query", "key", "value", "memory", "h")


class _Run:
    """Calls a bug on a probe with some inputs replaced."""

    def __init__(self, check: Check, call: Call) -> None:
        self.check, self.call = check, call

    def __call__(self, probe: Probe, **changes: Any) -> Tensor:
        return self.call(**{**probe.inputs, **changes})

    def mask(self, probe: Probe) -> Tensor:
        """Return a mask; what is not bool cannot be asked."""
        value = self(probe)
        if value.dtype != torch.bool:
            raise TypeError
        return value

    def of(self, probe: Probe, name: str) -> Layer:
        """Return it as a function of one input."""
        return lambda x: self(probe, **{name: x})

    def positional(self, *args: Any) -> Any:
        """Call it as one would by hand."""
        return self.call(**dict(zip(self.check.form.parameters, args, strict=True)))


def ask(check: Check, call: Call, kinds: set[str]) -> tuple[list[str], list[str]]:
    """Return the names of the tests that a bug does not pass, and the parameters that it does not use.

    Args:
        check: the bug's check.
        call: calls the bug.
        kinds: the kinds of its answers to the check's questions, edge cases aside.
    """
    failed = [name for name, found in (("sizes", {"raised", "shape", "dtype"}), ("nan", {"nan"})) if kinds & found]
    for name, test in _tests(check, _Run(check, call)).items():
        try:
            passed = test()
        except Exception:  # the sizes do not fit, which is another test's business
            continue
        if not passed:
            failed.append(name)
    idle = parameters.idle(check, call)
    if idle:
        failed.append("without_gradient")
    if check.form.what == "class" and "off" in kinds and parameters.hidden_on_a_fresh_layer(check, call):
        failed.append("fresh")
    return failed, idle


def _tests(check: Check, run: _Run) -> Tests:
    """Return the tests that make sense for a check, by name, as functions without arguments."""
    tests: Tests = {}
    for makes in MAKES.get(check.name, ()):
        tests |= makes(check, run)
    if any(name in CARRIES_ITEMS for name in check.form.parameters):
        tests["items_do_not_meet"] = lambda: _items_do_not_meet(check, run)
    return tests


def _of_attention(check: Check, run: _Run) -> Tests:
    probe = check.core[2 if check.name == "additive_attention" else 1]
    key, causal = probe.inputs["key"], probe.inputs["mask"]
    heads = key.dim() == 4

    def weights() -> Tensor:
        if "value" not in probe.inputs:
            return run(probe)
        # With the identity for values, the output is the weights.
        return run(probe, value=torch.eye(key.size(-2)).to(key).expand(*key.shape[:-1], -1))

    def layer(mask: Tensor) -> Layer:
        """Self-attention of an x (B, L, D), as a layer."""

        def attend(x: Tensor) -> Tensor:
            x = x.unsqueeze(1).expand(-1, 2, -1, -1) if heads else x
            inputs = {name: x for name in ("query", "key", "value") if name in probe.inputs}
            output = run(probe, **inputs, mask=mask)
            return output.transpose(1, 2).flatten(2) if heads else output

        return attend

    def obeys(test: Test) -> bool:
        x = probe.inputs["query"][:, 0] if heads else probe.inputs["query"]
        padding = torch.arange(5) < torch.tensor([5, 3, 2][: x.size(0)])[:, None, None]  # (B, 1, L)
        masks = ((causal, causal), (padding[:, None] if heads else padding, padding))  # for the layer, for the test
        return all(test(layer(given), x, seen.expand(x.size(0), 5, 5)) for given, seen in masks)

    return {"rows_sum_to_one": lambda: own_tests.rows_sum_to_one(weights()), **_hides_and_shows(obeys)}


def _hides_and_shows(obeys: Callable[[Test], bool]) -> Tests:
    return {"hides": partial(obeys, own_tests.hides), "shows": partial(obeys, own_tests.shows)}


def _of_layers(check: Check, run: _Run) -> Tests:
    source = "query" if check.name == "multi_head" else "x"
    decodes = check.name == "decoder_layer"
    asked = []  # a probe, the input that is changed, and the mask between its tokens and the output's
    for probe in check.core:
        x, memory, mask = probe.inputs[source], probe.inputs.get("memory"), probe.inputs.get("mask")
        if memory is None or decodes:
            asked.append((probe, source, combine_masks(mask, causal_mask(x.size(1)) if decodes else None)))
        if memory is not None and memory.size(1) == x.size(1):
            asked.append((probe, "memory", probe.inputs.get("memory_mask") if decodes else mask))

    def obeys(test: Test) -> bool:
        return all(test(run.of(probe, name), probe.inputs[name], seen(probe, mask)) for probe, name, mask in asked)

    def seen(probe: Probe, mask: Tensor | None) -> Tensor:
        """Return a mask as a test takes it, (B, L, L): what at least one head may see."""
        batch, length = probe.inputs[source].shape[:2]
        if mask is None:
            return torch.ones(batch, length, length, dtype=torch.bool)
        return (mask.any(dim=1) if mask.dim() == 4 else mask).expand(batch, length, length)

    tests = _hides_and_shows(obeys)
    if not decodes:
        free = check.core[1] if check.name == "multi_head" else check.core[0]
        tests["order_does_not_matter"] = lambda: own_tests.order_does_not_matter(
            run.of(free, source), free.inputs[source]
        )
    return tests


def _of_caches(check: Check, run: _Run) -> Tests:
    probes = [p for p in check.core if p.inputs["key"].size(-1) == p.inputs["value"].size(-1)]

    def attend(probe: Probe, x: Tensor) -> Tensor:
        x = x.unsqueeze(1).expand(probe.inputs["key"].shape)
        return run(probe, query=x, key=x, value=x).transpose(1, 2).flatten(2)

    def obeys(test: Test) -> bool:
        asked = [(partial(attend, probe), probe.inputs["key"][:, 0]) for probe in probes]
        return all(test(layer, x, causal_mask(x.size(1)).expand(x.size(0), -1, -1)) for layer, x in asked)

    return _hides_and_shows(obeys)


def _later_ids_do_not_matter(run: _Run, probe: Probe) -> bool:
    ids = probe.inputs["target_ids"]
    before = run(probe)
    for place in range(1, ids.size(1)):
        changed = ids.clone()
        changed[:, place] = changed[:, place - 1]
        if ((run(probe, target_ids=changed) - before)[:, :place].abs() > 1e-6).any():
            return False
    return True


def _items_do_not_meet(check: Check, run: _Run) -> bool:
    for probe in check.core:
        names = [n for n in CARRIES_ITEMS if isinstance(probe.inputs.get(n), Tensor) and probe.inputs[n].size(0) > 1]
        for name in names:
            try:
                passed = own_tests.items_do_not_meet(run.of(probe, name), probe.inputs[name])
            except Exception:
                continue
            if not passed and not run(probe).isnan().any():
                return False
    return True


def _well_formed(ids: Tensor, inputs: Mapping[str, Any]) -> bool:
    return own_tests.ids_are_well_formed(list(ids), inputs["bos_id"], inputs["eos_id"], inputs["max_len"])


def _of_masks(check: Check, run: _Run) -> Tests:
    return {
        "hides": lambda: not any((run.mask(p) & ~check.expected(p)).any() for p in check.core),
        "shows": lambda: not any((~run.mask(p) & check.expected(p)).any() for p in check.core),
    }


def _of_models(check: Check, run: _Run) -> Tests:
    return {"hides": lambda: all(_later_ids_do_not_matter(run, probe) for probe in check.core)}


def _of_splitting(check: Check, run: _Run) -> Tests:
    probe = check.core[0]

    def there_and_back(x: Tensor) -> Tensor:
        return run(probe, x=x).transpose(1, 2).flatten(2)

    return {"tokens_do_not_meet": lambda: own_tests.tokens_do_not_meet(there_and_back, probe.inputs["x"])}


def _of_merging(check: Check, run: _Run) -> Tests:
    probe = check.core[0]
    heads = probe.inputs["x"].size(1)

    def there_and_back(x: Tensor) -> Tensor:
        return run(probe, x=x.unflatten(-1, (heads, -1)).transpose(1, 2))

    x = probe.inputs["x"].transpose(1, 2).flatten(2)
    return {"tokens_do_not_meet": lambda: own_tests.tokens_do_not_meet(there_and_back, x)}


def _of_positions(check: Check, run: _Run) -> Tests:
    probe = check.core[0]
    return {"tokens_do_not_meet": lambda: own_tests.tokens_do_not_meet(run.of(probe, "x"), probe.inputs["x"])}


def _of_norms(check: Check, run: _Run) -> Tests:
    plain = parameters.plain(check.core[0])
    return {"tokens_are_normalised": lambda: own_tests.tokens_are_normalised(run(check.core[0], **plain))}


def _of_tables(check: Check, run: _Run) -> Tests:
    return {"is_a_table_of_sinusoids": lambda: own_tests.is_a_table_of_sinusoids(run(check.core[1]).double())}


def _of_turns(check: Check, run: _Run) -> Tests:
    x = check.core[0].inputs["x"]
    return {"turns": lambda: own_tests.turns(run.positional, x)}


def _of_losses(check: Check, run: _Run) -> Tests:
    return {"loss_is_as_expected": lambda: all(own_tests.loss_is_as_expected(run.positional, 11, p) for p in (0, 4))}


def _of_rates(check: Check, run: _Run) -> Tests:
    return {"rate_is_as_expected": lambda: own_tests.rate_is_as_expected(run.positional)}


def _of_decoding(check: Check, run: _Run) -> Tests:
    usual = [p for p in check.core if p.inputs["bos_id"] not in check.expected(p)]  # no model in use writes bos
    return {"ids_are_well_formed": lambda: all(_well_formed(run(probe), probe.inputs) for probe in usual)}


# How each check's bugs are asked; a check that does not stand here is asked what makes sense for all.
MAKES = {
    "attention": [_of_attention],
    "attention_weights": [_of_attention],
    "additive_attention": [_of_attention],
    "causal_mask": [_of_masks],
    "padding_mask": [_of_masks],
    "combine_masks": [_of_masks],
    "split_heads": [_of_splitting],
    "merge_heads": [_of_merging],
    "multi_head": [_of_layers],
    "positional": [_of_tables],
    "rotary": [_of_turns],
    "layer_norm": [_of_positions, _of_norms],
    "add_norm": [_of_norms],
    "feed_forward": [_of_positions],
    "encoder_layer": [_of_layers, _of_norms],
    "decoder_layer": [_of_layers, _of_norms],
    "transformer": [_of_models],
    "loss": [_of_losses],
    "schedule": [_of_rates],
    "greedy": [_of_decoding],
    "kv_cache": [_of_caches],
}
