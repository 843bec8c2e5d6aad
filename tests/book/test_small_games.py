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


OTHERS = ("Asterix", "Breakout", "SpaceInvaders", "Freeway")


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


def chosen_on_freeway():
    """Whether DQN's choice has the highest mean on the search seeds, 49.7 at a rate of 10^-2.5, but not the highest median."""
    by_point = load(RESULTS / "minatar" / "Freeway-DQN-tuning.nc").to_dataframe().groupby(["learning_rate", "target_rate"]).score
    (rate, _), medians = by_point.mean().idxmax(), by_point.median()
    return (
        rate == pytest.approx(10**-2.5)
        and round(by_point.mean().max(), 1) == 49.7
        and by_point.mean().idxmax() != medians.idxmax()
        and small("DQN", "Freeway").learning_rate.item() == pytest.approx(rate)
    )


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
    "by the end the mean scale has risen to 1.06, and that means a discount of 0.93, a horizon of some 15 steps instead of 100": lambda: (
        small("HANQ").scale.mean("seed").max() == small("HANQ").scale.mean("seed")[-1]
        and round(small("HANQ").scale.mean("seed")[-1].item(), 2) == 1.06
        and round(0.99 / 1.06, 2) == 0.93
        and round(1 / (1 - 0.99 / 1.06)) == 15
    ),
    "Up to 20,000 steps, though, while DQN pulls away, it stays within 2% of 1": lambda: (
        abs(small("HANQ").scale.mean("seed").sel(gradient_step=slice(20_000)) - 1).max() < 0.02 and told_apart("DQN", "HANQ", 20_000)
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
    "DQN is clearly ahead on four, and on Asterix the two cannot be told apart": lambda: (
        [ahead(game) for game in ("Seaquest", *OTHERS)] == ["DQN", None, "DQN", "DQN", "DQN"]
    ),
    "On each of these four, DQN with its target network and HANQ were trained as on Seaquest": lambda: all(
        (small(row, game).sizes["seed"], small(row, game).attrs["gradient_steps"], small(row, game).hyper_lr.item()) == (10, 50_000, 0)
        for row in ("DQN", "HANQ")
        for game in OTHERS
    ),
    "On Freeway, where random play makes 0.28 crossings a game": lambda: GAMES["MinAtar/Freeway-v1"].low_return == 0.28,
    "it makes 22.7 crossings a game and HANQ 5.3, but by the time that it has trained for 40,000 it makes fewer than one": (
        lambda: (
            [round(returns(row, "Freeway")[0].item(), 1) for row in ("DQN", "HANQ")] == [22.7, 5.3]
            and returns("DQN", "Freeway").sel(gradient_step=40_000) < 1
        )
    ),
    "From 15,000 steps on the two cannot be told apart, except at 45,000, where HANQ is ahead": lambda: (
        [ahead("Freeway", step) for step in range(5_000, 55_000, 5_000)] == ["DQN"] * 2 + [None] * 6 + ["HANQ", None]
    ),
    "a learning rate of $10^{-2.5}$ best for DQN, mostly because of one of its three seeds; on those seeds that rate scored 49.7": (
        chosen_on_freeway
    ),
    "on the ten of the report 30.2": lambda: round(small("DQN", "Freeway").score.mean().item(), 1) == 30.2,
    "The other rows of Table 5 were trained on Seaquest alone": lambda: (
        {path.stem for path in (RESULTS / "minatar").glob("*.nc") if path.stem[:5] not in ("Seaqu", "scale")}
        == {f"{game}-{row}{kind}" for game in OTHERS for row in ("DQN", "HANQ") for kind in ("", "-tuning")}
    ),
    "on Breakout by 7.4 (2.7 to 12.0), on Space Invaders by 29.2 (24.4 to 34.2) and on Freeway by 14.1 (3.3 to 27.3)": lambda: (
        [as_text(between("DQN", "HANQ", game=game)) for game in ("Breakout", "SpaceInvaders", "Freeway")]
        == ["7.4 (2.7 to 12.0)", "29.2 (24.4 to 34.2)", "14.1 (3.3 to 27.3)"]
    ),
    "DQN is ahead on Seaquest by 22.4 points": lambda: round(between("DQN", "HANQ")[0], 1) == 22.4,
    "0.48 and 5.6 on Asterix, 0.39 and 5.65 on Breakout, 4.11 and 30.1 on Space Invaders, and 0.28 and 22.3 on Freeway": lambda: (
        [(GAMES[f"MinAtar/{game}-v1"].low_return, GAMES[f"MinAtar/{game}-v1"].high_return) for game in OTHERS]
        == [(0.48, 5.6), (0.39, 5.65), (4.11, 30.1), (0.28, 22.3)]
    ),
    "The mean returns that score 0 and 100 are 0.1 and 1.2 on Seaquest": lambda: (
        (GAMES["MinAtar/Seaquest-v1"].low_return, GAMES["MinAtar/Seaquest-v1"].high_return) == (0.1, 1.2)
    ),
    "On Asterix HANQ scores 1.9 points less (15.9 less to 11.2 more)": lambda: (
        as_text(between("HANQ", "DQN", game="Asterix")) == "-1.9 (-15.9 to 11.2)"
    ),
    "by 28.7 points (11.3 to 47.5), and on Space Invaders, by 29.7 (17.7 to 39.3); it is clearly behind on Freeway alone": lambda: (
        [ahead(game, 5_000) for game in ("Seaquest", *OTHERS)] == [None, "HANQ", None, "HANQ", "DQN"]
        and [as_text(between("HANQ", "DQN", 5_000, game)) for game in ("Asterix", "SpaceInvaders")]
        == ["28.7 (11.3 to 47.5)", "29.7 (17.7 to 39.3)"]
    ),
    "After 5,000 steps HANQ was ahead on two of the five and clearly behind on one": lambda: (
        sorted(str(ahead(game, 5_000)) for game in ("Seaquest", *OTHERS)) == ["DQN", "HANQ", "HANQ", "None", "None"]
    ),
    "at DQN's rate HANQ scored 15.5 instead of 33.0 on the three search seeds of Seaquest, 51.8 instead of 60.0": lambda: (
        [searched(game, small(row, game).learning_rate.item()) for game in ("Seaquest", "SpaceInvaders") for row in ("DQN", "HANQ")]
        == [15.5, 33.0, 51.8, 60.0]
    ),
    "on those of Space Invaders, and 15.5 instead of 16.9 on those of Freeway": lambda: (
        [searched("Freeway", small(row, "Freeway").learning_rate.item()) for row in ("DQN", "HANQ")] == [15.5, 16.9]
    ),
    "The third holds for all five games alike, none of which has a negative reward": lambda: all(
        hanq.collect(f"MinAtar/{game}-v1", [0], size=2_000).rewards.min() >= 0 for game in ("Seaquest", *OTHERS)
    ),
    "The three largest gaps, on Seaquest, Space Invaders and Freeway, are where HANQ's learning rate is smaller than DQN's": lambda: all(
        (small("HANQ", game).learning_rate.item() < 0.9 * small("DQN", game).learning_rate.item())
        == (between("DQN", "HANQ", game=game)[0] > 10)
        == (game in ("Seaquest", "SpaceInvaders", "Freeway"))
        for game in ("Seaquest", *OTHERS)
    ),
    "on two of the first three, as on Seaquest; of these it did so on Asterix alone, but it did on Freeway as well": lambda: (
        [returns("DQN", game)[-1] < 0.75 * returns("DQN", game).max() for game in ("Seaquest", *OTHERS)] == [True, True, False, False, True]
    ),
    "it stays about where it is on three of the five games, while on Asterix both rise and fall again, and on Freeway both fall": lambda: (
        all(
            (returns("HANQ", game).max() < 1.25 * returns("HANQ", game)[0] and returns("HANQ", game).min() > 0.6 * returns("HANQ", game)[0])
            == (game not in ("Asterix", "Freeway"))
            for game in ("Seaquest", *OTHERS)
        )
        and all(
            returns(row, "Asterix").max() > 1.3 * max(returns(row, "Asterix")[0], returns(row, "Asterix")[-1])
            and returns(row, "Freeway")[-1] < 0.2 * returns(row, "Freeway")[0]
            for row in ("DQN", "HANQ")
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
    "Of the four other small games, HANQ is behind DQN on three and cannot be told apart from it on one": lambda: (
        sorted(map(str, map(ahead, OTHERS))) == ["DQN", "DQN", "DQN", "None"]
    ),
    "on four of five small games, Seaquest among them, and on the fifth the two cannot be told apart": lambda: (
        [ahead(game) for game in ("Seaquest", *OTHERS)].count("DQN") == 4
    ),
}


@pytest.mark.parametrize("sentence", FACTS)
def test_a_sentence_on_seaquest_in_small_is_what_the_result_files_say(sentence):
    sentences.check("seaquest", sentence, FACTS[sentence])


def test_what_the_introduction_says_of_it():
    sentence = (
        "DQN with its target network is ahead of HANQ over the first 50,000 steps, as it is on three of four other small games; "
        "on Seaquest the two are level by 200,000 steps"
    )
    sentences.check("intro", sentence, lambda: ahead("Seaquest") == "DQN" and [*map(ahead, OTHERS)].count("DQN") == 3)
