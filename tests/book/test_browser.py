"""The built pages in a browser: no error, no request that leaves the site, nothing too wide, no rule broken.

Most of the time goes into loading a page, so one visit looks at everything: it loads the page once, narrow and light,
and changes width and colours in place. `make test-all` loads every page afresh in each.
"""

from contextlib import contextmanager

import pytest

from tests.book import axe
from tools.first_cell import ROOT

pytestmark = pytest.mark.pages
HTML = ROOT / "_build" / "html"
BOOK = sorted((HTML / "book").glob("*.html"))
# Of the pages with a module's source, which Sphinx writes, one stands for all. The first page only leads to the book.
OTHERS = [HTML / name for name in ("genindex.html", "py-modindex.html", "search.html", "_modules/companion/masks.html")]
# Of the field guide's pages, which one function writes, axe looks at two, and in `make test-all` at the others.
ALIKE = [
    path for path in BOOK if path.stem.startswith("field_guide_") and path.stem[12:] not in ("masks", "multi_head")
]
# One page of each kind is always loaded afresh in each width and colours, and in `make test-all` the others.
KINDS = ("index", "10_transformer", "field_guide_masks")
AFRESH = [path if path.stem in KINDS else pytest.param(path, marks=pytest.mark.slow) for path in BOOK]

each = {"argnames": "path", "ids": lambda path: path.stem}
SET = "!document.querySelector('.math:not(:has(mjx-container))')"
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
UNREAD = "document.querySelectorAll('mjx-merror, [data-mjx-error]').length"

STOPS = """() =>
  [...document.querySelectorAll(".bd-article :is(mjx-container, table:not(.course-picture table))")].map((box) => {
    const scrolls = box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX === "auto";
    return [box.textContent.slice(0, 60), scrolls, box.tabIndex === 0];
  })"""


@contextmanager
def visit(browser, path, width, colours):
    """Load a page until all mathematics is set; give it, and a list that grows by what goes wrong."""
    wrong = []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=colours)
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: None if stays(request.url) else wrong.append(f"asks for {request.url}"))
    page.goto(path.as_uri())
    page.wait_for_function(SET)
    yield page, wrong
    page.close()


def stays(url):
    return url.startswith(("file:", "data:", "blob:"))


def look(page, width, colours):
    """Return what is wrong with a page at this width and in these colours."""
    page.set_viewport_size({"width": width, "height": 900})
    axe.wear(page, colours)
    too_wide, unread = page.evaluate(TOO_WIDE), page.evaluate(UNREAD)
    wrong = [f"{too_wide} pixels too wide at {width}, {colours}"] if too_wide > 0 else []
    return wrong + ([f"MathJax could not read {unread} formulas"] if unread else [])


def visit_all(browser, path, with_axe):
    """Look at a page in each width and colours, with its answers folded and unfolded."""
    with visit(browser, path, 390, "light") as (page, wrong):
        wrong += look(page, 390, "light")
        page.evaluate("document.querySelectorAll('details').forEach((folded) => (folded.open = true))")
        wrong += look(page, 390, "dark")
        wrong += axe.structure(page, {"include": ["html"]}) if with_axe else []
        for colours in ("dark", "light"):
            wrong += look(page, 1280, colours)
        wrong += axe.structure(page, {"exclude": [".bd-article"]}) if path.stem == "index" else []
        wrong += axe.colours(page) if with_axe else []
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(**each, argvalues=[*BOOK, *filter(lambda path: path.is_file(), OTHERS)])
def test_page(browser, path):
    visit_all(browser, path, with_axe=path not in ALIKE)


@pytest.mark.slow
@pytest.mark.parametrize(**each, argvalues=ALIKE)
def test_page_like_others_breaks_no_rule(browser, path):
    visit_all(browser, path, with_axe=True)


@pytest.mark.parametrize(("width", "colours"), [(390, "dark"), (1280, "light"), (1280, "dark")])
@pytest.mark.parametrize(**each, argvalues=AFRESH)
def test_page_loaded_afresh(browser, path, width, colours):
    with visit(browser, path, width, colours) as (page, wrong):
        wrong += look(page, width, colours)
    assert not wrong, "\n".join(wrong)


def test_tab_stops_only_at_what_scrolls(browser):
    """The drawn formulas and the tables of a page, narrow and wide: those wider than the page, and no others."""
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.goto((HTML / "book" / "03_attention.html").as_uri())
    page.wait_for_function(SET)
    stops = {}
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(100)  # the script answers to the change of size
        found = page.evaluate(STOPS)
        assert [name for name, scrolls, stops_at in found if scrolls != stops_at] == []
        stops[width] = sum(stops_at for *_, stops_at in found)
    page.close()
    assert len(found) > 20
    assert stops[390] > stops[1280]
