"""Promise: what the chapter Hypergradients says in words is what its result files say."""

from pathlib import Path

import numpy as np
import pytest
from sentences import check

from hanq.reproduction import ledger, paper
from hanq.training import scores

RESULTS = Path(__file__).parents[2] / "book" / "results"
FAST, SLOW = 10**-2.5, 1e-3  # SSAQ's two best learning rates


@pytest.fixture(scope="module")
def curves():
    """HSSAQ, SSAQ at the fast and the slow learning rate, and DQN with a target network at its best: (seed, gradient_step)."""
    ssaq, dqn = paper.result("fig3b-SSAQ", RESULTS), paper.result("fig3a-DQN", RESULTS)
    best = scores.best_of_grid(scores.average_over_training(dqn.score))
    found = {"HSSAQ": paper.result("fig7-HSSAQ", RESULTS), "DQN": dqn.sel(best)}
    found |= {"fast": ssaq.sel(learning_rate=FAST), "slow": ssaq.sel(learning_rate=SLOW)}
    return {name: values.squeeze() for name, values in found.items()}


@pytest.fixture(scope="module")
def found():
    return ledger.compare(RESULTS)


@pytest.fixture
def table7(found):
    """(residual, semi-gradient), two lines of the ledger, by environment."""
    return {name: tuple(rows.itertuples()) for name, rows in found[found.table == "7"].groupby("environment")}


@pytest.fixture
def table8(found):
    """Lines of the ledger by kappa."""
    return {line.hyper_lr: line for line in found[found.table == "8"].itertuples()}


def gain(first, second):
    """First minus second, two lines of the ledger, seed by seed."""
    return scores.interval(paper.seed_scores(first.result, RESULTS) - paper.seed_scores(second.result, RESULTS))


def test_hssaq_starts_like_the_fast_rate_and_ends_like_the_slow_one(curves):
    mean = {name: values.score.mean("seed") for name, values in curves.items()}
    early = {name: float(values.sel(gradient_step=slice(0, 20_000)).mean()) for name, values in mean.items()}
    end = {name: float(values[-10:].mean()) for name, values in mean.items()}
    assert abs(early["HSSAQ"] - early["fast"]) < 10 and early["HSSAQ"] > early["slow"] + 15
    assert abs(end["HSSAQ"] - end["slow"]) < 10 and end["HSSAQ"] > end["fast"] + 30
    assert end["HSSAQ"] > 90 and end["fast"] < 25


def test_its_average_over_training_beats_both_seed_by_seed(curves):
    for name in ("fast", "slow"):
        assert scores.interval((curves["HSSAQ"].score - curves[name].score).mean("gradient_step")).low > 0


def test_its_peak_is_no_higher_than_a_fixed_rates_and_below_dqns(curves):
    peak = {name: float(values.score.mean("seed").max()) for name, values in curves.items()}
    assert peak["HSSAQ"] < max(peak["fast"], peak["slow"]) + 2 and peak["HSSAQ"] < peak["DQN"] - 5


def test_its_bellman_error_stays_low(curves):
    error = {name: curves[name].msbe.median("seed") for name in ("HSSAQ", "fast")}
    assert error["HSSAQ"].max() < 100 and error["fast"][-10:].min() > 1_000


def test_its_learning_rates_fall_along_much_the_same_path(curves):
    fallen = np.log10(FAST / curves["HSSAQ"].effective_learning_rate[:, -1])
    assert 50 < 10 ** fallen.median() < 70 and fallen.max() - fallen.min() < 0.6  # "a factor of about 60"
    assert 0.15 < fallen.median() / (1e-4 * 200_000 / np.log(10)) < 0.25  # "about a fifth of the full pace"


def test_its_scale_falls_from_1_3_to_1_2(curves):
    scale = curves["HSSAQ"].scale.mean("seed")
    assert scale.max() == pytest.approx(1.3, abs=0.05) and scale[-1] == pytest.approx(1.2, abs=0.05)


def test_three_of_four_rows_of_table_7_overlap_the_paper_and_the_fourth_lies_above(table7):
    overlaps = {(name, line.setting.split()[0]): line.overlap for name, lines in table7.items() for line in lines}
    assert [key for key, overlap in overlaps.items() if overlap != "yes"] == [("Acrobot", "semi-gradient")]
    assert table7["Acrobot"][1].ours_low > table7["Acrobot"][1].paper_high
    for residual, semi in table7.values():
        assert residual.hyper_lr == 0.1 and semi.hyper_lr < residual.hyper_lr / 5


def test_the_residual_judge_is_ahead_on_pendulum_and_on_acrobot_nobody_can_tell(table7):
    _, semi = table7["Pendulum"]
    check("hypergradients", "on Pendulum it is a tenth of the residual's", lambda: semi.hyper_lr == pytest.approx(0.01))
    ahead = gain(*table7["Pendulum"])
    behind = [round(ahead[part].item()) for part in ("mean", "low", "high")]
    check("hypergradients", "the semi-gradient loss is five points behind in our runs (2 to 8)", lambda: behind == [5, 2, 8])
    acrobot = gain(*table7["Acrobot"])
    ahead = [round(-acrobot[part].item()) for part in ("mean", "low", "high")]
    check("hypergradients", "On Acrobot it is 11 points ahead (25 ahead to 2 behind)", lambda: ahead == [11, 25, -2])
    assert acrobot.low < 0 < acrobot.high


def test_on_acrobot_the_semi_gradients_rate_doubles_or_triples(table7):
    _, semi = table7["Acrobot"]
    assert np.log10([semi.hyper_lr, semi.learning_rate]) == pytest.approx([-5, -4.5])
    grown = paper.result(semi.result, RESULTS).effective_learning_rate.isel(gradient_step=-1) / semi.learning_rate
    assert grown.min() > 1.7 and grown.max() < 3.3


def test_all_six_rows_of_table_8_agree_with_the_paper_and_none_comes_near_hanq(table7, table8):
    assert len(table8) == 6 and {line.overlap for line in table8.values()} == {"yes"}
    assert all(line.ours_high < table7["Pendulum"][0].ours_low for line in table8.values())


def test_every_kappa_from_1e_3_up_costs_dqn_points_and_smaller_ones_change_little(table8):
    for kappa, line in table8.items():
        cost = gain(table8[0.0], line)
        if kappa >= 0.9e-3:
            assert cost.low > 0 and cost["mean"] > 10
        else:
            assert abs(cost["mean"]) < 10 and cost.low <= 0 <= cost.high


def rounded(change):
    return [round(float(change[part])) for part in ("mean", "low", "high")]


def test_the_costs_seed_by_seed_are_those_that_the_chapter_prints(table8):
    found = {round(np.log10(kappa)): rounded(gain(table8[0.0], line)) for kappa, line in table8.items() if kappa > 0.9e-3}
    assert found == {-3: [15, 4, 27], -2: [25, 12, 39], -1: [28, 12, 45]}


def test_what_the_large_kappas_lose_they_lose_by_their_target_rate(table8):
    control = paper.result("target-DQN-0.01", RESULTS)
    assert control.hyper_lr.item() == 0 and control.target_rate.item() == 0.01
    control_scores = paper.seed_scores("target-DQN-0.01", RESULTS)
    ours = scores.interval(control_scores)
    assert [round(float(ours[part]), 1) for part in ("mean", "low", "high")] == [58.2, 39.6, 76.2]
    against = {kappa: scores.interval(paper.seed_scores(line.result, RESULTS) - control_scores) for kappa, line in table8.items()}
    assert rounded(against[0.0]) == [22, 10, 36] and rounded(against[1e-3]) == [8, 3, 13]
    for kappa, line in table8.items():
        assert line.target_rate == pytest.approx(0.01 if kappa > 0.9e-3 else 0.001) and line.protocol == "tuned"
        assert kappa < 5e-3 or against[kappa].low < 0 < against[kappa].high


def test_the_search_found_a_slow_target_network_worse_with_a_large_kappa(table8):
    """By kappa: the best mean of the eight seeds with a target rate of 0.001, and with 0.01; and whether the first was given up."""
    found = {}
    for kappa in (0.1, 0.01, 1e-3):
        trials = paper.result(f"{table8[kappa].result}-tuning", RESULTS).to_dataframe()
        assert trials.seed.nunique() == 8
        means = trials.groupby(["target_rate", "learning_rate"]).agg(score=("score", "mean"), steps=("gradient_steps", "max"))
        slow, fast = (means.loc[rate].sort_values("score").iloc[-1] for rate in (1e-3, 1e-2))
        found[kappa] = (round(slow.score), round(fast.score), slow.steps < 200_000)
    assert found == {0.1: (61, 79, False), 0.01: (51, 92, True), 1e-3: (87, 88, False)}
    assert round(table8[0.01].ours_mean) == 56


def test_hanqs_learning_rate_falls_by_a_factor_of_more_than_ten_million(table7):
    residual, _ = table7["Pendulum"]
    assert residual.learning_rate / paper.result(residual.result, RESULTS).effective_learning_rate.isel(gradient_step=-1).median() > 1e7


def test_at_kappa_0_1_the_learning_rate_is_gone_after_20_000_steps(table8):
    rates = paper.result(table8[0.1].result, RESULTS).effective_learning_rate
    assert rates.sel(gradient_step=20_000).median() < 1e-6


@pytest.mark.parametrize("form", ["raw", "plain"])
def test_the_rate_itself_fails_at_the_printed_kappa_over_60_000_steps_too(form):
    assert scores.interval(paper.seed_scores(f"hyper-HANQ-{form}-0.1", RESULTS)).high < 40


def test_the_plain_step_with_a_small_kappa_scores_what_the_logarithm_does():
    plain, log = (paper.seed_scores(name, RESULTS) for name in ("hyper-HANQ-plain", "default-HANQ"))
    assert [round(float(one.mean()), 1) for one in (plain, log)] == [99.7, 100.9]
    chosen = paper.result("hyper-HANQ-plain", RESULTS)
    assert [chosen.hyper_lr.item(), chosen.learning_rate.item()] == pytest.approx([1e-6, 1e-2])
    assert scores.interval(plain - log).low < 0 < scores.interval(plain - log).high
