"""What axe-core is asked of a page: WCAG 2.1 A and AA and axe's best practices.

Structure is looked at narrow, where what is wide scrolls and must be reached by keyboard; the sidebars, which are those
of all pages, wide and once. Colours do not depend on the width: they are looked at in light and dark. axe is slow on
long pages, so what looks alike is looked at once.
"""

from importlib.resources import files

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
  const { violations } = await axe.run(where, { preload: false, resultTypes: ["violations"], ...rules });
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

COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
STRUCTURE = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]},
    "rules": {rule: {"enabled": False} for rule in COLOURS["runOnly"]},
}


def wear(page, colours):
    page.emulate_media(color_scheme=colours)
    page.wait_for_function("(colours) => document.documentElement.dataset.theme === colours", arg=colours)


def structure(page, where):
    """Return a line for each element whose structure breaks a rule."""
    page.evaluate(THIN)
    page.evaluate(AXE)
    return page.evaluate(FIND, [where, STRUCTURE, EXCUSED])


def colours(page):
    """After `structure`, return a line for each element whose colours break a rule. The page is spent afterwards."""
    page.add_style_tag(content=STILL)
    for worn in ("light", "dark"):
        wear(page, worn)
        assert page.evaluate(MARK) > 5, "there is text to look at"
    page.evaluate(EMPTY)
    broken = []
    for worn in ("dark", "light"):
        wear(page, worn)
        broken += [f"{worn}: {line}" for line in page.evaluate(FIND, [{"include": ["html"]}, COLOURS, EXCUSED])]
    return broken
