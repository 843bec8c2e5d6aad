"""Promise: the summary says what the result files and the ledger say, and fits on two pages."""

import re

import pytest
from sentences import BOOK, FOLDER, at_chance, found, gain, hanq, result, row, seeds

from hanq.data.collection import collect
from hanq.reproduction import claimed, overview, paper
from hanq.training import scores

TEXT = (BOOK / "summary.md").read_text()
PLAIN = re.sub(r"\s+", " ", TEXT)
PAGE = BOOK.parent / "_build" / "html" / "book" / "summary.html"


def dqn(setting=paper.BEST):
    return row("1", "DQN", setting)


def agreeing():
    lines = overview.distinct(found())
    return list(lines[lines.overlap == "yes"].itertuples())


def clear():
    """How many results overlap although the interval of the difference excludes zero."""
    return sum(low > 0 or high < 0 for _, low, high in map(overview.difference, agreeing()))


def level(which):
    """HANQ's best mean score on Pendulum with its rewards moved."""
    averaged = scores.average_over_training(result(f"beyond-Pendulum-HANQ-level-{which}").score)
    return averaged.sel(scores.best_of_grid(averaged)).mean().item()


FACTS = {
    "Of all 89 scores on classic control that could be compared, 79 have an interval that overlaps the paper's": lambda: (
        len(overview.distinct(found())) == 89 and (overview.distinct(found()).overlap == "yes").sum() == 79
    ),
    "of these, 16 are at chance and 8 differ clearly nevertheless": lambda: (sum(map(at_chance, agreeing())), clear()) == (16, 8),
    "with 20 short episodes instead of 5, DQN is level with HANQ": lambda: gain("episode-HANQ-50", "episode-DQN-50")[1] < 0,
    "both DQNs at $10^{-2.5}$ (the table has each at its own)": lambda: (
        dqn().learning_rate == pytest.approx(10**-2.5) and dqn("target_rate=1").learning_rate != pytest.approx(10**-2.5)
    ),
    "DQN scores below 50 on Pendulum with 6 of 30 seeds and HANQ with none": lambda: (
        ((seeds(dqn().result) < 50).sum(), (seeds(hanq().result) < 50).sum()) == (6, 0)
    ),
    "with the typical seed HANQ is a few points ahead": lambda: 1 < (seeds(hanq().result) - seeds(dqn().result)).median() < 4,
    "Stopped after 20,000 steps, DQN is as good as HANQ": lambda: (
        result(dqn().result).score.sel(gradient_step=20_000).mean() > result(hanq().result).score.sel(gradient_step=20_000).mean()
    ),
    "DQN-LN with a target network and a discount of 0.9 comes as high as HANQ: they differ by 0.5 points (−3.4 to 3.7)": lambda: (
        [round(one, 1) for one in gain(hanq().result, row("9", "DQN-LN", "discount=0.9; target_rate=1e-3").result)] == [0.5, -3.4, 3.7]
    ),
    "HANQ scores about 0 with 5 of 30 seeds (1 of 30 at another rate), and 25 of the 30 datasets never show the goal": lambda: (
        (seeds(hanq("Acrobot").result) < 10).sum() == 5 and (collect("Acrobot", range(30)).terminated.sum(1) == 0).sum() == 25
    ),
    "HANQ falls from 101 to 26, 17 or 11": lambda: [round(level(which)) for which in ("1.0", "0.0", "2.0", "-1.0")] == [101, 26, 17, 11],
    "The paper prints a plain step for $\\alpha$; it works as well, with $\\kappa = 10^{-6}$": lambda: (
        gain("hyper-HANQ-plain", "default-HANQ")[1] < 0 < gain("hyper-HANQ-plain", "default-HANQ")[2]
        and result("hyper-HANQ-plain").hyper_lr.item() == pytest.approx(1e-6)
    ),
    "from Gymnasium's own starts HANQ scores 88.5": lambda: round(seeds("starts-" + hanq().result).mean().item(), 1) == 88.5,
}


@pytest.mark.parametrize("sentence", FACTS)
def test_a_sentence_of_the_summary_is_what_the_result_files_say(sentence):
    assert sentence in PLAIN, "the summary no longer says this: take it off the list, or write it as the summary does"
    assert FACTS[sentence](), "the results no longer say this: rewrite it in book/summary.md"


def test_the_table_has_the_ledgers_numbers():
    shown = re.findall(r"^\| (?:\*\*(\w+):\*\* )?(.+?) \| (.+?) \| (.+?) \|$", TEXT, flags=re.MULTILINE)[1:]  # without the heading
    assert len(shown) == 9
    place = ""
    for environment, label, ours, papers in shown:
        place = environment or place  # of the row above, where a row names none
        (line,) = [one for one in found().itertuples() if (one.table, one.environment, one.label) == ("1", place, label)]
        assert ours == scores.text(line.ours_mean, line.ours_low, line.ours_high)
        assert papers == scores.text(line.paper_mean, line.paper_low, line.paper_high)


def test_every_claim_stands_under_its_verdict():
    parts = re.split(r"^\*\*(Hold|Undecided|Not run at full size): (\d+)\*\*$", TEXT.split("## Limits")[0], flags=re.MULTILINE)[1:]
    verdicts = {"Hold": "holds", "Undecided": "undecided", "Not run at full size": "not run"}
    shown = {}
    for name, count, listed in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        shown |= dict.fromkeys(re.findall(r"^- (.+?)(?: \([+−]\))?$", listed, flags=re.MULTILINE), verdicts[name])
        assert int(count) == len(re.findall(r"^- ", listed, flags=re.MULTILINE))
    assert shown == {one.claim.text: one.verdict for one in claimed.findings(FOLDER)}


def test_an_undecided_claim_that_leans_is_marked():
    signs = {"for": "+", "against": "−", "": ""}
    for one in claimed.findings(FOLDER):
        assert f"- {one.claim.text}{f' ({signs[one.leans]})' * bool(one.leans)}\n" in TEXT


def test_it_prints_on_exactly_two_pages(browser):
    if not PAGE.exists():
        pytest.skip("the site is not built: make book")
    page = browser.new_page()
    page.goto(PAGE.as_uri())
    page.wait_for_selector("mjx-container", state="attached")
    printed = page.pdf(prefer_css_page_size=True)
    page.close()
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", printed)) == 2
