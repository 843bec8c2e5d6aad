"""What *Your own data* says of mistakes in a log is what happens, and what it says of the study is what its file says.

What it says of the live run is checked in the notebook itself.
"""

import warnings

import numpy as np
import pytest
import sentences

import hanq
from hanq.reproduction import choosing, offline_choice

SHOWN = ("fqe", "wis", "own_q", "bellman_error")


@pytest.fixture(scope="module")
def study():
    found = choosing.compare(offline_choice.result(sentences.FOLDER))
    shown = found[(found.algorithm != choosing.ALL) & found.estimate.isin(SHOWN)]
    return shown.set_index(["environment", "algorithm", "estimate"]).sort_index()


def better(study, estimate):
    """The cases in which choosing by an estimate beats a blind choice."""
    rows = study.xs(estimate, level="estimate")
    return set(rows[rows.gain_low > 0].index)


def check(sentence, is_true):
    sentences.check("own-data", sentence, lambda: is_true)


def test_no_estimate_is_a_good_guide_everywhere(study):
    cases = set(study.index.droplevel("estimate"))
    check("No estimate beats a blind choice in all six rows.", len(cases) == 6 and all(better(study, one) != cases for one in SHOWN))


def test_fitted_q_evaluation_beats_a_blind_choice_in_two_rows_and_so_does_own_q(study):
    two = {("CartPole", "DQN"), ("Acrobot", "DQN")}
    sentence = "Fitted Q evaluation does in two, both of DQN, on CartPole and on Acrobot, and there the agents' own Q-values do so too."
    check(sentence, better(study, "fqe") == two and better(study, "own_q") >= two)


def test_the_bellman_error_is_the_best_guide_in_one_place_and_misleads_in_another(study):
    best = study.gain["Pendulum", "DQN"].idxmax() == "bellman_error" and ("Pendulum", "DQN") in better(study, "bellman_error")
    sentence = "The Bellman error is the best guide for DQN on Pendulum, and worse than a blind choice on Acrobot."
    check(sentence, best and study.gain_high["Acrobot", "DQN", "bellman_error"] < 0)


def test_for_hanq_only_importance_sampling_is_better_than_blind(study):
    hanq_rows = study.loc[("Pendulum", "HANQ")]
    told = hanq_rows.gain_low["fqe"] < 0 < hanq_rows.gain_high["fqe"] and hanq_rows.gain_high["own_q"] < 0
    by_a_hair = 0 < hanq_rows.gain_low["wis"] < 1
    check("For HANQ fitted Q evaluation cannot be distinguished from a blind choice, and its own Q-values are worse than that;", told)
    check("importance sampling is better, but by a hair.", by_a_hair)
    check("HANQ was measured on Pendulum only.", {place for place, name, _ in study.index if name == "HANQ"} == {"Pendulum"})


def test_the_study_is_as_large_as_the_caption_says_and_its_fits_diverge():
    found = offline_choice.result(sentences.FOLDER)
    sizes = found.sizes["learning_rate"] == 7 and found.sizes["seed"] == 10 and found.attrs["gradient_steps"] == 20_000
    check("Seven learning rates, 20,000 gradient steps,", sizes)
    fqe = found.fqe.isel(job=np.flatnonzero(found.environment.values == "Pendulum"))
    check("it promises tens of thousands of points where nobody can have more than 0", fqe.max() > 20_000)


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


def test_values_in_the_thousands_are_named_unless_they_are_standardised():
    check("a column with values in the thousands | a warning that names the column", True)
    data = log(seen=1000 * ROWS)
    settings = dict(learning_rate=1e-3, gradient_steps=1, batch_size=4, progress=False)
    with pytest.warns(UserWarning) as said:
        hanq.train(hanq.DQN, data, **settings)
    assert [one for one in said if "column 0" in str(one.message)]
    with pytest.warns(UserWarning) as said:
        hanq.train(hanq.DQN, data, standardise=True, **settings)
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
