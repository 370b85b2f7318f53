"""The repository's address stands in one place, and the notebooks follow it."""

import ast
import shutil
import subprocess
import sys

import nbformat
import pytest
import yaml

from tools.first_cell import ROOT, first_cell, read_address

ADDRESS = "https://github.com/some-owner/some.course"


@pytest.fixture
def course(tmp_path):
    """A copy of what holds the address."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "_config.yml", tmp_path)
    (tmp_path / "book").mkdir()
    cell = nbformat.v4.new_code_cell("", metadata={"tags": ["first-cell"]}, id="a")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "book" / "00_toy.ipynb")
    return tmp_path


def make_address(course, url):
    command = [sys.executable, "-m", "tools.address", url]
    return subprocess.run(command, cwd=course, capture_output=True, text=True, check=False)


def state(course):
    config = (course / "_config.yml").read_text(encoding="utf8")
    notebook = nbformat.read(course / "book" / "00_toy.ipynb", as_version=4)
    return yaml.safe_load(config)["repository"]["url"], notebook.cells[0].source


def test_the_address_is_the_one_that_the_book_reads():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))
    assert read_address() == config["repository"]["url"]


def test_an_address_is_written_into_the_configuration_and_every_first_cell_and_taken_out_again(course):
    make_address(course, "")
    before = (course / "_config.yml").read_bytes(), (course / "book" / "00_toy.ipynb").read_bytes()
    assert make_address(course, ADDRESS + ".git/").returncode == 0
    url, source = state(course)
    assert url == ADDRESS
    assert source == first_cell(ADDRESS)
    assert f'"git+{ADDRESS}"' in source
    make_address(course, "")
    assert ((course / "_config.yml").read_bytes(), (course / "book" / "00_toy.ipynb").read_bytes()) == before


@pytest.mark.parametrize(
    "url",
    [
        "transformer-companion",
        "http://github.com/a/b",
        "https://github.com/a",
        'https://github.com/a/b"; x',
        "https://x.org/a/b",
    ],
)
def test_what_is_no_address_is_refused_in_one_line(course, url):
    before = state(course)
    done = make_address(course, url)
    assert done.returncode == 2
    assert done.stderr.startswith("An address looks like https://github.com/OWNER/NAME")
    assert done.stderr.count("\n") == 1
    assert state(course) == before


@pytest.mark.parametrize("address", ["", ADDRESS])
def test_first_cell_is_short_and_names_no_package_to_install(address):
    source = first_cell(address)
    ast.parse(source)
    assert len([line for line in source.splitlines() if line]) <= 12
    assert max(map(len, source.splitlines())) <= 88
    assert "transformer-companion" not in source


def test_first_cell_without_an_address_says_how_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="in the course's folder run: pip install -e ."):
        exec(first_cell(""), {})


def test_first_cell_installs_from_the_address_and_keeps_what_is_there(monkeypatch, tmp_path):
    calls = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("subprocess.run", lambda command, check: calls.append(command))
    exec(first_cell(ADDRESS), {})
    assert calls[0][-1] == f"git+{ADDRESS}"
    kept = (tmp_path / "keep.txt").read_text()
    assert {"torch", "numpy", "matplotlib"} <= {line.partition("==")[0] for line in kept.splitlines()}


@pytest.mark.parametrize("address", ["", ADDRESS])
def test_first_cell_does_nothing_where_the_companion_is(monkeypatch, address):
    monkeypatch.setattr("subprocess.run", lambda *args, **kwargs: pytest.fail("it installs something"))
    exec(first_cell(address), {})
