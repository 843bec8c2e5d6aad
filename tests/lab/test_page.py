"""The laboratory in a real browser: it loads from a folder, trains when asked, and says the same to everyone.

No site is built for this: a small page holds the same scripts and the same <div>s as the book's.
"""

import os
import runpy
import shutil
from pathlib import Path

import pytest

browser_library = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -r requirements.txt")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium is installed here: apt-get install chromium", allow_module_level=True)

BOOK = Path(__file__).parents[2] / "book"
LAB, LAB_PAGE = (runpy.run_path(BOOK / "_ext" / f"{name}.py") for name in ("lab", "lab_page"))
PRESETS = ("laboratory", "race", "collapse", "asymmetry", "normalization", "hypergradients", "baird", "corridor", "evidence")
HEAD = """<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>Laboratory</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="../_static/lab/lab.css"></head>
<body style="background: {background}; margin: 16px"><h1>Laboratory</h1>{body}{scripts}</body></html>"""
SECONDS = 240_000  # the longest wait, in milliseconds: the machine may be busy


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


@pytest.fixture(scope="session")
def browser():
    with browser_library.sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if hasattr(os, "getuid") and os.getuid() == 0 else []
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)


@pytest.fixture
def visit(site, browser):
    """Opens a page from the folder; what its console reports as an error fails the test."""
    errors, contexts = [], []

    def opened(name, address="", **settings):
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | settings))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type == "error" and errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((site / f"{name}.html").as_uri() + address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


def train(page, preset="laboratory", again=False):
    """Press Play, wait for the end, and return each agent's points."""
    card = page.locator(f"[data-preset={preset}]")
    card.get_by_role("button", name="Again" if again else "Play").click()
    card.get_by_role("button", name="Pause").wait_for()
    card.get_by_role("button", name="Again").wait_for(timeout=SECONDS)
    return points(page, preset)


def points(page, preset="laboratory"):
    return page.evaluate(f"document.querySelector('[data-preset={preset}]').hanqLab.session.agents.map((agent) => agent.points)")


def status(page, preset="laboratory"):
    return page.locator(f"[data-preset={preset}] [role=status]").inner_text()


def test_a_page_opened_from_a_folder_loads_without_an_error_and_trains_nothing_unasked(visit):
    page = visit("light", "#algorithm=HANQ&lr=-1.5&seed=3")
    page.wait_for_timeout(500)
    assert page.locator(".hanq-lab-card").count() == len(PRESETS)
    assert page.workers == [] and status(page) == "Nothing has been trained yet."


def test_hanq_at_seed_3_passes_a_score_of_80_within_2000_steps(visit):
    (found,) = train(visit("one", "#algorithm=HANQ&lr=-1.5&seed=3&steps=2000"))
    assert [point["gradientStep"] for point in found] == list(range(20, 2001, 20))
    late = [point["score"] for point in found if point["gradientStep"] > 1000]
    assert sum(late) / len(late) > 80
    assert found[-1]["scale"] > 1.05 and found[-1]["learningRate"] < 10**-1.5


def test_dqn_collapses_without_its_target_network_and_not_with_it(visit):
    page = visit("one", "#algorithm=DQN&lr=-2.5&b-algorithm=DQN%2C+no+target&b-lr=-2&seed=3&steps=20000")
    kept, lost = ([point for point in one if point["gradientStep"] > 18_000] for one in train(page))
    scores = [sum(point["score"] for point in one) / len(one) for one in (kept, lost)]
    assert scores[0] > 80 and scores[1] < 20
    assert kept[-1]["bellmanError"] < 100 and lost[-1]["bellmanError"] > 1e6
    assert status(page).startswith("Step 20,000: DQN scores ") and "; DQN, no target scores " in status(page)


def test_an_address_sets_everything_and_gives_the_same_run_again(visit):
    page = visit("one", "#seed=3")
    page.get_by_label("Algorithm", exact=True).first.select_option("SSAQ")
    page.get_by_label("Learning rate", exact=True).first.press("ArrowRight")
    page.get_by_label("Compare two", exact=True).check()
    page.get_by_label("Algorithm", exact=True).nth(1).select_option("DQN, no target")
    page.get_by_text("Its parts").nth(1).click()
    page.get_by_label("Norm of the main path", exact=True).nth(1).select_option("LayerNorm")
    page.get_by_label("Seed", exact=True).fill("7")
    page.get_by_label("Seed", exact=True).press("Tab")
    page.get_by_label("Steps", exact=True).select_option("2000")
    first = train(page)
    again = visit("one", "#" + page.url.partition("#")[2])
    assert again.locator("select").evaluate_all("all => all.map((one) => one.value)") == page.locator("select").evaluate_all(
        "all => all.map((one) => one.value)"
    )
    second = train(again)
    assert len(first) == len(second) == 2 and first[0] != first[1]
    for one, other in zip(first, second, strict=True):
        assert [{**point, "seconds": 0} for point in one] == [{**point, "seconds": 0} for point in other]


def test_an_address_that_asks_for_something_unknown_says_so(visit):
    page = visit("one", "#algorithm=HANK&lr=-1.7&seed=3&steps=2000")
    said = "algorithm=HANK (now HANQ), lr=-1.7 (now -1.5)"
    assert status(page) == f"The address asks for what the laboratory does not have: {said}."
    page.evaluate("location.hash = 'algorithm=SSAQ&lr=-3&seed=5'")
    page.wait_for_function("document.querySelector('select').value === 'SSAQ'")
    assert status(page) == "Nothing has been trained yet." and page.get_by_label("Seed", exact=True).input_value() == "5"


def test_an_unknown_preset_is_named_and_leaves_the_picture(site, browser):
    unknown = (site / "one.html").read_text().replace('data-preset="laboratory"', 'data-preset="chess"')
    (site / "unknown.html").write_text(unknown)
    page, said = browser.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.goto((site / "unknown.html").as_uri())
    assert page.locator(".hanq-lab img").is_visible() and page.locator(".hanq-lab-card").count() == 0
    assert said[0].startswith('data-preset="chess" is unknown: use one of laboratory, race, ')
    page.close()


def test_a_run_is_paused_goes_on_makes_single_steps_and_is_forgotten(visit):
    page = visit("one", "#algorithm=HANQ&lr=-1.5&seed=3&steps=200000")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('.hanq-lab').hanqLab.session.steps >= 2000", timeout=SECONDS)
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(500)
    before = points(page)[0][-1]["gradientStep"]
    assert before % 2000  # at once, not at the next evaluation
    page.wait_for_timeout(500)
    assert points(page)[0][-1]["gradientStep"] == before
    page.get_by_role("button", name="One step").click()
    page.wait_for_function(f"document.querySelector('.hanq-lab').hanqLab.session.steps === {before + 1}")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(f"document.querySelector('.hanq-lab').hanqLab.session.steps > {before + 200}", timeout=SECONDS)
    page.get_by_role("button", name="Reset").click()
    page.wait_for_timeout(300)
    assert points(page) == [[]] and status(page) == "Nothing has been trained yet."


def test_out_of_sight_nothing_trains_and_in_sight_it_goes_on(visit):
    page = visit("one", "#algorithm=HANQ&lr=-1.5&seed=3&steps=20000")
    page.evaluate("document.body.append(Object.assign(document.createElement('div'), { style: 'height: 5000px' }))")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('.hanq-lab').hanqLab.session.steps >= 200")
    page.evaluate("scrollTo(0, 1e6)")
    page.wait_for_timeout(700)
    before = points(page)[0][-1]["gradientStep"]
    page.wait_for_timeout(500)
    assert points(page)[0][-1]["gradientStep"] == before
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # a tab that comes back shows no more than before
    page.wait_for_timeout(500)
    assert points(page)[0][-1]["gradientStep"] == before
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function(f"document.querySelector('.hanq-lab').hanqLab.session.steps > {before}", timeout=SECONDS)


def test_one_laboratory_trains_at_a_time(visit):
    page = visit("light", "#algorithm=HANQ&lr=-1.5&seed=3&steps=20000", viewport={"width": 1280, "height": 9000})
    playing = "[...document.querySelectorAll('.hanq-lab')].map((one) => one.hanqLab.session?.playing ?? false)"
    for preset in ("laboratory", "race"):
        page.locator(f"[data-preset={preset}]").get_by_role("button", name="Play").click()
        assert page.evaluate(playing) == [one == preset for one in PRESETS]


def test_a_prediction_is_judged_by_the_run_that_it_is_about(visit):
    page = visit("light")
    card = page.locator("[data-preset=collapse]")
    card.get_by_label("With", exact=True).check()
    found = train(page, "collapse")
    means = [sum(point["score"] for point in one) / len(one) for one in found]
    assert means[0] > means[1] + 5 and status(page, "collapse").startswith("As you said: With. DQN scored ")
    card.get_by_label("Without", exact=True).check()
    train(page, "collapse", again=True)
    assert status(page, "collapse").startswith("Not this time. You said: Without. DQN scored ")
    card.get_by_label("Steps", exact=True).select_option("2000")
    train(page, "collapse")
    assert status(page, "collapse").startswith("The question is about other settings. Step 2,000")


def test_a_failure_is_told_by_its_cause_and_ends_the_run(visit):
    page = visit("one")
    failing = """() => {
      const text = 'let n = 0; onmessage = ({ data }) => postMessage({ type: "error", id: data.id, message: ["no SIMD", "unknown"][n++] })';
      hanqLab.newWorker = () => new Worker(URL.createObjectURL(new Blob([text])));
    }"""
    page.evaluate(failing)
    page.get_by_role("button", name="Play").click()
    page.get_by_text("It went wrong: no SIMD").wait_for()
    page.wait_for_timeout(300)
    assert status(page) == "It went wrong: no SIMD" and page.get_by_role("button", name="Play").is_visible()


def test_the_semi_gradient_diverges_at_a_small_step_too(visit):
    page = visit("light")
    card = page.locator("[data-preset=baird]")
    card.get_by_label("It diverges too, only later", exact=True).check()
    card.get_by_label("Step size", exact=True).press("Home")
    card.get_by_role("button", name="Run").click()
    assert status(page, "baird").startswith("As you said: It diverges too, only later. At a step size of 2.0e−4")


def test_the_corridor_turns_left_where_the_chapter_says(visit):
    corridor = visit("light").locator("[data-preset=corridor]")
    for scale, way in ((1, "right"), (1.2, "right"), (1.3, "left")):
        corridor.get_by_label("Scale ω", exact=True).fill(str(scale))
        assert f"goes {way}" in corridor.locator(".hanq-lab-status").inner_text()
        near, far = 1 / scale, 2 * (0.99 / scale) ** 3 / scale  # as in the chapter: three steps, then a reward of 2
        first_state = corridor.locator("svg text").all_text_contents()[:3]
        assert first_state == ["→" if way == "right" else "←", f"{near:.2f}", f"{far:.2f}"]


def test_the_committed_curves_are_shown_seed_by_seed(visit):
    page = visit("light", "#result=fig4a/SSANQ")
    card = page.locator("[data-preset=evidence]")
    card.get_by_text("Averaged over training, seed 3 scores").wait_for()
    assert card.get_by_label("Algorithm", exact=True).evaluate("one => one.selectedOptions[0].text") == "SSANQ"
    curve = next(one for one in LAB_PAGE["curves"](folders=["fig3a"]) if one["result"] == "fig3a/SSAQ" and one["learningRate"] == 1e-4)
    card.get_by_label("Algorithm", exact=True).select_option("predictor one number; norm none; β = 0.001; fixed, κ = 0")
    card.get_by_label("Learning rate", exact=True).press("Home")
    card.get_by_label("Seed", exact=True).fill("7")
    shown = card.locator(".hanq-lab-status").inner_text()
    assert f"seed 7 scores {curve['seeds'][7].mean():.3g}, " in shown
    assert f"Seeds below 50: {(curve['seeds'].mean(1) < 50).sum()} of 30" in shown
    assert card.locator("path.faint").count() == 30


LEDGER = """<div class="hanq-lab" data-preset="ledger"></div><p><strong>Table 1, Pendulum</strong></p><table><thead><tr><th></th>
<th>the paper's</th><th>overlap</th><th>file</th></tr></thead><tbody>
<tr><td>DQN</td><td>72.4 (61.0 to 82.5)</td><td>yes</td><td><code>none/such.nc</code></td></tr>
<tr><td>HANQ</td><td>100.1 (98.0 to 102.2)</td><td>no</td><td><code>fig6b/HANQ.nc</code></td></tr>
<tr><td>SSAQ</td><td>-3.5 (-4.0 to -3.0)</td><td>no</td><td><code>fig3b/SSAQ.nc</code></td></tr></tbody></table>
<table><tr><td>another</td></tr></table>"""


def test_the_ledger_sorts_filters_and_links_to_curves(site, visit):
    (site / "ledger.html").write_text((site / "one.html").read_text().replace("<h1>Laboratory</h1>", LEDGER))
    page = visit("ledger")
    card = page.locator("[data-preset=ledger]")

    def first_cells():
        return card.locator("tbody tr:visible td:nth-child(2)").all_inner_texts()

    assert page.locator("table").count() == 2 and first_cells() == ["DQN", "HANQ", "SSAQ"]
    for wanted in (["SSAQ", "DQN", "HANQ"], ["HANQ", "DQN", "SSAQ"]):
        card.get_by_role("button", name="the paper's").click()
        assert first_cells() == wanted
    assert card.locator("th[aria-sort=descending]").inner_text().startswith("the paper's")
    card.get_by_label("Intervals overlap", exact=True).select_option("no")
    assert first_cells() == ["HANQ", "SSAQ"]
    card.get_by_label("Search", exact=True).fill("ssaq table")
    assert first_cells() == ["SSAQ"] and status(page, "ledger") == "1 of 3 rows."
    links = card.locator("a").evaluate_all("all => all.map((one) => one.hash)")
    assert sorted(links) == ["#result=fig3b%2FSSAQ", "#result=fig6b%2FHANQ"]  # the third file is not among the curves


@pytest.mark.parametrize("width", [320, 390, 768])
def test_no_width_scrolls_sideways(visit, width):
    page = visit("light", viewport={"width": width, "height": 800})
    page.locator("[data-preset=laboratory]").get_by_label("Compare two", exact=True).check()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


CONTRAST = """() => {
  const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
  const rgb = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const found = rgb(getComputedStyle(node).backgroundColor);
      if (found[3] === 255) return found;
    }
  };
  const ratio = (colour, node) => {
    const [a, b] = [luminance(rgb(colour)), luminance(ground(node))].sort((a, b) => b - a);
    return (a + 0.05) / (b + 0.05);
  };
  const written = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
  const colour = (node) => getComputedStyle(node)[node instanceof SVGElement ? 'fill' : 'color'];
  const texts = [...document.querySelectorAll('.hanq-lab-card *')].filter(written);
  const lines = [...document.querySelectorAll('.hanq-lab-card .ghost')];
  return {
    texts: texts.map((node) => [node.textContent.slice(0, 30), ratio(colour(node), node)]),
    lines: lines.map((node) => [node.getAttribute('style'), ratio(getComputedStyle(node).stroke, node)]),
  };
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_lines_stand_out_from_their_ground(visit, theme):
    page = visit(theme)
    page.locator("[data-preset=baird]").get_by_role("button", name="Run").click()
    found = page.evaluate(CONTRAST)
    assert len(found["texts"]) > 100 and len(found["lines"]) > 5
    assert [one for one in found["texts"] if one[1] < 4.5] == []
    least = 3 if theme == "dark" else 2  # on white the lines have the figures' own colours, of which orange has 2.2
    assert [one for one in found["lines"] if one[1] < least] == []


def test_every_control_has_a_name_and_play_works_by_keyboard(visit):
    page = visit("light", "#algorithm=HANQ&lr=-1.5&seed=3&steps=20000")
    controls = "all => all.map((one) => one.labels?.length ? one.labels[0].textContent : one.textContent).map((name) => name.trim())"
    named = page.locator(".hanq-lab-card :is(button, input, select)").evaluate_all(controls)
    assert len(named) > 80 and all(named)
    assert page.locator("svg[role=img], canvas[role=img]").evaluate_all("all => all.every((one) => one.getAttribute('aria-label'))")
    page.get_by_role("button", name="Play").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.hanq-lab').hanqLab.session.steps >= 200", timeout=SECONDS)
    page.keyboard.press("Space")
    assert not page.evaluate("document.querySelector('.hanq-lab').hanqLab.session.playing")


SWUNG = "document.querySelector('.hanq-lab-pendulum').getAttribute('aria-label').includes('upright')"


def test_an_agent_can_be_swung_and_mapped_before_it_is_trained_and_is_forgotten_with_its_pictures(visit):
    page = visit("one", "#algorithm=HANQ&lr=-1.5&seed=3")
    page.get_by_role("button", name="From below").first.click()
    page.get_by_label("Map of", exact=True).first.select_option("action")
    page.wait_for_function(SWUNG)
    page.wait_for_function("document.querySelector('.hanq-lab-map').getAttribute('aria-label').includes('0 in ')")
    assert points(page) == [[]] and page.evaluate("document.querySelector('.hanq-lab').hanqLab.agents[0].pendulum.moving")
    page.get_by_role("button", name="Reset").click()
    assert page.locator(".hanq-lab-pendulum").first.get_attribute("aria-label") == "Pendulum of HANQ, not swung yet"
    assert page.locator(".hanq-lab-map").first.get_attribute("aria-label") == "Map of HANQ, not drawn yet"


def test_without_motion_the_pendulum_is_a_picture(visit):
    page = visit("one", "#algorithm=HANQ&lr=-1.5&seed=3&steps=2000", reduced_motion="reduce")
    train(page)
    page.wait_for_function(SWUNG)
    assert not page.evaluate("document.querySelector('.hanq-lab').hanqLab.agents[0].pendulum.moving")


def test_without_javascript_a_picture_stands_there(visit):
    page = visit("one", java_script_enabled=False)
    box = page.locator(".hanq-lab img").bounding_box()
    assert box["width"] > 300 and box["height"] > 100
