"""Promise: what the chapter Seaquest says of MinAtar's games is what their result files say."""

from pathlib import Path

import numpy as np
import pytest
import sentences

import hanq
from hanq.data.foundations.records import load
from hanq.data.minatar import GAMES
from hanq.reproduction import ledger, minatar, paper
from hanq.training import scores

RESULTS = Path(__file__).parents[2] / "book" / "results"
SMALL = ("DQN", "DQN-LN", "HANQ", "HANQ-without-metapredictor")


OTHERS = ("Asterix", "Breakout", "SpaceInvaders")


def small(row, game="Seaquest"):
    return paper.result(f"minatar-{game}-{row}", RESULTS).squeeze()


def returns(row, game="Seaquest"):
    return small(row, game).return_.mean("seed")


def between(one, other, step=None, game="Seaquest"):
    """[mean, low, high] of one row of a small game minus another, averaged over training or at one step."""
    if step is None:
        found = scores.interval(paper.seed_scores(f"minatar-{game}-{one}", RESULTS) - paper.seed_scores(f"minatar-{game}-{other}", RESULTS))
    else:
        found = scores.interval((small(one, game).score - small(other, game).score).sel(gradient_step=step))
    return [found[part].item() for part in ("mean", "low", "high")]


def searched(game, learning_rate):
    """HANQ's mean score on a game's search seeds at a learning rate."""
    trials = load(RESULTS / "minatar" / f"{game}-HANQ-tuning.nc")
    return round(trials.score[np.isclose(trials.learning_rate, learning_rate, rtol=1e-3)].mean().item(), 1)


def alone(row):
    """The mean, low and high of one row of Seaquest in small, averaged over training."""
    found = scores.interval(paper.seed_scores(f"minatar-Seaquest-{row}", RESULTS))
    return found["mean"], found.low, found.high


def as_text(found):
    """The mean, low and high of a score as the chapter writes them."""
    return scores.text(*map(float, found))


def told_apart(one, other, step=None, game="Seaquest"):
    _, low, high = between(one, other, step, game)
    return low > 0 or high < 0


def ahead(game, step=None):
    """Who is ahead on a game, so clearly that the interval of the difference leaves out 0, or None."""
    _, low, high = between("HANQ", "DQN", step, game)
    return "HANQ" if low > 0 else "DQN" if high < 0 else None


FACTS = {
    "for 50,000 gradient steps and with ten seeds": lambda: all(
        (small(row).sizes["seed"], small(row).attrs["gradient_steps"]) == (10, 50_000) for row in SMALL
    ),
    "were searched over the same number of steps on three other seeds": lambda: (
        (range(100, 103), 50_000, 5_000) == minatar.SEARCH and minatar.REPORT.seeds == range(10)
    ),
    "DQN scores 51 and HANQ 29": lambda: [round(small(row).score.mean().item()) for row in ("DQN", "HANQ")] == [51, 29],
    "DQN with its target network scores 51.3, and HANQ 22.4 points less, seed by seed (12.1 to 36.4)": lambda: (
        round(small("DQN").score.mean().item(), 1) == 51.3 and [round(part, 1) for part in between("DQN", "HANQ")] == [22.4, 12.1, 36.4]
    ),
    "At the first evaluation the two are level. Then DQN's return doubles while HANQ's stays where it is": lambda: (
        not told_apart("DQN", "HANQ", 5_000)
        and 1.8 < (returns("DQN")[1] / returns("DQN")[0]) < 2.2
        and returns("HANQ").max() < 1.15 * returns("HANQ")[0]
    ),
    "at the last three evaluations the two can no longer be told apart": lambda: (
        [step for step in small("DQN").gradient_step.values if not told_apart("DQN", "HANQ", step)][-3:] == [40_000, 45_000, 50_000]
    ),
    "which comes last in the paper, there is no clear difference, and none between HANQ and HANQ without its metapredictor": lambda: (
        not told_apart("DQN-LN", "HANQ")
        and not told_apart("HANQ-without-metapredictor", "HANQ")
        and min(ledger.compare(RESULTS).query("table == '5'").itertuples(), key=lambda line: line.paper_mean).algorithm == "DQN-LN"
    ),
    "At a learning rate of $10^{-5}$ that scores 33.5 (27.7 to 39.1): 17.7 points less than with a target network (9.9 to 25.7)": lambda: (
        small("DQN-no-target-network").learning_rate.item() == pytest.approx(1e-5)
        and [round(part, 1) for part in between("DQN", "DQN-no-target-network")] == [17.7, 9.9, 25.7]
        and as_text(alone("DQN-no-target-network")) == "33.5 (27.7 to 39.1)"
    ),
    "and not to be told apart from HANQ or DQN-LN": lambda: not any(told_apart("DQN-no-target-network", row) for row in ("HANQ", "DQN-LN")),
    "at $\\kappa = 0$ none of the ways that we tried to do without a target network is clearly better here than plain DQN": lambda: all(
        between("DQN-no-target-network", row)[2] > 0 for row in SMALL[1:]
    ),
    "At $\\kappa = 0.1$, with its initial learning rate searched again, HANQ scores 37.5 (31.5 to 44.0)": lambda: (
        small("HANQ-hypergradient").hyper_lr.item() == pytest.approx(0.1) and as_text(alone("HANQ-hypergradient")) == "37.5 (31.5 to 44.0)"
    ),
    "That is 8.6 points more than with $\\kappa = 0$ (-2.8 to 22.2), which ten seeds cannot tell from zero": lambda: (
        as_text(between("HANQ-hypergradient", "HANQ")) == "8.6 (-2.8 to 22.2)"
    ),
    "and 13.7 points less than DQN (6.5 to 20.5)": lambda: as_text(between("DQN", "HANQ-hypergradient")) == "13.7 (6.5 to 20.5)",
    "the mean scale stays between 1 and 1.06, but 1.06 already means a discount of 0.93, a horizon of some 15 steps": lambda: (
        small("HANQ").scale.mean("seed").round(2).min() >= 1
        and round(small("HANQ").scale.mean("seed").max().item(), 2) == 1.06
        and round(0.99 / 1.06, 2) == 0.93
        and round(1 / (1 - 0.99 / 1.06)) == 15
    ),
    "HANQ without its metapredictor, though, is clearly below both DQN-LN and this DQN": lambda: all(
        between("HANQ-without-metapredictor", row)[2] < 0 for row in ("DQN-LN", "DQN-no-target-network")
    ),
    "three search seeds gave HANQ one that is ten times smaller than DQN's and thirty times smaller than DQN-LN's": lambda: (
        9 < small("DQN").learning_rate.item() / small("HANQ").learning_rate.item() < 11
        and 29 < small("DQN-LN").learning_rate.item() / small("HANQ").learning_rate.item() < 33
    ),
    "Learning rates ($10^{-2.5}$, $10^{-3}$, $10^{-3.5}$, and beyond where the best was at an end), and DQN's target rate": lambda: (
        np.log10(minatar.LEARNING_RATES).tolist() == [-2.5, -3, -3.5]
    ),
    "DQN with its target network is clearly ahead of HANQ, and HANQ and DQN-LN cannot be told apart": lambda: (
        told_apart("DQN", "HANQ") and not told_apart("DQN-LN", "HANQ")
    ),
}

FACTS |= {
    "DQN is clearly ahead on three, and on Asterix the two cannot be told apart": lambda: (
        [ahead(game) for game in ("Seaquest", *OTHERS)] == ["DQN", None, "DQN", "DQN"]
    ),
    "On each of these three, DQN with its target network and HANQ were trained as on Seaquest": lambda: all(
        (small(row, game).sizes["seed"], small(row, game).attrs["gradient_steps"], small(row, game).hyper_lr.item()) == (10, 50_000, 0)
        for row in ("DQN", "HANQ")
        for game in OTHERS
    ),
    "a preliminary run with two seeds made up to 22 crossings, where random play makes 0.28": lambda: (
        load(RESULTS / "minatar" / "scale-Freeway.nc").sizes["seed"] == 2
        and (GAMES["MinAtar/Freeway-v1"].low_return, round(GAMES["MinAtar/Freeway-v1"].high_return)) == (0.28, 22)
    ),
    "The other rows of Table 5 were trained on Seaquest alone": lambda: (
        {path.stem for path in (RESULTS / "minatar").glob("*.nc") if path.stem[:5] not in ("Seaqu", "scale")}
        == {f"{game}-{row}{kind}" for game in OTHERS for row in ("DQN", "HANQ") for kind in ("", "-tuning")}
    ),
    "ahead on Seaquest by 22.4 points, on Breakout by 7.4 (2.7 to 12.0) and on Space Invaders by 29.2 (24.4 to 34.2)": lambda: (
        [as_text(between("DQN", "HANQ", game=game)) for game in ("Seaquest", "Breakout", "SpaceInvaders")]
        == ["22.4 (12.1 to 36.4)", "7.4 (2.7 to 12.0)", "29.2 (24.4 to 34.2)"]
    ),
    "0.1 and 1.2 on Seaquest, 0.48 and 5.6 on Asterix, 0.39 and 5.65 on Breakout, and 4.11 and 30.1 on Space Invaders": lambda: (
        [(GAMES[f"MinAtar/{game}-v1"].low_return, GAMES[f"MinAtar/{game}-v1"].high_return) for game in ("Seaquest", *OTHERS)]
        == [(0.1, 1.2), (0.48, 5.6), (0.39, 5.65), (4.11, 30.1)]
    ),
    "On Asterix HANQ scores 1.9 points less (15.9 less to 11.2 more)": lambda: (
        as_text(between("HANQ", "DQN", game="Asterix")) == "-1.9 (-15.9 to 11.2)"
    ),
    "ahead on Asterix, by 28.7 points (11.3 to 47.5), and on Space Invaders, by 29.7 (17.7 to 39.3), and nowhere clearly behind": lambda: (
        [ahead(game, 5_000) for game in ("Seaquest", *OTHERS)] == [None, "HANQ", None, "HANQ"]
        and [as_text(between("HANQ", "DQN", 5_000, game)) for game in ("Asterix", "SpaceInvaders")]
        == ["28.7 (11.3 to 47.5)", "29.7 (17.7 to 39.3)"]
    ),
    "After 5,000 steps HANQ was ahead on two of the four and clearly behind on none": lambda: (
        sorted(str(ahead(game, 5_000)) for game in ("Seaquest", *OTHERS)) == ["HANQ", "HANQ", "None", "None"]
    ),
    "HANQ scored 15.5 instead of 33.0 on the three search seeds of Seaquest, and 51.8 instead of 60.0 on those of Space Invaders": lambda: (
        [searched(game, small(row, game).learning_rate.item()) for game in ("Seaquest", "SpaceInvaders") for row in ("DQN", "HANQ")]
        == [15.5, 33.0, 51.8, 60.0]
    ),
    "The third holds for all four games alike, none of which has a negative reward": lambda: all(
        hanq.collect(f"MinAtar/{game}-v1", [0], size=2_000).rewards.min() >= 0 for game in ("Seaquest", *OTHERS)
    ),
    "The two large gaps, on Seaquest and Space Invaders, are where HANQ's learning rate is smaller than DQN's": lambda: all(
        (small("HANQ", game).learning_rate.item() < 0.9 * small("DQN", game).learning_rate.item())
        == (between("DQN", "HANQ", game=game)[0] > 20)
        == (game in ("Seaquest", "SpaceInvaders"))
        for game in ("Seaquest", *OTHERS)
    ),
    "expected DQN to fall by a quarter from its best return on two of the three, as on Seaquest; it did so on Asterix alone": lambda: (
        [returns("DQN", game)[-1] < 0.75 * returns("DQN", game).max() for game in ("Seaquest", *OTHERS)] == [True, True, False, False]
    ),
    "Afterwards it stays about where it is, except on Asterix, where both rise and fall again": lambda: (
        all(
            (returns("HANQ", game).max() < 1.25 * returns("HANQ", game)[0] and returns("HANQ", game).min() > 0.6 * returns("HANQ", game)[0])
            == (game != "Asterix")
            for game in ("Seaquest", *OTHERS)
        )
        and all(
            returns(row, "Asterix").max() > 1.3 * max(returns(row, "Asterix")[0], returns(row, "Asterix")[-1]) for row in ("DQN", "HANQ")
        )
    ),
    "On Space Invaders DQN climbs to 30, while HANQ stays between 16 and 19": lambda: (
        round(returns("DQN", "SpaceInvaders").max().item()) == 30
        and [round(part.item()) for part in (returns("HANQ", "SpaceInvaders").min(), returns("HANQ", "SpaceInvaders").max())] == [16, 19]
    ),
    "The learning rate does not, for the search gave both the same": lambda: (
        small("DQN", "Breakout").learning_rate.item() == small("HANQ", "Breakout").learning_rate.item()
    ),
    "HANQ's mean scale sinks to 0.82 there, which taken by itself would be a discount of 1.2": lambda: (
        round(small("HANQ", "Breakout").scale.mean("seed")[-1].item(), 2) == 0.82 and round(0.99 / 0.82, 1) == 1.2
    ),
    "though its return does not collapse": lambda: returns("HANQ", "Breakout").min() > 0.9 * returns("HANQ", "Breakout")[0],
    "Of the three other small games, HANQ is behind DQN on two and cannot be told apart from it on one": lambda: (
        sorted(map(str, map(ahead, OTHERS))) == ["DQN", "DQN", "None"]
    ),
    "on three of four small games, Seaquest among them, and on the fourth the two cannot be told apart": lambda: (
        [ahead(game) for game in ("Seaquest", *OTHERS)].count("DQN") == 3
    ),
}


@pytest.mark.parametrize("sentence", FACTS)
def test_a_sentence_on_seaquest_in_small_is_what_the_result_files_say(sentence):
    sentences.check("seaquest", sentence, FACTS[sentence])


def test_what_the_introduction_says_of_it():
    sentence = "DQN with its target network is ahead of HANQ over the first 50,000 steps, as it is on two of three other small games"
    sentences.check("intro", sentence, lambda: ahead("Seaquest") == "DQN" and [*map(ahead, OTHERS)].count("DQN") == 2)
