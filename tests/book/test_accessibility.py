"""The built pages looked at by axe-core: WCAG 2.1 A and AA and axe's best practices, every answer unfolded.

Structure is looked at narrow, where what is wide scrolls and must be reached by keyboard; the sidebars, which are those
of all pages, wide and once. Colours do not depend on the width: they are looked at in light and dark. axe is slow on
long pages, so each is loaded once, and what looks like another is looked at once.
"""

from importlib.resources import files

import pytest

from tools.first_cell import ROOT

pytestmark = pytest.mark.pages
HTML = ROOT / "_build" / "html"
# Of the pages with a module's source, which Sphinx writes, one stands for all; of the field guide's, which one function
# writes, two do. The first page only leads to the book.
ALIKE = {path for path in (HTML / "book").glob("field_guide_*.html") if path.stem[12:] not in ("masks", "multi_head")}
OTHERS = [HTML / name for name in ("genindex.html", "py-modindex.html", "search.html", "_modules/companion/masks.html")]
PAGES = [*sorted({*(HTML / "book").glob("*.html")} - ALIKE), *filter(lambda path: path.is_file(), OTHERS)]
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf8")

# What is not ours to mend: the rule, and the very elements that break it.
EXCUSED = [
    # The theme's: on a wide page the book's title, above the contents, stands in no landmark.
    ["region", ".sidebar-primary-item:has(> .navbar-brand)"],
    # axe's: it does not read MathML, in which a formula is read aloud.
    ["empty-table-header", "th:has(mjx-assistive-mml)"],
]

# Returns what is wrong, a line for each element.
FIND = """async ([where, rules, excused]) => {
  const { violations } = await axe.run(where, { resultTypes: ["violations"], ...rules });
  const isExcused = (rule, { target }) =>
    excused.some(([id, selector]) => id === rule && document.querySelector(target.at(-1)).matches(selector));
  return violations.flatMap(({ id, help, nodes }) => nodes.filter((node) => !isExcused(id, node)).map(
    ({ target, html }) => `${id} (${help}): ${target} ${html.slice(0, 200)}`));
}"""

# Else a colour is looked at on its way to another.
STILL = "* { transition: none !important; animation: none !important }"

# Of the words of code one of each kind is kept an element, and the others become plain text.
THIN = """() => {
  const kinds = new Set();
  for (const code of document.querySelectorAll(".highlight pre")) {
    const thinned = code.cloneNode(true); // changed outside the page, where it is quick
    for (const word of thinned.querySelectorAll("span")) {
      if (kinds.has(word.className)) word.replaceWith(...word.childNodes);
      kinds.add(word.className);
    }
    thinned.normalize();
    code.replaceWith(thinned);
  }
}"""

# For the colours one element of each look is marked: of each ink, size, weight and ground, which its ancestors paint.
# Then those in which nothing is marked are emptied.
MARK = """() => {
  const grounds = new Map([[null, ""]]);
  const ground = (element) => {
    if (!grounds.has(element)) {
      const { backgroundColor, backgroundImage, opacity } = getComputedStyle(element);
      const own = [backgroundColor, backgroundImage, opacity].join();
      grounds.set(element, ground(element.parentElement) + (own === "rgba(0, 0, 0, 0),none,1" ? "" : `${own};`));
    }
    return grounds.get(element);
  };
  const looks = new Set();
  for (const element of document.body.querySelectorAll("*")) {
    const writes = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!(writes || element.matches("input")) || !element.checkVisibility()) continue;
    const { color, fontSize, fontWeight } = getComputedStyle(element);
    const look = [element.tagName, element.parentElement.tagName, color, fontSize, fontWeight, ground(element)].join();
    if (!looks.has(look)) element.dataset.look = "";
    looks.add(look);
  }
  return looks.size;
}"""
EMPTY = """() => {
  const body = document.body.cloneNode(true);
  for (const element of body.querySelectorAll("*:not([data-look], style)"))
    if (!element.querySelector("[data-look]")) element.replaceChildren();
  document.body.replaceWith(body);
  axe.configure({ rules: [{ id: "color-contrast", selector: "[data-look]" }] });
}"""

STOPS = """() =>
  [...document.querySelectorAll(".bd-article :is(mjx-container, table:not(.course-picture table))")].map((box) => {
    const scrolls = box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX === "auto";
    return [box.textContent.slice(0, 60), scrolls, box.tabIndex === 0];
  })"""

COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
STRUCTURE = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]},
    "rules": {rule: {"enabled": False} for rule in COLOURS["runOnly"]},
}


def wear(page, colours):
    page.emulate_media(color_scheme=colours)
    page.wait_for_function("(colours) => document.documentElement.dataset.theme === colours", arg=colours)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_page_breaks_no_rule(browser, path):
    page = browser.new_page(viewport={"width": 390, "height": 900}, color_scheme="light")
    page.goto(path.as_uri())
    page.wait_for_function("!document.querySelector('.math:not(:has(mjx-container))')")  # all mathematics is set
    page.add_style_tag(content=STILL)
    page.evaluate("document.querySelectorAll('details').forEach((folded) => (folded.open = true))")
    page.evaluate(THIN)
    page.evaluate(AXE)
    broken = [f"390: {line}" for line in page.evaluate(FIND, [{"include": ["html"]}, STRUCTURE, EXCUSED])]
    page.set_viewport_size({"width": 1280, "height": 900})
    if path.stem == "index":
        broken += [f"1280: {line}" for line in page.evaluate(FIND, [{"exclude": [".bd-article"]}, STRUCTURE, EXCUSED])]
    for colours in ("light", "dark"):
        wear(page, colours)
        assert page.evaluate(MARK) > 5, "there is text to look at"
    page.evaluate(EMPTY)
    for colours in ("dark", "light"):
        wear(page, colours)
        broken += [f"{colours}: {line}" for line in page.evaluate(FIND, [{"include": ["html"]}, COLOURS, EXCUSED])]
    page.close()
    assert not broken, "\n".join(broken)


def test_tab_stops_only_at_what_scrolls(browser):
    """The drawn formulas and the tables of a page, narrow and wide: those wider than the page, and no others."""
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.goto((HTML / "book" / "03_attention.html").as_uri())
    page.wait_for_function("!document.querySelector('.math:not(:has(mjx-container))')")
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
