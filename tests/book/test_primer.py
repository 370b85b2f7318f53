"""The primer prints what it says."""

import doctest
import re

from tools.first_cell import ROOT


def test_the_primer_prints_what_it_says():
    text = (ROOT / "book" / "primer.md").read_text(encoding="utf8")
    sessions = re.findall(r"```pycon\n(.*?)```", text, re.DOTALL)
    assert len(sessions) >= 5
    test = doctest.DocTestParser().get_doctest("\n".join(sessions), {}, "primer.md", "primer.md", 0)
    assert doctest.DocTestRunner().run(test).failed == 0
