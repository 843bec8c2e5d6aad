"""What the tests of the page share: its presets, and how a reader's hand is moved."""

import runpy
from pathlib import Path

BOOK = Path(__file__).parents[2] / "book"
LAB, LAB_PAGE = (runpy.run_path(BOOK / "_ext" / f"{name}.py") for name in ("lab", "lab_page"))
PRESETS = ("laboratory", "race", "collapse", "asymmetry", "normalization", "hypergradients", "baird", "corridor", "evidence")
SECONDS = 240_000  # the longest wait, in milliseconds: the machine may be busy
SWUNG = "document.querySelector('.hanq-lab-pendulum').getAttribute('aria-label').includes('upright')"  # the first agent's, as a condition


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
