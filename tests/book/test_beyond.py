"""Promise: what the chapter *Beyond the paper* says in words is what the result files say in numbers."""

from functools import cache

import numpy as np
import pytest
from sentences import check, found, result, row, seeds

from hanq.data.collection import collect
from hanq.reproduction import variations
from hanq.training import scores

LEVELS = ("1.0", "0.0", "-1.0")


def averaged(name, discount=0.99):
    return scores.average_over_training(result(f"beyond-{name}").score.sel(discount=discount)).squeeze()


def at(name, rate, discount=0.99):
    """Score at one first rate, given as its power of ten: (mean, low, high)."""
    ours = scores.interval(averaged(name, discount).sel(learning_rate=10**rate))
    return ours["mean"].item(), ours.low.item(), ours.high.item()


def best_rate(name, discount=0.99):
    return float(np.log10(scores.best_of_grid(averaged(name, discount))["learning_rate"]))


def best(name, discount=0.99):
    return at(name, best_rate(name, discount), discount)


def levels(name):
    return [best(f"Pendulum-{name}-level-{level}") for level in LEVELS]


def without(discount=0.99):
    return best("CartPole-wo-any-predictor", discount)


def own_discount():
    """HANQ's mean implied discount on CartPole at the end."""
    scale = result("beyond-CartPole-HANQ").scale.sel(learning_rate=10 ** best_rate("CartPole-HANQ")).isel(gradient_step=-1)
    return 0.99 / scale.mean().item()


def table1(name, setting, environment):
    return row("1", name, setting, environment)


def dqn():
    line = table1("DQN", "best target_rate in 1e0..1e-4", "CartPole")
    return line.ours_mean, line.ours_low, line.ours_high


@cache
def blind():
    """Which of the seeds 0 to 29 have Acrobot data without a success."""
    return collect("Acrobot", range(30)).terminated.sum(1) == 0


def swings_up(name, setting):
    """On how many of these seeds an algorithm of Table 1 reaches the goal."""
    return int((seeds(table1(name, setting, "Acrobot").result).values[blind()] > 50).sum())


def acrobot_rows():
    lines = found()[(found().table == "1") & (found().environment == "Acrobot")]
    return list(zip(lines.algorithm, lines.setting, strict=True))


FACTS = {
    "DQN does not notice; HANQ stops learning": lambda: (
        max(mean for mean, _, _ in levels("DQN")) - min(mean for mean, _, _ in levels("DQN")) < 4
        and levels("HANQ")[0][1] > 90
        and levels("HANQ")[1][2] < 30.6  # random actions
        and levels("HANQ")[2][2] < 15
    ),
    "takes its score on Pendulum from 101 to 11": lambda: [round(levels("HANQ")[place][0]) for place in (0, 2)] == [101, 11],
    "A plain short discount does nearly all the damage that HANQ's predictor does": lambda: (
        without()[1] > without(0.8)[2] + 15 and without(0.8)[0] - best("CartPole-HANQ")[0] < 5
    ),
    "HANQ has made itself short-sighted": lambda: 0.74 < own_discount() < 0.8,
    "one number each for scale and bias, the same in all states, is worth some points": lambda: (
        best("CartPole-HANQ")[2] < best("CartPole-wo-metapredictor")[1]
    ),
    "no predictor at all is worth many more": lambda: without()[1] > best("CartPole-wo-metapredictor")[2] + 10,
    "a first rate of $10^{-1.5}$ it stands at 46.9 after 20,000 steps": lambda: (
        round(at("CartPole-wo-any-predictor", -1.5)[0], 1) == 46.9
        and best_rate("CartPole-wo-any-predictor") == -1.5
        and result("beyond-CartPole-wo-any-predictor").gradient_step.values[-1] == 20_000
    ),
    "DQN with a tuned target network has 48.4 in our Table 1, after ten times as many, and the intervals overlap": lambda: (
        round(dqn()[0], 1) == 48.4 and without()[2] >= dqn()[1]
    ),
    "At $10^{-2.5}$, the best first rate for HANQ, the agent without a predictor is no better than HANQ": lambda: (
        best_rate("CartPole-HANQ") == -2.5 and at("CartPole-wo-any-predictor", -2.5)[0] < at("CartPole-HANQ", -2.5)[0] + 1
    ),
    "about 98, then 20 to 45, then below 20 | as predicted | right": lambda: (
        95 < levels("HANQ")[0][0] < 102 and 20 < levels("HANQ")[1][0] < 45 and levels("HANQ")[2][0] < 20
    ),
    "DQN loses at most 30 points by the same moves | it loses nothing | right": lambda: levels("DQN")[0][0] <= levels("DQN")[2][0],
    "at least 45; then falling to 30 or less | as predicted | right": lambda: without()[0] >= 45 > without(0.9)[0] > 30 >= without(0.8)[0],
    "a shorter discount is *not* the main cause on CartPole | it is the larger part | wrong": lambda: (
        without()[0] - without(0.8)[0] > 0.5 * (without()[0] - best("CartPole-HANQ")[0])
    ),
    "in Table 1, too, DQN with a target network and DQN-LN reach the goal from all of the datasets that never saw it": lambda: (
        swings_up("DQN", "best target_rate in 1e0..1e-4") == swings_up("DQN-LN", "target_rate=1") == blind().sum()
    ),
    "every algorithm of Table 1 swings Acrobot up on most of these datasets": lambda: all(
        swings_up(name, setting) > blind().sum() / 2 for name, setting in acrobot_rows()
    ),
    "and HANQ from most": lambda: blind().sum() / 2 < swings_up("HANQ", "hyper_lr=0.1") < blind().sum(),
    "five datasets in six have never seen the goal": lambda: blind().sum() == 25,
    "is best at the largest first rate that was tried": lambda: (
        best_rate("CartPole-wo-any-predictor") == np.log10(max(variations.FIRST_RATES))
    ),
}


@pytest.mark.parametrize("sentence", FACTS)
def test_a_sentence_of_the_chapter_is_what_the_result_files_say(sentence):
    check("beyond", sentence, FACTS[sentence])
