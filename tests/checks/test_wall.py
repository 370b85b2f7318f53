"""The house of the checks: an engine with a wall around it, a folder a chapter, and a face that all others use."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from companion import check

ROOT = Path(__file__).parents[2]
CHECKS = ROOT / "companion" / "checks"
FOLDERS = sorted(path.name for path in CHECKS.iterdir() if (path / "__init__.py").exists() and path.name != "engine")
# Where a chapter's bugs are another chapter's bugs as well, or its look is another chapter's look. A layer's bugs are
# those of its parts, and a model's those of its layers.
JOINED = {("additive", "attention"), ("decoder", "encoder"), ("generation", "attention")}
JOINED |= {("encoder", "add_norm"), ("transformer", "encoder"), ("transformer", "decoder")}


def imported(path):
    """The modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def places(path):
    """The folders of the checks that a file imports from."""
    found = {
        name.removeprefix("companion.checks.").split(".")[0] for name in imported(path) if "companion.checks." in name
    }
    return found & {*FOLDERS, "engine"}


def test_the_engine_imports_no_chapter_and_nothing_else_of_the_companion():
    for path in (CHECKS / "engine").glob("*.py"):
        ours = {name for name in imported(path) if name.startswith("companion")}
        assert all(name.startswith("companion.checks.engine.") for name in ours), path.name


def test_the_engine_names_no_bug():
    bugs = {bug.name for one in check.CHECKS.values() for bug in one.bank}
    for path in (CHECKS / "engine").glob("*.py"):
        assert not bugs & set(re.findall(r"\"(\w+)\"", path.read_text(encoding="utf-8"))), path.name


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_chapter_stands_on_the_engine_and_on_few_others(folder):
    there = set().union(*(places(path) for path in (CHECKS / folder).glob("*.py"))) - {"engine", folder}
    assert {(folder, other) for other in there} <= JOINED


def test_nothing_outside_reaches_past_the_face():
    outside = [path for name in ("companion", "tools", "book") for path in (ROOT / name).rglob("*.py")]
    for path in outside:
        if CHECKS not in path.parents:
            # A name is taken from the face; a submodule of it would be a room behind it.
            modules = {name for name in imported(path) if name.startswith("companion.checks.")}
            assert {name.removeprefix("companion.checks.") for name in modules} <= set(check.__all__), path


def test_the_face_is_one_line_a_check():
    source = (CHECKS / "__init__.py").read_text(encoding="utf-8")
    for name in check.CHECKS:
        assert len(re.findall(rf"^{name}: ", source, re.MULTILINE)) == 1
    assert {one.name for one in check.CHECKS.values()} == set(check.CHECKS) <= set(check.__all__)


ORDERS = {
    "the folder first": "import companion.checks.{0}\nfrom companion import check",
    "the check first": "from companion import check\ncheck.{0}\nimport companion.checks.{0}",
    "its bank first": "from companion import check\ncheck.CHECKS['{0}'].bank\nimport companion.checks.{0}",
    "everything": "from companion.checks import *\nimport companion.checks.{0}\nfrom companion import check",
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_a_name_that_is_a_folder_too_stays_the_function(order):
    both = sorted(set(check.CHECKS) & set(FOLDERS))
    assert both == ["add_norm", "attention", "multi_head", "positional", "transformer"]
    lines = [f"{order.format(name)}\nassert check.{name}.__name__ == {name!r}" for name in both]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


def test_checks_are_loaded_when_they_are_used():
    code = """
import sys
from companion import check
before = [name for name in sys.modules if name.startswith("companion.checks.") and "engine" not in name]
check.causal_mask
after = [name for name in sys.modules if name.startswith("companion.checks.") and "engine" not in name]
print(before, sorted(after))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"[] {[f'companion.checks.masks{rest}' for rest in ('', '.causal', '.padding')]}"


def test_dir_and_attributes():
    assert set(check.CHECKS) <= set(dir(check))
    with pytest.raises(AttributeError, match="has no attribute 'atention'"):
        check.atention  # noqa: B018
