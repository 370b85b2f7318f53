"""The floors of the package: a module imports only from floors below its own."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "companion"
FLOORS = [
    {"_shapes", "_config", "device"},
    {"masks", "positional", "add_norm", "feed_forward", "attention", "additive"},
    {"multi_head", "recurrent", "implementation"},
    {"encoder", "decoder"},
    {"transformer", "data"},
    {"generation", "training", "checkpoints"},
    {"__main__"},
]
FLOOR = {module: floor for floor, modules in enumerate(FLOORS) for module in modules}
BESIDE = {"recording", "influence", "viz", "checks", "assignments", "results"}
# Two steps inside a floor: attention makes the mask of its `causal` argument, and lends its softmax.
NEIGHBOURS = {("attention", "masks"), ("additive", "attention")}
MAX_LINES = 250


def module_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def sources():
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def imported(path):
    """The companion's modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write out where the import is from"
            names = [
                f"{node.module}.{alias.name}" if node.module == "companion" else node.module for alias in node.names
            ]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            first, _, rest = name.partition(".")
            if first == "companion":
                yield rest.partition(".")[0]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_come_from_below(path):
    module = module_of(path)
    assert module in FLOOR or module in BESIDE, f"{module} stands on no floor: give it one here and in its docstring"
    for other in set(imported(path)) - {module}:
        assert other in FLOOR or other in BESIDE, f"{path.name} imports companion.{other}: name its module"
        if module in FLOOR and not (module == "__main__" and other == "assignments"):  # a command, not the model
            assert other not in BESIDE, f"the model never imports {other}"
            below = FLOOR[other] < FLOOR[module] or (module, other) in NEIGHBOURS
            assert below, f"{module} (floor {FLOOR[module]}) imports {other} (floor {FLOOR[other]})"


def test_the_floors_hold_what_there_is():
    assert {module_of(path) for path in sources()} == set(FLOOR) | BESIDE
    assert sum(map(len, FLOORS)) == len(FLOOR)
    assert not set(FLOOR) & BESIDE


def test_files_are_small():
    lines = {path: len(path.read_text(encoding="utf8").splitlines()) for path in sources() if module_of(path) in FLOOR}
    assert {path.name: count for path, count in lines.items() if count > MAX_LINES} == {}
    not_core = {"__main__", "recurrent", "additive"}  # the commands, and what came before the Transformer
    assert sum(count for path, count in lines.items() if module_of(path) not in not_core) < 2400
