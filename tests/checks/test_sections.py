"""A check never points to a section that the book does not have."""

import json
import re
from pathlib import Path

import pytest

from companion import check

BOOK = Path(__file__).parents[2] / "book"
SECTIONS = sorted(
    {entry.section for one in check.CHECKS.values() for entry in one.bank}
    | {one.section for one in check.CHECKS.values()}
)


@pytest.mark.parametrize("section", SECTIONS)
def test_the_section_is_in_the_book(section):
    chapter, heading = re.fullmatch("chapter ([a-z_]+), section '(.+)'", section).groups()
    (path,) = BOOK.glob(f"[0-9][0-9]_{chapter}.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    lines = "".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "markdown").splitlines()
    assert heading in [line.lstrip("#").strip() for line in lines if line.startswith("#")]
