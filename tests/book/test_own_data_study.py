"""What *Your own data* says of the study of choosing without a simulator is what the study's file says."""

from functools import cache
from itertools import product

import numpy as np
import pytest
import sentences

from hanq.reproduction import choosing, offline_choice
from hanq.training import scores

SHOWN = ("fqe", "possible_fqe", "wis", "own_q", "bellman_error")


@cache
def compared():
    return choosing.compare(offline_choice.result(sentences.FOLDER))


@pytest.fixture(scope="module")
def study():
    found = compared()
    shown = found[(found.algorithm != choosing.ALL) & found.estimate.isin(SHOWN)]
    return shown.set_index(["environment", "algorithm", "estimate"]).sort_index()


def better(study, estimate):
    """The cases in which choosing by an estimate beats a blind choice."""
    rows = study.xs(estimate, level="estimate")
    return set(rows[rows.gain_low > 0].index)


def check(sentence, is_true):
    sentences.check("own-data", sentence, lambda: is_true)


NAMES = ("DQN", "DQN-LN", "HANQ")
CASES = set(product(("Pendulum", "Acrobot", "CartPole"), NAMES))
HANQS = {(place, "HANQ") for place in ("Pendulum", "Acrobot", "CartPole")}


def worse(study, estimate):
    """The cases in which choosing by an estimate is worse than a blind choice."""
    rows = study.xs(estimate, level="estimate")
    return set(rows[rows.gain_high < 0].index)


def ordered(study, estimate):
    """The cases in which an estimate's rank correlation is better than chance."""
    rows = study.xs(estimate, level="estimate")
    return set(rows[rows.correlation_low > 0].index)


def figures(table, column, rows):
    """Values of one column, rounded as the chapter prints them."""
    return [round(table[column][row], 2 if column == "correlation" else 0) for row in rows]


def test_the_study_has_all_three_algorithms_in_all_three_environments(study):
    assert set(study.index.droplevel("estimate")) == CASES
    sentence = "As they come, none of the estimates beats a blind choice in all nine rows."
    check(sentence, all(better(study, one) != CASES for one in SHOWN if one != "possible_fqe"))


def test_fitted_q_evaluation_beats_a_blind_choice_in_six_rows_and_is_worse_in_none(study):
    sentence = "Fitted Q evaluation does so in six, for all three algorithms on Acrobot and on CartPole, and is clearly worse in none."
    check(sentence, better(study, "fqe") == {case for case in CASES if case[0] != "Pendulum"} and not worse(study, "fqe"))
    assert max(len(better(study, one)) for one in SHOWN if "fqe" not in one) < 6
    check(
        "It was good in this valley, and in six of nine cases elsewhere, though three of these are on Acrobot",
        len(better(study, "fqe")) == 6,
    )
    check("On Pendulum FQE's choices are no better than blind ones.", not {case for case in better(study, "fqe") if case[0] == "Pendulum"})
    found = offline_choice.result(sentences.FOLDER)
    fqe = found.fqe.isel(job=np.flatnonzero(found.environment.values == "Pendulum"))
    check("it promises tens of thousands of points where nobody can have more than 0", fqe.max() > 20_000)


def test_without_impossible_values_it_beats_a_blind_choice_everywhere(study):
    sentence = "Leave out the agents whose value is not, and FQE beats a blind choice in all nine rows."
    check(sentence, better(study, "possible_fqe") == CASES)
    check("in six of them, and in all nine once values that nobody can have are left out.", better(study, "possible_fqe") == CASES)
    regrets = [figures(study, "regret", [("Pendulum", name, one) for name in NAMES]) for one in ("fqe", "possible_fqe")]
    sentence = "its regret falls from 38, 33 and 13 points for DQN, DQN-LN and HANQ to 7, 26 and 12."
    check(sentence, regrets == [[38, 33, 13], [7, 26, 12]])
    price = [study.regret["CartPole", name, "possible_fqe"] - study.regret["CartPole", name, "fqe"] for name in ("DQN", "DQN-LN")]
    check("On CartPole the check costs DQN and DQN-LN a point or two.", min(price) > 0.5 and max(price) < 2.5)


def test_own_q_helps_in_three_rows_and_is_worse_in_five(study):
    sentence = "The agents' own Q-values help for DQN on Acrobot and for DQN and DQN-LN on CartPole, but they are worse than a blind choice"
    check(sentence, better(study, "own_q") == {("Acrobot", "DQN"), ("CartPole", "DQN"), ("CartPole", "DQN-LN")})
    sentence = "in five rows: for HANQ in all three environments, for DQN on Pendulum and for DQN-LN on Acrobot."
    check(sentence, worse(study, "own_q") == {*HANQS, ("Pendulum", "DQN"), ("Acrobot", "DQN-LN")})
    sentence = "and better in six cases of nine; without the values that nobody can have it was better in all nine."
    check(sentence, len(better(study, "fqe")) == 6 and better(study, "possible_fqe") == CASES)
    sentence = "The agents' own Q-values were worse in five, HANQ's in all three environments."
    check(sentence, len(worse(study, "own_q")) == 5 and worse(study, "own_q") > HANQS)


def test_the_bellman_error_is_the_best_guide_in_one_place_and_misleads_in_another(study):
    best = all(study.gain["Pendulum", name].idxmax() == "bellman_error" for name in NAMES)
    helped = {*(("Pendulum", name) for name in NAMES), ("CartPole", "HANQ")}
    sentence = "The Bellman error is the best guide for DQN, DQN-LN and HANQ on Pendulum; it helps HANQ on CartPole too,"
    check(sentence, best and better(study, "bellman_error") == helped)
    sentence = "and misleads DQN and DQN-LN there and DQN on Acrobot."
    check(sentence, worse(study, "bellman_error") == {("CartPole", "DQN"), ("CartPole", "DQN-LN"), ("Acrobot", "DQN")})


def test_importance_sampling_is_never_better_than_blind(study):
    check("Importance sampling never beats a blind choice:", not better(study, "wis"))
    steps = offline_choice.result(sentences.FOLDER).wis_steps
    check("actions drawn uniformly at random agree with a policy for a few steps only", steps.median() < 10)


def test_the_order_of_all_seven_is_better_than_chance_more_often(study):
    sentence = "better than chance in eight of the nine rows, in all but that of DQN-LN on Pendulum."
    check(sentence, CASES - ordered(study, "fqe") == {("Pendulum", "DQN-LN")})
    hanq = study.loc["Pendulum", "HANQ", "fqe"]
    sentence = "For HANQ on Pendulum FQE has a rank correlation of 0.32, because it recognises some hopeless agents, and yet its favourites"
    check(sentence, round(hanq.correlation, 2) == 0.32 and hanq.gain_low < 0)
    left = [study.correlation["CartPole", name, "possible_fqe"] / study.correlation["CartPole", name, "fqe"] for name in ("DQN", "DQN-LN")]
    check("where the correlations fall by about half for DQN and DQN-LN", min(left) > 0.35 and max(left) < 0.65)


def test_the_study_is_as_large_as_the_caption_says():
    found = offline_choice.result(sentences.FOLDER)
    sizes = found.sizes["learning_rate"] == 7 and found.sizes["seed"] == 30 and found.attrs["gradient_steps"] == 20_000
    check("means over thirty seeds, with 95% intervals", sizes)
    check("The agents were trained for 20,000 gradient steps,", sizes)


def test_what_is_said_of_the_predictions_is_what_was_found(study):
    ours = compared().set_index(["environment", "algorithm", "estimate"]).sort_index()
    rows = {place: [(place, name, "fqe") for name in NAMES] for place in ("Pendulum", "CartPole", "Acrobot")}
    half = [[study.regret[*row[:2], one] < study.random_regret[row] / 2 for row in rows["Pendulum"]] for one in ("fqe", "possible_fqe")]
    found = figures(study, "correlation", rows["Pendulum"])
    sentence = "Wrong: 0.32 and 0.22, and neither regret is half of a blind choice's. (Without impossible values DQN's is.)"
    check(sentence, (found[2], found[0]) == (0.32, 0.22) and half == [[False] * 3, [True, False, False]])
    check("Right: 0.55, 0.43 and 0.65 for DQN, DQN-LN and HANQ.", figures(study, "correlation", rows["CartPole"]) == [0.55, 0.43, 0.65])
    check("FQE orders them well (0.57, 0.69 and 0.51)", figures(study, "correlation", rows["Acrobot"]) == [0.57, 0.69, 0.51])
    check("It is better than chance nowhere, CartPole included.", not ordered(study, "wis") and not better(study, "wis"))
    sentence = "But by regret it is worse than chance for DQN on Pendulum and on Acrobot"
    check(sentence, worse(study, "wis") == {("Pendulum", "DQN"), ("Acrobot", "DQN")})
    sentence = "Right that FQE orders better in all nine rows."
    check(sentence, all(study.correlation[*case, "own_q"] < study.correlation[*case, "fqe"] for case in CASES))
    sentence = "Wrong for DQN: its own values are better than chance on CartPole and on Acrobot (0.28 and 0.45)."
    shown = figures(study, "correlation", [("CartPole", "DQN", "own_q"), ("Acrobot", "DQN", "own_q")])
    check(
        sentence, {place for place, name in ordered(study, "own_q") if name == "DQN"} == {"CartPole", "Acrobot"} and shown == [0.28, 0.45]
    )
    error = study.correlation.xs("bellman_error", level="estimate")
    others = error[error.index.get_level_values("algorithm") != "HANQ"]
    sentence = "Wrong: from −0.40 to 0.59 for these two, and 0.71 for HANQ on Pendulum."
    check(sentence, [round(one, 2) for one in (others.min(), others.max(), error["Pendulum", "HANQ"])] == [-0.4, 0.59, 0.71])
    drift = ours.correlation.xs("drift", level="estimate")
    check("The drift's are lower in four of nine rows.", int((drift[error.index] < error).sum()) == 4 and len(error) == 9)
    scale = [ours.loc[place, "HANQ", "scale"] for place in ("Pendulum", "Acrobot", "CartPole")]
    sentence = "Wrong, in both directions: the nearer it is to 1, the better the agent on Pendulum and on Acrobot (0.35 and 0.36)"
    check(sentence, all(one.correlation_low > 0 for one in scale[:2]) and [round(one.correlation, 2) for one in scale[:2]] == [0.35, 0.36])
    check("and the worse on CartPole (−0.61).", scale[2].correlation_high < 0 and round(scale[2].correlation, 2) == -0.61)
    found = offline_choice.result(sentences.FOLDER)
    usual = found.isel(job=np.flatnonzero((found.environment == "Pendulum") & (found.algorithm == "HANQ") & (found.factor == 1)))
    auto, raw = (usual.average_score.isel(job=list(usual.reward_scale.values).index(one)).reset_coords(drop=True) for one in ("auto", "1"))
    more = scores.interval((auto - raw).sel(learning_rate=10**-1.5, method="nearest").astype(float))
    sentence = "Right: it scores 2.1 points less, with an interval from 10.7 less to 3.5 more."
    check(sentence, [round(float(more[one]), 1) for one in ("mean", "low", "high")] == [-2.1, -10.7, 3.5])


def test_the_chapter_counts_its_own_predictions():
    table = sentences.text("own-data").partition("| predicted | found | |---|---| ")[2].partition(" ### ")[0]
    outcomes = [line.rpartition("|")[2].strip() for line in table.removesuffix(" |").split(" | | ")]
    right = [outcome for outcome in outcomes if outcome.startswith(("Right: ", "Right on both"))]
    check("Three of the nine were right without reservation", (len(right), len(outcomes)) == (3, 9))
