"""The experiment `attention_cost`: a small run and the stored ones say the same."""

from pathlib import Path

import pytest

from companion.results import load_result


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the script reads Linux's own account of memory")
def test_attention_cost(load_script):
    """From 512 to 1024 tokens the readable path needs more memory, and the fused one much less than it."""
    small = load_script("attention_cost").run(seed=0, lengths=(512, 1024))
    for run in (small, *load_result("attention_cost")["runs"]):
        reference, fused = run["reference"]["mebibytes"], run["fused"]["mebibytes"]
        assert reference[-1] > 2 * reference[-2]
        assert fused[-1] < reference[-1] / 3
    assert len(load_result("attention_cost")["runs"]) == 3
