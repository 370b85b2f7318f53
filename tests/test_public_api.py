import inspect
import subprocess
import sys

import pytest

import companion

HEAVY = ["matplotlib", "tokenizers", "num2words", "ipywidgets", "sacrebleu", "safetensors", "IPython"]
PROMISED = """
    attention_weights scaled_dot_product_attention ScaledDotProductAttention causal_mask padding_mask combine_masks
    split_heads merge_heads MultiHeadAttention KVCache sinusoidal_encoding SinusoidalPositionalEncoding
    LearnedPositionalEmbedding RotaryPositionalEmbedding LayerNorm AddNorm FeedForward EncoderLayer Encoder
    DecoderLayer Decoder TransformerConfig Transformer NumberWords read_pairs greedy_decode translate Trainer
    TrainingConfig save_checkpoint load_checkpoint record_attention check viz default_device
"""


def in_order(names):
    """The linter's order: constants, then classes, then functions."""
    return sorted(names, key=lambda name: (not name.isupper(), name))


def public(owner):
    return [(name, value) for name, value in vars(owner).items() if not name.startswith("_")]


def test_all_is_sorted_and_complete():
    assert companion.__all__ == in_order(companion.__all__)
    assert len(set(companion.__all__)) == len(companion.__all__)
    assert set(companion.__all__) >= set(PROMISED.split())
    here = {name for name, value in public(companion) if not inspect.ismodule(value)} - {"annotations"}
    assert here | {"check", "viz"} == set(companion.__all__)


@pytest.mark.parametrize("name", companion.__all__)
def test_every_public_name_has_a_docstring(name):
    value = getattr(companion, name)
    assert inspect.getdoc(value), name
    assert value.__doc__ is not None
    assert inspect.ismodule(value) or not value.__doc__.startswith(f"{name}(")  # what a dataclass makes by itself
    if inspect.isclass(value):
        for method, function in public(value):
            if inspect.isfunction(function):
                assert function.__doc__, f"{name}.{method}"


@pytest.mark.parametrize("module", ["data", "viz", "checks"])
def test_the_packages_keep_their_all(module):
    module = getattr(companion, module)
    assert module.__all__ == in_order(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_public_functions_are_typed():
    for name in companion.__all__:
        function = getattr(companion, name)
        if inspect.isfunction(function):
            signature = inspect.signature(function)
            assert signature.return_annotation is not signature.empty, name
            for parameter in signature.parameters.values():
                assert parameter.annotation is not parameter.empty, f"{name}: {parameter.name}"


def test_importing_loads_nothing_heavy():
    code = f"import sys, companion; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version():
    from importlib.metadata import PackageNotFoundError, version

    try:
        assert companion.__version__ == version("transformer-companion")
    except PackageNotFoundError:
        pytest.skip("the companion is imported from its folder, not installed")


def test_default_device():
    import torch

    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert companion.default_device() == torch.device(expected)
