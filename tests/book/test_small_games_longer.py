"""Promise: what the chapter Seaquest says of 200,000 steps on MinAtar's Seaquest is what the result files say."""

from pathlib import Path

import numpy as np
import pytest
import sentences

from hanq.reproduction import paper
from hanq.training import scores

RESULTS = Path(__file__).parents[2] / "book" / "results"
LONGER = ("DQN", "HANQ")  # the rows that were trained four times as long


def longer(row):
    return paper.result(f"minatar-Seaquest-{row}-longer", RESULTS).squeeze()


def shorter(row):
    return paper.result(f"minatar-Seaquest-{row}", RESULTS).squeeze()


def late(row):
    """Scores of the agents over the last 50,000 of 200,000 steps, (seed,)."""
    return longer(row).score.sel(gradient_step=slice(150_001, None)).mean("gradient_step")


def gaps():
    """HANQ's score minus DQN's, with intervals, at each evaluation."""
    return scores.interval(longer("HANQ").score - longer("DQN").score)


def averaged():
    """HANQ's score minus DQN's, averaged over all 200,000 steps, with an interval."""
    return scores.interval((longer("HANQ").score - longer("DQN").score).mean("gradient_step"))


def as_text(found):
    return scores.text(found["mean"].item(), found.low.item(), found.high.item())


FACTS = {
    "The first quarter repeats Figure 5, bit for bit": lambda: all(
        np.array_equal(shorter(row).return_, longer(row).return_.sel(gradient_step=slice(50_000))) for row in LONGER
    ),
    "with the same seeds and the same rates, for the 200,000 steps that we had planned": lambda: all(
        (longer(row).sizes["seed"], longer(row).attrs["gradient_steps"]) == (10, 200_000) for row in LONGER
    ),
    "Over the last 50,000 steps both score 26.3 (DQN 23.3 to 29.9, HANQ 16.5 to 37.7)": lambda: (
        [as_text(scores.interval(late(row))) for row in LONGER] == ["26.3 (23.3 to 29.9)", "26.3 (16.5 to 37.7)"]
    ),
    "seed by seed the difference is 0.0 (-13.5 to 13.1)": lambda: (
        as_text(scores.interval(late("DQN") - late("HANQ"))) == "0.0 (-13.5 to 13.1)"
    ),
    "From 60,000 steps on no single evaluation tells them apart": lambda: (
        gaps().gradient_step.values[(gaps().low > 0) | (gaps().high < 0)].max() == 55_000
    ),
    "Averaged over all 200,000 steps HANQ scores 4.6 points less than DQN (15.9 less to 3.5 more)": lambda: (
        as_text(averaged()) == "-4.6 (-15.9 to 3.5)"
    ),
    "In the last quarter eight of the ten score between 19 and 28, one 67, and one, which hardly ever gets a point, −5": lambda: (
        [round(one) for one in np.sort(late("HANQ").values)[[0, 1, 8, 9]]] == [-5, 19, 28, 67]
        and longer("HANQ").return_.mean("gradient_step").min() < 0.05
    ),
    "it rises all the while, to 1.15, a discount of 0.86": lambda: (
        (longer("HANQ").scale.mean("seed")[1:].diff("gradient_step") > 0).all()
        and round(longer("HANQ").scale.mean("seed")[-1].item(), 2) == 1.15
        and round(0.99 / 1.15, 2) == 0.86
    ),
    "over the last 50,000 of 200,000 steps the two score the same. On the other games longer runs were not made": lambda: (
        round(late("DQN").mean().item(), 1) == round(late("HANQ").mean().item(), 1)
    ),
    "Over 200,000 steps DQN and HANQ cannot be told apart either": lambda: averaged().low < 0 < averaged().high,
}


@pytest.mark.parametrize("sentence", FACTS)
def test_a_sentence_on_200_000_steps_is_what_the_result_files_say(sentence):
    sentences.check("seaquest", sentence, FACTS[sentence])
