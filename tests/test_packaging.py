"""pyproject.toml, constraints.txt and environment.yml agree, and Colab's versions will do."""

import re
import tomllib
from importlib.metadata import requires

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools.first_cell import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
COLAB = {"torch": "2.11", "numpy": "2.1", "matplotlib": "3.10", "ipywidgets": "7.7.1"}
# What torch pins by itself, and differently from one machine to the next.
TORCHS_OWN = re.compile(r"nvidia-|cuda-|triton")


def pinned():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf8").splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def declared():
    return [Requirement(text) for text in sum(EXTRAS.values(), PROJECT["dependencies"])]


def test_constraints_pin_every_declared_package_within_its_bounds():
    for requirement in declared():
        assert pinned()[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_constraints_pin_what_those_packages_need_in_turn():
    todo, seen = [(r.name, "") for r in declared()], set()
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen or TORCHS_OWN.match(name):
            continue
        seen.add((name, extra))
        assert name in pinned(), f"{name} is not in constraints.txt"
        for text in requires(name) or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                todo += [(canonicalize_name(needed.name), e) for e in {"", *needed.extras}]


def test_versions_are_plain():
    for name, version in pinned().items():
        assert Version(version).local is None, f"{name}=={version} names a build that others cannot get"
    assert pinned()["torch"] == "2.13.0"


def test_dependencies_have_floors_only_and_colab_is_above_them():
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert [bound.operator for bound in requirement.specifier] == [">="], requirement
        if requirement.name in COLAB:
            assert COLAB[requirement.name] in requirement.specifier, requirement


def test_environment_has_the_same_python_and_the_same_versions():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf8"))
    python, pip, packages = environment["dependencies"]
    assert environment["name"] == PROJECT["name"]
    assert "3.11" in Requirement(f"python{PROJECT['requires-python']}").specifier
    assert (python, pip) == ("python=3.11", "pip")
    assert packages == {"pip": ["-c constraints.txt", f"-e .[{','.join(EXTRAS)}]"]}


@pytest.mark.parametrize("name", ["Makefile", "README.md", "constraints.txt"])
def test_the_install_command_is_the_same_everywhere(name):
    assert f".[{','.join(EXTRAS)}]" in (ROOT / name).read_text(encoding="utf8")


def test_version_is_the_same_everywhere():
    import companion

    assert companion.__version__ == PROJECT["version"]
    assert f"version: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf8")
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf8")
