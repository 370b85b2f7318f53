"""The built pages: nothing comes from elsewhere, every picture says what it shows, every link leads somewhere."""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from tools.first_cell import ROOT

# One process reads the pages, once for all of these tests.
pytestmark = [pytest.mark.pages, pytest.mark.xdist_group("built pages")]
HTML = ROOT / "_build" / "html"


class Page(HTMLParser):
    """What a page loads, shows and links to."""

    def __init__(self):
        super().__init__()
        self.loads, self.images, self.links, self.ids = [], [], [], set()

    def handle_starttag(self, tag, attrs):
        """Collect what the tests ask for."""
        has = dict(attrs)
        self.ids |= {has[key] for key in ("id", "name") if has.get(key)}
        if tag == "a" and has.get("href"):
            self.links.append(has["href"])
        elif tag == "link" and has.get("rel") in ("stylesheet", "icon", "shortcut icon", "preload", "preconnect"):
            self.loads.append(has.get("href", ""))
        elif tag in ("script", "img", "iframe", "source", "video", "audio", "embed", "object"):
            self.loads += [has[key] for key in ("src", "srcset", "data", "poster") if has.get(key)]
        if tag == "img":
            self.images.append(has)


@cache
def parsed(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf8"))
    return page


def all_pages():
    return sorted(path for path in HTML.rglob("*.html") if "_static" not in path.parts)  # there: the theme's templates


def test_the_book_is_built():
    assert (HTML / "book" / "index.html").is_file(), "run `make book` first"
    assert (HTML / "index.html").is_file()


def test_nothing_is_loaded_from_elsewhere():
    for path in all_pages():
        for address in parsed(path).loads:
            assert not re.match(r"(https?:)?//", address), f"{path.name}: {address}"


def test_styles_load_nothing_from_elsewhere():
    for path in HTML.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf8"), flags=re.DOTALL)
        found = re.findall(r"""(?:url\(|@import)\s*['"]?\s*((?:https?:)?//[^'")]+)""", text)
        assert not found, path.name


def test_what_is_loaded_is_there():
    for path in all_pages():
        for address in parsed(path).loads:
            if not address.startswith("data:"):
                assert (path.parent / unquote(re.split("[?#]", address)[0])).is_file(), f"{path.name}: {address}"


def test_every_image_has_a_text():
    for path in (HTML / "book").glob("*.html"):
        for image in parsed(path).images:
            assert len(image.get("alt") or "") >= 10, f"{path.name}: {image}"
            assert not re.search(r"\.(png|svg|jpe?g)$", image["alt"]), f"{path.name}: {image['alt']}"


def test_every_internal_link_leads_somewhere():
    for path in all_pages():
        for link in parsed(path).links:
            if re.match(r"[a-z]+:|//", link):
                continue
            name, _, anchor = link.partition("#")
            target = (path.parent / unquote(name.partition("?")[0])).resolve() if name else path
            if target.is_dir():
                target /= "index.html"
            assert target.is_file(), f"{path.name}: {link}"
            if anchor and target.suffix == ".html":
                assert unquote(anchor) in parsed(target).ids, f"{path.name}: {link}"
