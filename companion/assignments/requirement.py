"""What pip installs the course's package from, and the first cell of a notebook, which asks for it."""

from __future__ import annotations

from importlib.metadata import version

PACKAGE = "transformer-companion"
INSTALLS = """\
# Run this cell first: it installs the course's package where it is missing.
import subprocess
import sys
from importlib.util import find_spec

if find_spec("companion") is None:
    package = {requirement!r}
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", package], check=True)
"""
ASKS = """\
# Run this cell first: it says what to do if the course's package is missing.
from importlib.util import find_spec

if find_spec("companion") is None:
    raise ModuleNotFoundError("install {requirement}, the course's package, as your instructor says")
"""


def named(requirement: str) -> str:
    """Return what stands in a requirements file: this version of the package where the instructor names nothing."""
    return requirement or f"{PACKAGE}=={version(PACKAGE)}"


def first_cell(requirement: str) -> str:
    """Return the first cell: it installs from what the instructor names, and from nothing else."""
    return (INSTALLS if requirement else ASKS).format(requirement=named(requirement))
