"""The companion's own source, for a page to show: what a chapter prints is what runs."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any


def show_source(function: Callable[..., Any]) -> None:
    """Print the source of a function without its docstring, which the API reference shows.

    Args:
        function: a function or method written in Python.
    """
    source = textwrap.dedent(inspect.getsource(function))
    definition = ast.parse(source).body[0]
    lines = source.splitlines()
    if isinstance(definition, ast.FunctionDef) and ast.get_docstring(definition) is not None:
        docstring = definition.body[0]
        del lines[docstring.lineno - 1 : docstring.end_lineno]
    print("\n".join(lines))
