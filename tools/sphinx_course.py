"""A small Sphinx extension: the field guide, and what the theme's own extensions would get wrong on these pages."""

import re
from pathlib import Path

import field_guide
from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Register what happens before the first page and before each page."""
    app.connect("builder-inited", without_dead_buttons)
    app.connect("source-read", with_field_guide)
    app.connect("html-page-context", without_thebe, priority=900)  # late: the other extensions have added theirs
    app.connect("html-page-context", without_empty_headers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def without_dead_buttons(app: Sphinx) -> None:
    """Show no launch button while the repository has no address; the theme stops with an error there."""
    options = app.config.html_theme_options
    if not options.get("repository_url"):
        options["launch_buttons"] = {}


def with_field_guide(app: Sphinx, docname: str, source: list[str]) -> None:
    """Write the field guide into the pages that ask for it, from the checks' bank as it is now."""
    if not field_guide.MARK.search(source[0]):
        return

    def link(stem: str, heading: str) -> str:
        names = [name for name in app.env.found_docs if re.fullmatch(rf"book/\d\d_{stem}", name)]
        anchor = re.sub(r"[^\w\- ]", "", heading.strip().lower().replace(" ", "-"))  # as on GitHub
        return f"{Path(names[0]).name}.ipynb#{anchor}" if names else ""

    source[0] = field_guide.write(source[0], link)


def without_thebe(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Take sphinx-thebe's scripts out: it declares a constant twice, an error in each page's console, for no button."""
    context["script_files"] = [s for s in context.get("script_files", []) if "thebe" not in _text(s)]


def without_empty_headers(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Make the empty corner of a table a plain cell: a header without a name would be read aloud as one."""
    if "body" in context:
        context["body"] = re.sub(r"<th\b[^>]*>\s*(<p>\s*</p>)?\s*</th>", "<td></td>", context["body"])


def _text(script: object) -> str:
    return f"{getattr(script, 'filename', '')} {getattr(script, 'attributes', {}).get('body', '')}".lower()
