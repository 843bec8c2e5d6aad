"""Promise: what the chapter *HANQ* says in words is what the result files say in numbers."""

import re

import numpy as np
import pytest
from sentences import BOOK, at_chance, check, finding, gain, hanq, mean, result, row, rows, seeds

from hanq.reproduction import paper
from hanq.training import scores

TARGET = paper.BEST
FULL = {"DQN": "fig3a-DQN", "HANQ": "fig6b-HANQ"}


def curves(name):
    """Mean scores over seeds: (learning_rate, gradient_step)."""
    return result(FULL[name]).score.mean("seed").squeeze()


def best(name):
    """The mean curve at the learning rate with the best average over training."""
    rate = scores.best_of_grid(scores.average_over_training(result(FULL[name]).score))["learning_rate"]
    return curves(name).sel(learning_rate=rate)


def lost(curve):
    """Points between a curve's highest mean and the mean of its last 20,000 steps."""
    return curve.max("gradient_step") - curve.sel(gradient_step=slice(182_000, None)).mean("gradient_step")


def averages():
    return scores.average_over_training(result(FULL["HANQ"]).score).mean("seed").squeeze()


def decades():
    """Logarithm of HANQ's effective learning rate, mean over seeds: (learning_rate, gradient_step)."""
    return np.log10(result(FULL["HANQ"]).effective_learning_rate).mean("seed").squeeze()


def apart(step):
    there = decades().sel(gradient_step=step)
    return (there.max() - there.min()).item()


def rates(step):
    """The effective learning rates of Table 1's HANQ agents at one step, (seed,)."""
    return result(hanq().result).effective_learning_rate.sel(gradient_step=step).squeeze()


def scale():
    return result(FULL["HANQ"]).scale.mean("seed").squeeze()


def at(name, step):
    """Mean score over seeds at one step, at the tuned setting."""
    line = hanq() if name == "HANQ" else row("1", name, TARGET)
    return result(line.result).score.sel(gradient_step=step).mean().item()


def bare():
    """DQN-LN with neither a target network nor a discount of 0.99."""
    return row("9", "DQN-LN", "discount=0.85; target_rate=1")


def grid(name, line):
    """What each seed scored at a table's setting when the whole grid was trained."""
    return scores.average_over_training(result(FULL[name]).score).sel(learning_rate=line.learning_rate, method="nearest").squeeze(drop=True)


def again(name, line):
    """Score of a table's row minus that of the same agents in the grid, seed by seed: [mean, low, high]."""
    found = scores.interval(seeds(line.result) - grid(name, line))
    return [round(found[part].item(), 1) for part in ("mean", "low", "high")]


def microseconds(what):
    """The fused engine's time for an agent's gradient step, from the README's table."""
    return float(re.search(rf"^\| {what}[^|]*\|[^|]*\| ([\d.]+) \|", (BOOK.parent / "README.md").read_text(), flags=re.MULTILINE)[1])


def dqns():
    return rows("1")


def pair():
    return seeds(row("1", "DQN", TARGET).result), seeds(hanq().result)


def worst():
    """The curve of HANQ's worst agent on Pendulum."""
    return result(hanq().result).score.squeeze().isel(seed=int(pair()[1].values.argmin())).values


def last_scale():
    return result(hanq().result).scale.isel(gradient_step=-1).squeeze()


FACTS = {
    "at the first evaluation it is nearly where it will stay": lambda: best("HANQ")[0] > best("HANQ")[-10:].mean() - 8,
    "at every learning rate it keeps what it has reached, whereas DQN, at the three learning rates at which it gets near 100": lambda: (
        (lost(curves("HANQ")) < 8).all()
        and (curves("DQN").max("gradient_step") > 95).sum() == 3
        and (lost(curves("DQN"))[curves("DQN").max("gradient_step") > 95] > 25).all()
    ),
    "DQN-LN with $\\gamma = 0.85$ and no target network averages 77 after its first 2,000 steps and 94 after 10,000": lambda: (
        [round(result(bare().result).score.sel(gradient_step=step).mean().item()) for step in (2_000, 10_000)] == [77, 94]
    ),
    "HANQ averages 99 after the first 2,000, and DQN with its target network at 0.99 averages 4": lambda: (
        [round(at(name, 2_000)) for name in ("HANQ", "DQN")] == [99, 4]
    ),
    "HANQ finds such a discount by itself, and it is still ahead": lambda: (
        scores.interval(
            (result(hanq().result).score.squeeze(drop=True) - result(bare().result).score.squeeze(drop=True)).sel(gradient_step=2_000)
        ).low
        > 0
    ),
    "In our compiled engine such a step takes 1.7 times as long as one of DQN with a target network": lambda: (
        round(microseconds("HANQ with the residual hypergradient") / microseconds("DQN with a target network"), 1) == 1.7
    ),
    "The differences, 0.9 (−0.1 to 2.5) and 2.4 (−1.4 to 8.0) points": lambda: (
        [again("HANQ", hanq()), again("DQN", row("1", "DQN", TARGET))] == [[0.9, -0.1, 2.5], [2.4, -1.4, 8.0]]
    ),
    "HANQ from $10^{-1.5}$ (100.8 and 99.9) and DQN with $\\alpha = 10^{-2.5}$ (80.8 and 78.4)": lambda: (
        [round(mean(hanq().result), 1), round(grid("HANQ", hanq()).mean().item(), 1)] == [100.8, 99.9]
        and [round(pair()[0].mean().item(), 1), round(grid("DQN", row("1", "DQN", TARGET)).mean().item(), 1)] == [80.8, 78.4]
    ),
    "or with data of [more and shorter episodes](open-points.ipynb)": lambda: gain("episode-HANQ-50", "episode-DQN-50")[1] < 0,
    "HANQ learns faster": lambda: best("HANQ")[0] > best("DQN")[0] + 50,
    "or one of $10^{-3}$ and less, costs HANQ nothing in stability and 15 points or more of its score": lambda: (
        averages().max() - averages().where((averages().learning_rate > 0.05) | (averages().learning_rate < 2e-3), drop=True) > 15
    ).all(),
    "Of the three decades between the seven initial rates less than one is left after two thousand steps, and the smallest": lambda: (
        apart(2_000) < 1 < apart(200_000)
        and (decades().sel(gradient_step=2_000) > np.log10(decades().learning_rate)).sel(learning_rate=[1e-4, 1e-3], method="nearest").all()
    ),
    "It is settled in the first few thousand steps": lambda: (np.abs(scale().sel(gradient_step=20_000) - scale()[:, -1]) < 0.03).all(),
    "After some tens of thousands of steps $\\alpha$ is so small that the weights hardly move": lambda: (
        decades().sel(gradient_step=50_000, learning_rate=10**-1.5, method="nearest") < -6
    ),
    "HANQ's mean is the highest of the seven, and its interval overlaps the paper's": lambda: (
        len(dqns()) == 6 and (dqns().ours_mean < hanq().ours_mean).all() and hanq().overlap == "yes"
    ),
    "That HANQ matches or outscores DQN on Pendulum, as the paper's abstract says, holds": lambda: (
        finding("On Pendulum, HANQ matches or outscores DQN").verdict == "holds"
    ),
    "that HANQ is above *all six* DQNs of the table, stays undecided: DQN with a target network is twenty points lower": lambda: (
        finding("On Pendulum, HANQ is above all six DQNs").verdict == "undecided"
        and round(finding("On Pendulum, HANQ is above all six DQNs").mean[0]) == 20
        and finding("On Pendulum, HANQ is above all six DQNs").mean == finding("On Pendulum, HANQ matches or outscores DQN").mean
    ),
    "Stopped after 20,000 steps, DQN is as good as HANQ; the means of all three DQNs are even two or three points higher": lambda: all(
        1.5 < at(name, 20_000) - at("HANQ", 20_000) < 3.5 for name in ("DQN", "DQN-LN", "DQN-l2N")
    ),
    "0.99 divided by an agent's mean scale is 0.79 on average over the agents, and between 0.75 and 0.84 for each": lambda: (
        [round(0.99 / scale.item(), 2) for part in ("mean", "max", "min") for scale in [getattr(last_scale(), part)()]]
        == [0.79, 0.75, 0.84]
    ),
    "from Gymnasium's starts HANQ scores 88.5, less than the paper says, and is first there too": lambda: (
        round(mean("starts-" + hanq().result), 1) == 88.5
        and scores.interval(seeds("starts-" + hanq().result)).high.item() < hanq().paper_low
        and max(mean("starts-" + name) for name in dqns().result) < 88.5
    ),
    "At 40,000 steps DQN has already lost fifteen points": lambda: round(at("DQN", 20_000) - at("DQN", 40_000)) == 15,
    "At the very last evaluation one of HANQ's thirty agents scores below 50, and six of DQN's do": lambda: (
        [int((result(one.result).score.sel(gradient_step=200_000) < 50).sum()) for one in (hanq(), row("1", "DQN", TARGET))] == [1, 6]
    ),
    "no HANQ agent averages less than 50": lambda: pair()[1].min() > 50,
    "One comes close: it is poor throughout, with evaluations, of ten episodes each, between 14 and 92, and averages 56": lambda: (
        (round(pair()[1].min().item()), worst().min().round(), worst().max().round()) == (56, 14, 92)
        and worst()[:10].max() > 80 < worst()[-20:].max()
        and worst()[-20:].min() < 30
    ),
    "it hardly matters when one stops": lambda: abs(at("HANQ", 20_000) - at("HANQ", 200_000)) < 5,
    "none of the DQNs can be told apart from random actions, in the paper's runs or in ours": lambda: all(
        at_chance(line) and line.paper_low <= 30.6 for line in dqns()[dqns().setting == "target_rate=1"].itertuples()
    ),
    "HANQ leads DQN with a target network by about twenty points on average": lambda: (
        17 < gain(hanq().result, row("1", "DQN", TARGET).result)[0] < 23
    ),
    "With the typical seed both are excellent. With a handful of seeds DQN fails, and HANQ with none": lambda: (
        min(one.median() for one in pair()) > 95 and 4 <= (pair()[0] < 50).sum() <= 8 and (pair()[1] < 50).sum() == 0
    ),
    "all thirty agents have come down to between $10^{-5.4}$ and $10^{-4.8}$ after 20,000 steps": lambda: (
        [round(np.log10(one).item(), 1) for one in (rates(20_000).min(), rates(20_000).max())] == [-5.4, -4.8]
    ),
    "With the typical seed it is ahead by only a few points": lambda: 1 < pair()[1].median() - pair()[0].median() < 4,
    "DQN also catches up, or nearly, with a smaller discount [tuned by hand](ablations.ipynb)": lambda: (
        rows("9").ours_mean.max() > hanq().ours_low
    ),
}


@pytest.mark.parametrize("sentence", FACTS)
def test_a_sentence_of_the_chapter_is_what_the_result_files_say(sentence):
    check("hanq", sentence, FACTS[sentence])
