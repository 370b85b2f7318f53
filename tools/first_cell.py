"""The first code cell of every notebook, from one template, and the address that it installs from."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "_config.yml"
TAG = "first-cell"

# The address stands in _config.yml alone, on this line.
ADDRESS_LINE = re.compile(r'^(  url: )"(.*)"', re.MULTILINE)

WITHOUT_ADDRESS = """\
# Run this cell first: it says what to do if the course's package is missing.
from importlib.util import find_spec

if find_spec("companion") is None:
    raise ModuleNotFoundError("in the course's folder run: pip install -e .")
"""

WITH_ADDRESS = """\
# Run this cell first: it installs what is missing and keeps the rest.
import subprocess
import sys
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

if find_spec("companion") is None:
    loaded = "ipywidgets matplotlib numpy safetensors tokenizers torch tqdm".split()
    keep = [f"{d.name}=={d.version}" for d in distributions() if d.name in loaded]
    Path("keep.txt").write_text("\\n".join(keep))
    pip = [sys.executable, "-m", "pip", "install", "-q", "-c", "keep.txt"]
    subprocess.run([*pip, "git+ADDRESS"], check=True)
"""


def read_address(config: Path = CONFIG) -> str:
    """Return the repository's address, "" until somebody decides it."""
    found = ADDRESS_LINE.findall(config.read_text(encoding="utf8"))
    if len(found) != 1:
        raise ValueError(f'{config.name} must have one line `  url: "..."`, it has {len(found)}')
    return found[0][1]


def first_cell(address: str) -> str:
    """Return the source of the first code cell."""
    template = WITH_ADDRESS.replace("ADDRESS", address) if address else WITHOUT_ADDRESS
    return template.rstrip("\n")
