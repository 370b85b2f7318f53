"""The built pages in a browser: no error, no request that leaves the site, nothing too wide, mathematics set."""

import pytest

from tools.first_cell import ROOT

pytestmark = pytest.mark.pages
PAGES = sorted((ROOT / "_build" / "html" / "book").glob("*.html"))


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_page(browser, path, width, colours):
    errors, requests = [], []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=colours)
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function("!document.querySelector('.math:not(:has(mjx-container))')")  # all mathematics is set
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    raw = page.evaluate("document.querySelectorAll('mjx-merror, [data-mjx-error]').length")
    page.close()
    assert errors == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert raw == 0, "MathJax could not read a formula"
    assert too_wide <= 0, f"{too_wide} pixels too wide at {width}"
