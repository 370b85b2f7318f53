"""No right answer is rejected, however it is written: all of them, for every check, on three draws of the probes."""

import functools
import importlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import companion
from companion import check
from tests.checks import test_add_norm, test_additive, test_attention, test_multi_head, test_positional

# Each check's test says what is right, in as many ways as learners write it.
RIGHT = {}
for path in sorted(Path(__file__).parent.glob("test_*.py")):
    if path != Path(__file__):
        RIGHT |= getattr(importlib.import_module(f"tests.checks.{path.stem}"), "RIGHT_ANSWERS", {})


def test_every_check_has_some_and_there_are_many():
    assert set(RIGHT) == set(check.CHECKS)
    assert sum(map(len, RIGHT.values())) >= 150


ON_OTHER_PROBES = [
    pytest.param(name, seed, marks=pytest.mark.slow if name == "transformer" and seed > 1 else ())
    for name in RIGHT
    for seed in (1, 2, 3)
]


@pytest.mark.parametrize(("name", "seed"), ON_OTHER_PROBES)
def test_right_answers_pass_on_other_probes(name, seed):
    for function in RIGHT[name]:
        report = getattr(check, name)(function, raises=False, seed=seed)
        assert report.passed, (function, report)


def attention_in(dtype):
    def attention(query, key, value, mask):
        output = F.scaled_dot_product_attention(query.to(dtype), key.to(dtype), value.to(dtype), mask)
        return output.to(query.dtype)

    return attention


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_dtypes_pass(dtype):
    assert check.attention(attention_in(dtype)).passed


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_computed_on_a_gpu_passes(seed):
    def attention(query, key, value, mask):
        return F.scaled_dot_product_attention(query.cuda(), key.cuda(), value.cuda(), mask.cuda()).cpu()

    def weights(query, key, mask):
        return companion.attention_weights(query.cuda(), key.cuda(), mask.cuda()).cpu()

    class OnGpu(test_multi_head.Textbook):
        def forward(self, query, memory=None, mask=None):
            def there(x):
                return None if x is None else x.cuda()

            moved = {name: x.cuda() for name, x in self.named_parameters()}
            inner = test_multi_head.Textbook(query.size(-1), self.num_heads)
            return torch.func.functional_call(inner, moved, (there(query), there(memory), there(mask))).cpu()

    assert check.attention(attention, seed=seed).passed
    assert check.attention_weights(weights, seed=seed).passed
    assert check.multi_head(OnGpu, seed=seed).passed


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_an_output_that_stays_on_a_gpu_is_told():
    report = check.attention(lambda q, k, v, m: attention_in(q.dtype)(q, k, v, m).cuda(), raises=False)
    assert report.message.startswith("Your output is on cuda:0, the inputs were on cpu")


# --- torch.compile; "aot_eager" traces as the default backend does, and leaves the C++ compiler out


@pytest.fixture
def _compiles():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.usefixtures("_compiles")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("attention", test_attention.attention_kernel),
        ("attention_weights", test_attention.weights_textbook),
        ("additive_attention", test_additive.textbook),
        ("rotary", test_positional.rotary_rotate_half),
    ],
)
def test_a_compiled_function_passes(name, function, backend):
    compiled = torch.compile(function, backend=backend)
    for seed in (1, 2, 3):
        assert getattr(check, name)(compiled, seed=seed, time_limit=60).passed


@pytest.mark.slow
@pytest.mark.usefixtures("_compiles")
@pytest.mark.parametrize(
    ("name", "cls"),
    [("layer_norm", test_add_norm.Functional), ("multi_head", test_multi_head.Textbook)],
)
def test_a_class_with_a_compiled_forward_passes(name, cls):
    class Compiled(cls):
        forward = torch.compile(cls.forward, backend="eager")

    functools.update_wrapper(Compiled.forward, cls.forward)
    for seed in (1, 2, 3):
        assert getattr(check, name)(Compiled, seed=seed, time_limit=60).passed
