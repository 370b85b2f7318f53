"""The shell that every picture to play with shares: what a page without a kernel needs to show it and make it answer.

Python writes a drawing that says everything without script, with the numbers as a table beside it; a small script
then makes it answer. Style and script travel with each picture, since Colab shows every output in a frame of its own,
and nothing is fetched. All ink is the page's own text colour, or one violet mixed with it, so that no theme has to be
guessed. No element has an id, and no script leaves a name behind, so that any number of pictures fit on a page.
"""

from __future__ import annotations

import json
import re
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any


def page_picture(kind: str, title: str, body: str, data: Any) -> str:
    """Return the HTML of one picture.

    Args:
        kind: names the files ``kind.js`` and ``kind.css`` beside this one, and the class by which they find it. Before
            them stand ``picture.js`` and ``picture.css``, which all pictures share.
        title: stands above the picture.
        body: the drawing and its table; what says everything without script.
        data: what the script needs, as JSON. Round numbers before, so that a re-run gives the same bytes.
    """
    # Between single quotes, since JSON is full of double ones.
    packed = escape(json.dumps(data, ensure_ascii=False, separators=(",", ":")), quote=False).replace("'", "&#x27;")
    return (
        # The classes keep MathJax away from tokens such as "$"; the attribute keeps JupyterLab's shortcuts away
        # from the arrow keys.
        f'<div class="course-picture {kind} mathjax_ignore tex2jax_ignore" data-lm-suppress-shortcuts="true" '
        f'role="group" aria-label="{escape(title)}" data-picture=\'{packed}\'>\n'
        f"<style>{_asset('picture.css')}\n{_asset(f'{kind}.css')}</style>\n"
        f'<p class="title">{escape(title)}</p>\n{body}\n'
        f"<script>(() => {{\n{_asset('picture.js')}\n{_asset(f'{kind}.js')}\n}})();</script>\n</div>"
    )


@cache
def _asset(name: str) -> str:
    """Read a file without what is for its readers alone, since every notebook stores it: comment lines, indentation."""
    text = files("companion.viz").joinpath(name).read_text(encoding="utf-8")
    return re.sub(r"^\s*((//.*|/\*.*\*/)\n\s*)*", "", text, flags=re.MULTILINE).strip()
