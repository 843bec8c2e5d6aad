"""The book's own pages in a real browser: no error, nothing from another host, and axe-core finds nothing that matters."""

import json
from urllib.parse import unquote_plus

import pytest
from browsing import BOOK, SECONDS, status

TOP = BOOK.parent
CHAPTERS = sorted([path.stem for path in BOOK.glob("*.ipynb")] + ["laboratory"])
PAGES = [*CHAPTERS, "api", "notation", "references"]
SET = "globalThis.MathJax?.startup?.promise?.then(() => true) ?? true"  # once the equations stand there, on a page that has any
PARTED = """() => [...document.querySelectorAll("span.math")].filter((formula) => {
  const text = formula.nextSibling, next = document.createRange();
  if (text?.nodeType !== Node.TEXT_NODE || !/^\\S/.test(text.data)) return false;
  next.setStart(text, 0);
  next.setEnd(text, 1);
  return next.getBoundingClientRect().left < formula.getBoundingClientRect().left;
}).map((formula) => formula.parentElement.textContent)"""  # inline formulas of which a line ends before the comma, or whatever touches them
LOGO = "region"  # the theme's logo on a phone stands outside its landmarks


def sources():
    """When the last of the files changed that a page is made of."""
    kinds = ("*.ipynb", "*.md", "*.js", "*.css", "*.svg", "*.nc", "*.bib", "*.py")
    files = [path for kind in kinds for folder in (BOOK, TOP / "hanq") for path in folder.rglob(kind)]
    return max(path.stat().st_mtime for path in [*files, TOP / "_config.yml", TOP / "_toc.yml"])


@pytest.fixture(scope="module")
def book():
    """The folder of the pages that `make book` built."""
    html = TOP / "_build" / "html"
    last = html / "_static" / "lab" / "results.js"  # the file that a build writes at its end
    if not last.exists():
        pytest.skip("the site is not built: make book")
    assert last.stat().st_mtime >= sources(), "the site is older than what it is made of: make book"
    return html / "book"


@pytest.fixture
def read(book, browser):
    """Opens one of the book's pages; a message of an error, or a request to another host, fails the test."""
    said, contexts = [], []

    def opened(name, theme="light", **settings):
        settings = {"viewport": {"width": 1280, "height": 900}, "color_scheme": theme, "reduced_motion": "reduce"} | settings
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(SECONDS)
        page.on("console", lambda message: message.type == "error" and said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: request.url.startswith(("http:", "https:")) and said.append(request.url))
        file, _, address = name.partition("#")
        page.goto((book / f"{file}.html").as_uri() + f"#{address}" * bool(address))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_page_loads_without_an_error_and_fits_a_phone_and_a_narrow_window(read, name):
    page = read(name, viewport={"width": 390, "height": 800})
    page.wait_for_function(SET)
    wanted = page.content().count('class="hanq-lab"')
    assert page.locator(".hanq-lab > .hanq-lab-card").count() == wanted >= (name in ("intro", "laboratory", "q-learning", "reproduction"))
    for width in (390, 1100):  # at 1,100 pixels there is no margin for asides
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(PARTED) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_each_row_of_the_ledger_leads_to_its_curves(read):
    page = read("reproduction")
    assert status(page, "ledger") == "99 of 99 rows."
    hashes = page.locator(".hanq-lab-ledger tbody a").evaluate_all("all => all.map((one) => one.hash)")
    links = [unquote_plus(one.removeprefix("#result=")) for one in hashes if one]  # those of Seaquest lead to its chapter
    assert page.locator(".hanq-lab-ledger tbody a[href='seaquest.html']").count() == 99 - len(links) == 4
    for link in sorted(set(links))[::8]:
        page.evaluate("result => { location.hash = new URLSearchParams({ result }) }", link)
        page.get_by_role("dialog").get_by_text(f"From book/results/{link}.nc.").wait_for()
        page.get_by_role("dialog").get_by_text("Averaged over training, seed 3 scores").wait_for()
        page.keyboard.press("Escape")
        page.wait_for_function("location.hash === ''")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(read, name, theme):
    """Contrast, alternative texts, labels, headings and roles; in dark mode nothing else can differ than contrast."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe is not installed: pip install -r requirements.txt").AXE_SCRIPT
    page = read(name, theme)
    page.wait_for_function(SET)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    page.evaluate(axe)
    options = {"resultTypes": ["violations"], "preload": False, "rules": {LOGO: {"enabled": False}}}
    options |= {"runOnly": ["color-contrast"]} if theme == "dark" else {}
    found = page.evaluate(f"axe.run({json.dumps(options)})")["violations"]
    grave = [one for one in found if one["impact"] in ("critical", "serious", "moderate")]
    assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in grave] == []
