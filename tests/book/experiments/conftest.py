"""An experiment's script, as a module."""

import importlib

import pytest

from tools.first_cell import ROOT


@pytest.fixture
def load_script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "experiments")  # a process that it starts finds it there as well
    return importlib.import_module
