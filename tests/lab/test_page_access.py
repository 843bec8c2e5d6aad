"""Everyone can use the page: on a phone, in dark mode, by keyboard, with a screen reader, without motion, vectors or scripts."""

import pytest
from browsing import SECONDS, SWUNG, status, train


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


def test_without_motion_the_pendulum_is_a_picture(visit):
    page = visit("one", "#algorithm=HANQ&lr=-1.5&seed=3&steps=2000", reduced_motion="reduce")
    train(page)
    page.wait_for_function(SWUNG)
    assert not page.evaluate("document.querySelector('.hanq-lab').hanqLab.agents[0].pendulum.moving")


def test_without_javascript_a_picture_stands_there(visit):
    page = visit("one", java_script_enabled=False)
    box = page.locator(".hanq-lab img").bounding_box()
    assert box["width"] > 300 and box["height"] > 100


@pytest.mark.parametrize("lost", ["WebAssembly = undefined", "WebAssembly.validate = () => false"])
def test_without_vectors_the_picture_stands_there_and_says_why(visit, lost):
    """As in a browser of before 2023, or one that keeps WebAssembly off; what needs none works on."""
    page = visit("light", before=lost)
    for preset in ("laboratory", "race"):
        root = page.locator(f"[data-preset={preset}]")
        assert "cannot train here: this browser has no WebAssembly with vectors (SIMD)" in root.inner_text()
        assert root.locator("img").bounding_box()["height"] > 100 and root.get_by_role("button").count() == 0
    page.locator("[data-preset=baird]").get_by_role("button", name="Run").click()
    assert "in 1,000 updates" in status(page, "baird")
