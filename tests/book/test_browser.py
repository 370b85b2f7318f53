"""The built pages in a browser: no error, no request that leaves the site, nothing too wide, mathematics set.

Without a browser these are skipped, out loud. Where BROWSER_TESTS is "required", as in CI, a missing one is an error.
"""

import os
import shutil

import pytest

from tools.first_cell import ROOT

pytestmark = pytest.mark.pages
PAGES = sorted((ROOT / "_build" / "html" / "book").glob("*.html"))
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def browser():
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        if os.environ.get("BROWSER_TESTS") == "required":
            pytest.fail("no Chromium: install one, or name it in CHROMIUM")
        pytest.skip("no Chromium: the pages are not looked at in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


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
