"""What *Your own data* says of mistakes in a log is what happens, and what it recommends is what the result files say.

`test_own_data_study` has the study of choosing without a simulator; what is said of the live run is checked in the notebook itself.
"""

import warnings
from functools import cache

import numpy as np
import pytest
import sentences

import hanq
from hanq.reproduction import choosing, offline_choice
from hanq.training import rewards, scores


@cache
def compared():
    return choosing.compare(offline_choice.result(sentences.FOLDER))


@cache
def units():
    found = choosing.by_unit(offline_choice.result(sentences.FOLDER))
    return found.set_index(["environment", "reward_scale", "factor", "learning_rate"]).sort_index()


def check(sentence, is_true):
    sentences.check("own-data", sentence, lambda: is_true)


def at_unit(environment, reward_scale, factor, rate):
    return units()["mean"].loc[environment, reward_scale, factor].loc[10**rate]


def best_rates(environment, reward_scale):
    """HANQ's best rate with rewards times 0.01, 0.1, 1 and 10."""
    found = units()["mean"].loc[environment, reward_scale]
    return [found.loc[factor].idxmax() for factor in (0.01, 0.1, 1, 10)]


def fixed_regret(environment, rate):
    """What always taking this rate costs HANQ, in points: to the best of each seed's agents, as `choosing.regret` counts."""
    found = offline_choice.result(sentences.FOLDER)
    usual = (found.factor == 1) & (found.reward_scale == "1") & (found.environment == environment) & (found.algorithm == "HANQ")
    score = found.score.isel(job=int(np.flatnonzero(usual)[0]))
    return float((score.max("learning_rate") - score.sel(learning_rate=10**rate)).mean())


def regrets(environment, algorithm="HANQ"):
    return compared().set_index(["environment", "algorithm", "estimate"]).sort_index().loc[environment, algorithm]


def scores_of(algorithm, setting, environment):
    """Scores of one row of Table 1, one a seed."""
    return sentences.seeds(sentences.row("1", algorithm, setting, environment).result).values


def level(name, which):
    """Score on Pendulum whose values are moved, at the best of the first rates, as *Beyond the paper* counts it."""
    found = scores.average_over_training(sentences.result(f"beyond-Pendulum-{name}-level-{which}").score.sel(discount=0.99)).squeeze()
    return found.sel(learning_rate=scores.best_of_grid(found)["learning_rate"]).mean().item()


def counted(algorithm, setting, environment):
    """(seeds, those that score below 50)"""
    found = scores_of(algorithm, setting, environment)
    return len(found), int((found < 50).sum())


PLACES = ("Pendulum", "Acrobot", "CartPole")
TARGET, NO_TARGET, HYPER = "best target_rate in 1e0..1e-4", "target_rate=1", "hyper_lr=0.1"
FACTS = {
    "on Pendulum no mean moves by more than four points, on CartPole by more than a tenth of a point, at any rate, and none": lambda: (
        units().loc["Pendulum", "auto"].difference_mean.abs().max() < 4
        and units().loc["CartPole", "auto"].difference_mean.abs().max() < 0.1
        and len(units().loc["Pendulum", "auto"]) == len(units().loc["CartPole", "auto"]) == 4 * 7
        and not any(units().loc[place, "auto"].moved.any() for place in ("Pendulum", "CartPole"))
    ),
    "Without it, the mean leaves its interval in 17 of 21 cases on Pendulum and in 13 of 21 on CartPole.": lambda: (
        [units().loc[place, "1"].query("factor != 1").moved.sum() for place in ("Pendulum", "CartPole")] == [17, 13]
    ),
    "and no other rate does better; with rewards times 0.1 the best rate is $10^{-3}$, with rewards times 10 it is $10^{-1}$.": lambda: (
        [round(np.log10(one), 6) for one in best_rates("Pendulum", "1")] == [-1.5, -3, -1.5, -1]
    ),
    "At its best rate HANQ scores 8.1 there, and 21.6 with the rewards as they are": lambda: (
        [round(units()["mean"].loc["CartPole", kind, 1].max(), 1) for kind in ("auto", "1")] == [8.1, 21.6]
    ),
    'so `"auto"` makes the rewards about ten times larger, and rewards times 10 score 8.1 as well': lambda: (
        9 < rewards.reward_scales("auto", hanq.collect("CartPole", range(10)), np.array([0.99])).mean() < 11
        and round(units()["mean"].loc["CartPole", "1", 10].max(), 1) == 8.1
    ),
    "at a rate of $10^{-1.5}$ from 100.9 to 14.3": lambda: (
        [round(at_unit("Pendulum", "1", one, -1.5), 1) for one in (1, 0.01)] == [100.9, 14.3]
    ),
    "a rate of $10^{-1}$ scores 22.5 in this unit, and 61.5 in the simulator's": lambda: (
        [round(at_unit("Pendulum", one, 1, -1), 1) for one in ("auto", "1")] == [22.5, 61.5]
    ),
    "On Pendulum it scores 101 with the rewards as they are.": lambda: round(level("HANQ", "1.0")) == 101,
    "it scores 26, with the sign of the mean reversed 11, and with twice the mean 17": lambda: (
        [round(level("HANQ", one)) for one in ("0.0", "-1.0", "2.0")] == [26, 11, 17]
    ),
    "DQN with a target network scores about 80 at the three of these levels": lambda: all(
        abs(level("DQN", one) - 80) < 2 for one in ("1.0", "0.0", "-1.0")
    ),
    "On Pendulum DQN with a discount of 0.85, without a target network or anything else that HANQ has, scores 97, and DQN-LN": lambda: (
        [
            round(sentences.row("9", *one).ours_mean)
            for one in (("DQN", "discount=0.85; target_rate=1"), ("DQN-LN", "discount=0.9; target_rate=1e-3"))
        ]
        == [97, 100]
        and round(sentences.hanq().ours_mean) == 101
    ),
    "On CartPole it scores 22, DQN with a target network 48, and DQN-LN without one 46.": lambda: (
        [round(scores_of(*one, "CartPole").mean()) for one in (("HANQ", HYPER), ("DQN", TARGET), ("DQN-LN", NO_TARGET))] == [22, 48, 46]
    ),
    "On Pendulum six of thirty seeds of DQN with a tuned target network score below 50, and none of HANQ's does.": lambda: (
        [counted(*one, "Pendulum") for one in (("DQN", TARGET), ("HANQ", HYPER))] == [(30, 6), (30, 0)]
    ),
    "five of HANQ's thirty score about 0 at the learning rate that our search chose, and none of DQN's or DQN-LN's does.": lambda: (
        np.sort(scores_of("HANQ", HYPER, "Acrobot"))[4] < 1
        and [counted(*one, "Acrobot")[1] for one in (("HANQ", HYPER), ("DQN", TARGET), ("DQN-LN", NO_TARGET), ("DQN-LN", TARGET))]
        == [5, 0, 0, 0]
    ),
    "6 on Acrobot (where most logs never show the goal, so that this may be luck) and 4 on CartPole; a blind choice": lambda: (
        [[round(regrets(place)[which][one]) for place in PLACES] for which, one in (("regret", "possible_fqe"), ("random_regret", "fqe"))]
        == [[12, 6, 4], [19, 29, 11]]
    ),
    "A rate of $10^{-2}$ for everything costs 5, 22 and 9.": lambda: [round(fixed_regret(place, -2)) for place in PLACES] == [5, 22, 9],
}


@pytest.mark.parametrize("sentence", FACTS)
def test_a_sentence_of_the_recipe_or_of_units_is_what_the_result_files_say(sentence):
    sentences.check("own-data", sentence, FACTS[sentence])


ROWS = np.arange(40.0)


def log(actions=("left", "right"), **changes):
    """A log of 40 rows in which nothing is wrong but what changes say."""
    columns = dict(seen=ROWS, action=["left", "right"] * 20, reward=-np.ones(40), episode=ROWS // 10, done=ROWS % 10 == 9)
    return hanq.Dataset.from_frame(columns | changes, ["seen"], "action", "reward", "episode", "done", actions=actions)


def test_an_action_that_is_never_logged_is_named():
    check("an action has a name, but is never logged | a warning that names it", True)
    with pytest.warns(UserWarning, match="brake"):
        log(actions=("left", "right", "brake"))


def test_next_observations_across_ends_are_counted():
    check("by shifting the whole table by one row | a warning with the number of rows", True)
    with pytest.warns(UserWarning, match="in 3 rows"):
        hanq.Dataset.from_arrays(ROWS[:, None], ROWS % 2, -np.ones(40), np.roll(ROWS, -1)[:, None], ROWS % 10 == 9)


def test_values_in_the_thousands_and_narrow_ones_are_named_unless_they_are_standardised():
    check("a column with values above 1,000, or with a standard deviation below 0.05 | a warning that names the column", True)
    data = log(seen=1000 * ROWS)
    settings = dict(learning_rate=1e-3, gradient_steps=1, batch_size=4, progress=False)
    for one in (data, log(seen=1e-3 * ROWS)):
        with pytest.warns(UserWarning) as said:
            hanq.train(hanq.DQN, one, **settings)
        assert [one for one in said if "column 0" in str(one.message)]
        with pytest.warns(UserWarning) as said:
            hanq.train(hanq.DQN, one, standardise=True, **settings)
        assert not [one for one in said if "column 0" in str(one.message)]


def test_images_are_refused():
    check("| images | refused |", True)
    with pytest.raises(ValueError, match="images"):
        images = np.zeros((40, 8, 8))
        hanq.Dataset.from_arrays(images, ROWS % 2, -np.ones(40), images, ROWS % 10 == 9)


def test_nothing_is_said_of_a_cut_off_marked_as_terminated():
    check("a cut-off episode marked as terminated | **nothing: no check can see it**", True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert log().terminated.sum() == 4
