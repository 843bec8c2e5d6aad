"""The notebooks are whole: run in order, described, and able to stand alone."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import hanq

TOP = Path(__file__).parents[1]
NOTEBOOKS = sorted((TOP / "book").glob("*.ipynb"))
CONFIG = yaml.safe_load((TOP / "_config.yml").read_text())
URL = CONFIG["repository"]["url"]


def cells(path, kind="code"):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


def test_there_are_notebooks():
    chapters = {
        "intro",
        "q-learning",
        "asymmetry",
        "normalization",
        "hypergradients",
        "hanq",
        "ablations",
        "seaquest",
        "open-points",
        "beyond",
        "reproduction",
        "own-data",
    }
    assert {path.stem for path in NOTEBOOKS} >= chapters


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_was_run_once_in_order_without_error(path):
    code = cells(path)
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell["outputs"] if output["output_type"] == "error"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_code_stands_where_text_should(path):
    for cell in cells(path, "markdown"):
        text = re.sub(r"^```.*?^```$", "", source(cell), flags=re.DOTALL | re.MULTILINE)
        assert not re.search(r"^(assert |print\(|import |from \w+ import |def |\w+ = )", text, flags=re.MULTILINE), text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_picture_has_alt_text(path):
    for cell in cells(path):
        pictures = [output for output in cell["outputs"] if {"image/png", "image/svg+xml"} & set(output.get("data", {}))]
        if pictures:
            alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) > 40, source(cell)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_cell_keeps_the_times_of_its_run(path):
    assert not [cell for cell in cells(path) if "execution" in cell["metadata"]]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_output_tells_of_one_machine_or_one_run(path):
    printed = json.dumps([cell["outputs"] for cell in cells(path)])
    assert not re.search(r"/home/|/tmp/|/root/|object at 0x|step/s|Warning", printed)


def test_all_first_cells_are_the_same_and_clone_the_configured_address():
    first = {source(cells(path)[0]) for path in NOTEBOOKS}
    assert len(first) == 1
    assert f'"{URL}"' in first.pop()


def test_every_address_of_the_repository_is_the_configured_one():
    repository = URL.removeprefix("https://github.com/")
    name = repository.split("/")[1]
    for path in [*NOTEBOOKS, TOP / "README.md", TOP / "CITATION.cff"]:
        found = set(re.findall(rf"github\.com/([\w.-]+/{name})\b", path.read_text()))
        assert found <= {repository}, path


def test_the_colab_button_is_configured_and_every_chapter_is_in_the_contents():
    assert CONFIG["launch_buttons"]["colab_url"]
    contents = (TOP / "_toc.yml").read_text()
    for path in NOTEBOOKS:
        assert f"book/{path.stem}" in contents


def test_a_notebook_alone_in_an_empty_folder_fetches_the_book_and_runs(tmp_path):
    """As in Colab, with the clone address pointed at this checkout; a chapter that trains nothing, to be quick."""
    shutil.copy(TOP / "book" / "reproduction.ipynb", tmp_path)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HANQ_REPOSITORY": TOP.as_uri(), "TQDM_DISABLE": "1", "PIP_NO_INDEX": "1"}
    command = [sys.executable, "-m", "jupyter", "execute", "reproduction.ipynb", "--output=done.ipynb"]
    finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert (tmp_path / "hanq-book" / "hanq").is_dir()
    again, stored = cells(tmp_path / "done.ipynb"), cells(TOP / "book" / "reproduction.ipynb")
    texts = [
        [output["data"]["text/markdown"] for cell in code for output in cell["outputs"] if "text/markdown" in output.get("data", {})]
        for code in (again, stored)
    ]
    assert texts[0] == texts[1] != []


FOREIGN = re.compile(r"<script[^>]*\ssrc=[\"'](?:https?:)?//|<link[^>]*stylesheet[^>]*href=[\"'](?:https?:)?//")


def test_built_pages_ask_no_other_host_for_scripts_or_styles():
    """Without a network a book of equations still shows them: MathJax comes with the site."""
    assert FOREIGN.search('<script defer src="https://elsewhere/mathjax.js">') and not FOREIGN.search('<script src="../_static/a.js">')
    pages = sorted((TOP / "_build" / "html").rglob("*.html"))
    if not pages:
        pytest.skip("the site is not built: make book")
    assert [str(page) for page in pages if FOREIGN.search(page.read_text())] == []
    asymmetry = (TOP / "_build" / "html" / "book" / "asymmetry.html").read_text()
    assert "_static/mathjax/tex-chtml.js" in asymmetry and (TOP / "_build/html/_static/mathjax/tex-chtml.js").exists()


def test_the_page_of_the_package_shows_all_that_import_hanq_gives_and_nothing_that_is_not_there():
    page = (TOP / "book" / "api.md").read_text()
    shown = re.findall(r"\{autodoc2-object\} ([\w.]+)", page)
    for name in shown:
        module, _, one = name.rpartition(".")
        assert getattr(importlib.import_module(module), one).__doc__, name
    named = {name.rpartition(".")[2] for name in shown} | set(re.findall(r"`hanq\.(\w+)`", page))
    assert set(hanq.__all__) <= named
