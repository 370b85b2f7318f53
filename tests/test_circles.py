"""No module imports itself by way of others: each can be read, and loaded, after those that it needs."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "companion"


def modules():
    """The modules by dotted name, with their sources; a package goes by its own name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf8")
    return found


def imports(sources):
    """For each module those that it imports, at its head or inside a function; ``from a import b`` may import a.b."""
    found = {}
    for name, source in sources.items():
        written = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                written |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                parts = {f"{node.module}.{alias.name}" for alias in node.names}
                written |= {part if part in sources else node.module for part in parts}
        found[name] = written & sources.keys()
    return found


def in_order(graph):
    """Each module after those that it imports; a CycleError names the modules of a circle."""
    return list(TopologicalSorter(graph).static_order())


def test_no_module_imports_itself_by_way_of_others():
    order = in_order(imports(modules()))
    assert order.index("companion.masks") < order.index("companion.attention") < order.index("companion")


@pytest.mark.parametrize(
    "late",
    [
        "import companion.attention",
        "from companion import attention",
        "def late():\n    from companion.attention import masked_softmax",
    ],
)
def test_a_circle_is_found_however_it_is_imported(late):
    sources = modules()
    sources["companion.masks"] += f"\n{late}\n"
    with pytest.raises(CycleError) as caught:
        in_order(imports(sources))
    assert {"companion.masks", "companion.attention"} <= set(caught.value.args[1])
