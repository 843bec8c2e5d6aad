"""A small page that holds the same scripts and the same <div>s as the book's: no site is built for it."""

import shutil

import pytest
from browsing import BOOK, LAB, LAB_PAGE, PRESETS, SECONDS

HEAD = """<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>Laboratory</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="../_static/lab/lab.css"></head>
<body style="background: {background}; margin: 16px"><h1>Laboratory</h1>{body}{scripts}</body></html>"""


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A folder with what the build writes for the laboratory, and one page for each theme."""
    top = tmp_path_factory.mktemp("site")
    static = top / "_static" / "lab"
    LAB_PAGE["write"](static)
    for entry in LAB["ENTRIES"]:
        (static / f"{entry}.bundle.js").write_text(LAB["script"](entry))
    shutil.copy(BOOK / "_static" / "lab" / "lab.css", static)
    still = '<img src="../_static/lab/still.svg" alt="still">'
    scripts = "".join(f'<script defer src="../_static/lab/{name}"></script>' for name in LAB_PAGE["SCRIPTS"])
    (top / "book").mkdir()
    for name, shown, theme, background in (
        ("one", PRESETS[:1], "light", "#fff"),
        ("light", PRESETS, "light", "#fff"),
        ("dark", PRESETS, "dark", "#14181e"),
    ):
        body = "".join(f'<div class="hanq-lab" data-preset="{preset}">{still}</div>' for preset in shown)
        page = HEAD.format(theme=theme, background=background, body=body, scripts=scripts)
        (top / "book" / f"{name}.html").write_text(page)
    return top / "book"


@pytest.fixture
def visit(browser, site):
    """Opens a page from the folder, after a script of the test's own; what its console reports as an error fails the test."""
    errors, contexts = [], []

    def opened(name, address="", before=None, **settings):
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | settings))
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SECONDS)
        if before:
            page.add_init_script(before)
        page.on("console", lambda message: message.type == "error" and errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((site / f"{name}.html").as_uri() + address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []
