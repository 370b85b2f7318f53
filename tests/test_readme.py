"""The session in README.md prints what it says."""

import doctest
import re

from tools.first_cell import ROOT


def test_session_prints_what_it_says():
    text = (ROOT / "README.md").read_text(encoding="utf8")
    sessions = re.findall(r"```(?:python|pycon)\n(>>>.*?)```", text, re.DOTALL)
    assert sessions, "README.md shows no session"
    test = doctest.DocTestParser().get_doctest("\n".join(sessions), {}, "README.md", "README.md", 0)
    assert doctest.DocTestRunner().run(test).failed == 0


def test_links_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE-text.md"):
        text = re.sub(r"```diff.*?```", "", (ROOT / name).read_text(encoding="utf8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s#]+)\)", text):
            page = (ROOT / "book" / target) if "references.md" in target else (ROOT / target)
            assert "://" in target or page.exists(), f"{name}: {target}"
