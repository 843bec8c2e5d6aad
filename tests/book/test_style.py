"""Promise: chapters are built alike, figures are numbered and described, and cells that readers see are short and teach."""

import json
import re
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[2] / "book"
CHAPTERS = sorted(path.stem for path in BOOK.glob("*.ipynb"))
ENDING = ["The full result", "What did not reproduce", "What we learned", "Exercises", "Next"]
HIDDEN = {"remove-cell", "remove-input", "hide-input"}
LONGEST = 20


def cells(name):
    found = json.loads((BOOK / f"{name}.ipynb").read_text())["cells"]
    return [(cell, "".join(cell["source"])) for cell in found]


def visible(name):
    return [source for cell, source in cells(name) if cell["cell_type"] == "code" and not HIDDEN & set(cell["metadata"].get("tags", []))]


def prose(name):
    return "\n\n".join(source for cell, source in cells(name) if cell["cell_type"] == "markdown")


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_begins_with_a_question_and_ends_with_the_same_headings(name):
    text = prose(name)
    assert re.match(r"# .+\n\n\*\*The question\.\*\* .+\?", text), text[:200]
    assert re.search(r"^\*Reading time: about \d+ minutes\.", text, flags=re.MULTILINE)
    headings = re.findall(r"^## (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), flags=re.MULTILINE)
    wanted = [next(end for end in ENDING if one.startswith(end)) for one in headings if one.startswith(tuple(ENDING))]
    assert list(dict.fromkeys(wanted)) == ENDING and headings[-1] == "Next"
    assert re.search(r"\]\([\w-]+\.ipynb\)", text.split("## Next")[1]) or name == "reproduction"


@pytest.mark.parametrize("name", CHAPTERS)
def test_visible_cells_are_short_and_hold_no_checks(name):
    for source in visible(name):
        assert len(source.splitlines()) <= LONGEST, source
        assert not re.search(r"^\s*assert |: \{?True|print\(.*\bsame", source, flags=re.MULTILINE), source


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_figure_has_a_caption_right_below_it_and_numbers_run_from_one(name):
    found, numbers = cells(name), []
    for i, (cell, source) in enumerate(found):
        kinds = {kind for output in cell.get("outputs", []) for kind in output.get("data", {})}
        if kinds & {"image/png", "image/svg+xml"}:
            caption = re.match(r'<div class="caption">\n\n\*\*Figure (\d+)\.\*\* ', found[i + 1][1])
            assert caption, source
            numbers.append(int(caption[1]))
    assert numbers == list(range(1, len(numbers) + 1)) and numbers
    named = {int(number) for number in re.findall(r"(?<!Fig\. )\bFigure (\d+)(?! of)", prose(name))}
    assert named <= set(numbers)


@pytest.mark.parametrize("name", CHAPTERS)
def test_cells_that_make_figures_and_tables_are_hidden_in_every_reader(name):
    for cell, source in cells(name):
        if "remove-input" in cell["metadata"].get("tags", []):
            assert cell["metadata"]["jupyter"] == {"source_hidden": True} and cell["metadata"]["cellView"] == "form", source
        assert "plt.show()" not in source or "remove-input" in cell["metadata"].get("tags", []), source


@pytest.mark.parametrize("name", CHAPTERS)
def test_html_in_the_prose_is_closed_and_leaves_room_for_markdown(name):
    """Without blank lines around it, Markdown inside an HTML block stays raw text."""
    for cell, source in cells(name):
        if cell["cell_type"] != "markdown":
            continue
        for tag in ("div", "aside", "details"):
            assert len(re.findall(rf"<{tag}\b", source)) == source.count(f"</{tag}>"), source
        for block in re.findall(r'^(?:<div class="\w+">|<aside class="\w+">|<details>[^\n]*)\n(.)', source, flags=re.MULTILINE | re.DOTALL):
            assert block == "\n", source


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_asks_before_it_tells(name):
    asked = prose(name).split('<div class="predict">')[1:]
    assert len(asked) >= 2
    for question in asked:
        assert question.count("\n- **") >= 3 and "<details><summary>Answer</summary>" in question
