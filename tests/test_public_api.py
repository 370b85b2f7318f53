import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import companion

PACKAGE = Path(companion.__file__).parent
ON_USE = {"check", "viz"}

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
    assert here | ON_USE == set(companion.__all__)


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


def in_a_fresh_process(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_loads_nothing_heavy():
    assert in_a_fresh_process(f"import sys, companion; print(*sys.modules.keys() & {set(HEAVY)})") == []


def test_a_bare_import_loads_the_core_and_little_else():
    code = "import sys, torch; before = {*sys.modules}; import companion; print(*sys.modules.keys() - before)"
    loaded = set(in_a_fresh_process(code))
    core = {"companion", "companion.data"} | {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in [*PACKAGE.glob("*.py"), *PACKAGE.glob("data/*.py")]
        if not path.stem.startswith("__")
    }
    assert {name for name in loaded if name.partition(".")[0] == "companion"} == core
    assert len(loaded - core) < 10, loaded - core  # what torch has not loaded yet


@pytest.mark.parametrize(
    "first",
    [
        "import companion",
        "import companion.influence",
        "from companion.influence import influence",
        "import importlib; importlib.import_module('companion.influence')",
        "from companion import check",
        "from companion import viz",
        "import companion.viz",
        "import companion.checks.attention",
        "from companion.checks import Report",
        "from companion import *",
    ],
)
def test_a_function_stays_one_in_any_order_of_imports(first):
    both = sorted(set(companion.__all__) & {path.stem for path in PACKAGE.glob("*.py")})
    assert both == ["influence"]
    code = f"""
{first}
import companion, importlib
for name in {both}:
    assert callable(getattr(companion, name)), name
    module = importlib.import_module(f"companion.{{name}}")
    assert getattr(companion, name) is getattr(module, name), name
import companion.checks, companion.viz
assert companion.check is companion.checks
assert companion.viz is importlib.import_module("companion.viz")
"""
    in_a_fresh_process(code)


def test_a_name_that_is_not_there_is_an_error():
    with pytest.raises(AttributeError, match="module 'companion' has no attribute 'checking'"):
        companion.checking  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'checking' from 'companion'"):
        from companion import checking  # noqa: F401


def test_dir_and_type_checkers_see_every_public_name():
    asked = in_a_fresh_process("import companion; print(*dir(companion))")
    assert asked == sorted(asked)
    assert set(asked) >= set(companion.__all__)
    written = ast.walk(ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf8")))
    imports = [node for node in written if isinstance(node, ast.ImportFrom)]
    assert {alias.asname or alias.name for node in imports for alias in node.names} >= set(companion.__all__)


def test_version():
    from importlib.metadata import PackageNotFoundError, version

    try:
        assert companion.__version__ == version("transformer-companion")
    except PackageNotFoundError:
        pytest.skip("the companion is imported from its folder, not installed")
