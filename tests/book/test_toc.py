"""Every page is in the table of contents, and one stem holds chapter, module, test and check together."""

import re

import pytest
import yaml

from tools.first_cell import ROOT
from tools.normalise import notebooks

NO_MODULE = {"ablations", "efficiency", "scaling"}

STEMS = [path.stem.partition("_")[2] for path in notebooks()]


def pages():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
    return [toc["root"]] + [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]


def exists(*names):
    return any((ROOT / name).exists() for name in names)


def test_every_page_is_listed_once():
    written = [f"book/{path.stem}" for path in (ROOT / "book").iterdir() if path.suffix in (".md", ".ipynb")]
    assert sorted(pages()) == sorted(written)


def test_every_reference_is_cited():
    references = ROOT / "book" / "references.md"
    names = re.findall(r"^## (.+)$", references.read_text(encoding="utf8"), re.MULTILINE)
    pages = [path for path in (ROOT / "book").iterdir() if path.suffix in (".md", ".ipynb") and path != references]
    text = "".join(path.read_text(encoding="utf8") for path in pages)
    assert [name for name in names if f"references.md#{name.lower().replace(' ', '-')}" not in text] == []


def test_chapters_are_numbered_and_listed_in_order():
    chapters = [page.removeprefix("book/") for page in pages() if re.match(r"book/\d", page)]
    assert chapters == [path.stem for path in notebooks()]
    numbers = [chapter[:3] for chapter in chapters]
    assert len(set(numbers)) == len(numbers)
    assert all(re.fullmatch(r"\d\d_", number) for number in numbers)


@pytest.mark.parametrize("stem", STEMS)
def test_chapter_has_its_module(stem):
    assert stem in NO_MODULE or exists(f"companion/{stem}.py", f"companion/{stem}/__init__.py")


@pytest.mark.parametrize("stem", STEMS)
def test_chapter_has_its_test(stem):
    assert stem in NO_MODULE or exists(f"tests/test_{stem}.py", f"tests/{stem}")


@pytest.mark.parametrize("stem", STEMS)
def test_chapter_has_its_check_and_the_check_its_test(stem):
    assert stem in NO_MODULE or exists(f"companion/checks/{stem}/__init__.py")
    assert stem in NO_MODULE or exists(f"tests/checks/test_{stem}.py")
