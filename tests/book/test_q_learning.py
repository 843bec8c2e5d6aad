"""What the chapter on Q-learning says in its own words is what the result files say."""

import numpy as np
import pytest
from chapter_numbers import RESULTS, kept, mean_score
from scipy.stats import spearmanr

from hanq.reproduction import paper
from hanq.training import scores

BEST = paper.stem("table1", "Pendulum", "DQN", paper.BEST)
BARE = paper.stem("table1", "Pendulum", "DQN", "target_rate=1")


def ends(name):
    """Bellman errors and scores of every seed, over the last 20,000 steps."""
    last = paper.result(name, RESULTS).squeeze().isel(gradient_step=slice(-10, None)).mean("gradient_step")
    return last.msbe.values, last.score.values


def test_most_agents_stay_at_the_top_and_a_few_drop_to_the_bottom():
    _, ended = ends(BEST)
    assert (ended > 80).sum() > 15 and 2 <= (ended < 50).sum() <= 10


def test_half_stay_above_80_nine_dip_and_all_but_one_of_these_recover():
    single = paper.result(BEST, RESULTS).score.squeeze().rolling(gradient_step=5, min_periods=1).mean()
    lowest, (_, ended) = single.sel(gradient_step=slice(20_001, None)).min("gradient_step").values, ends(BEST)
    dipped = (lowest <= 80) & (ended >= 50)
    assert ((lowest > 80).sum(), dipped.sum(), (ended[dipped] > 100).sum(), (ended < 50).sum()) == (15, 9, 8, 6)


def test_the_mean_falls_between_20_000_and_60_000_steps_and_so_do_all_who_fall():
    """Means of five evaluations in a row, as in Figure 1."""
    single = paper.result(BEST, RESULTS).score.squeeze().rolling(gradient_step=5).mean()
    mean = single.mean("seed")
    assert [round(mean.sel(gradient_step=step).item()) for step in (20_000, 60_000)] == [102, 78]
    assert mean.sel(gradient_step=slice(60_000, None)).min() > 76 and mean.sel(gradient_step=slice(60_000, None)).max() < 85
    fallen = 0
    for curve in single.transpose("seed", ...):
        if curve.max() > 80 and curve[-1] < 50:
            fallen += 1
            good = curve.gradient_step.values[curve.values > 80]
            bad = curve.gradient_step.values[(curve.values < 50) & (curve.gradient_step.values > good[0])]
            assert 20_000 < good[-1] < bad[0] < 50_000
    assert fallen == 6


def test_with_a_target_network_six_of_seven_rates_end_well_below_their_peak():
    with_one = mean_score("fig3a-DQN")
    assert sum(bool(kept(with_one.sel(learning_rate=rate)) < 0.85) for rate in with_one.learning_rate.values) == 6


def test_with_a_target_network_every_rate_that_gets_near_100_comes_down_and_without_one_none_gets_far():
    with_one, without = mean_score("fig3a-DQN"), mean_score("fig3b-DQN")
    high = [rate for rate in paper.LEARNING_RATES if with_one.sel(learning_rate=rate).max() > 80]
    assert len(high) >= 4
    assert all(kept(with_one.sel(learning_rate=rate)) < 0.9 for rate in high)
    assert without.max() < 40


def test_a_small_rate_stumbles_once_and_then_stays_at_a_modest_level():
    curve = mean_score("fig3a-DQN").sel(learning_rate=10**-3.5)
    early, dip = curve.sel(gradient_step=slice(0, 14_000)).max(), curve.sel(gradient_step=slice(14_000, 40_000)).min()
    assert dip < early / 2
    level = curve.sel(gradient_step=slice(50_000, 120_000)).mean()
    assert 50 < level < 70 and curve[-10:].mean() > 0.9 * level


def test_our_level_lies_11_points_above_the_papers_whose_interval_it_meets():
    averaged = scores.average_over_training(paper.result("fig3a-DQN", RESULTS).score)
    same = scores.interval(averaged.sel(scores.best_of_grid(averaged)))
    mean, _, high = paper.number("1", "Pendulum", "DQN", paper.BEST)
    assert round(float(same["mean"]) - mean) == 11 and float(same.low) < high


def test_the_search_finds_the_best_means_that_the_chapter_prints_at_five_target_rates():
    trials = paper.result(f"{BEST}-tuning", RESULTS).to_dataframe()
    assert trials.gradient_steps.unique().tolist() == [200_000] and trials.seed.nunique() == 8
    means = trials.groupby(["target_rate", "learning_rate"]).score.mean().groupby("target_rate").max()
    assert [int(mean + 0.5) for mean in means.sort_index()] == [73, 98, 86, 64, 37]
    assert means.sort_index().index.tolist() == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])


def test_the_papers_number_is_the_best_over_target_rates_and_it_names_the_same_rate():
    """Table 8 without hypergradients prints the same score, for target rates down to 0.001."""
    assert paper.number("8", "Pendulum", "DQN", f"hyper_lr=0; {paper.BEST_OF_FOUR}") == paper.number("1", "Pendulum", "DQN", paper.BEST)


def test_errors_tell_the_hopeless_runs_and_not_the_good_ones():
    errors, ended = ends(BEST)
    other_errors, other_ended = ends(BARE)
    good = errors[ended > 80]
    assert good.max() / good.min() > 100
    assert good.min() < np.median(other_errors) < good.max() and np.median(other_ended) < 35
    assert (ended[errors > 100 * good.max()] < 20).all()
    assert [round(spearmanr(*one).statistic, 2) for one in (ends(BARE), ends(BEST))] == [-0.92, -0.28]


def baird(share, table=False, steps=20_000):
    """Largest value in the chapter's example after training, where the last of seven states gets this share of all updates."""
    features = np.zeros((7, 8))
    features[:6, :6], features[:6, 7], features[6, 6:] = 2 * np.eye(6), 1, (1, 2)
    features = np.eye(7, 8) if table else features
    weights = np.array([1, 1, 1, 1, 1, 1, 10, 1.0])
    shares = np.array([(1 - share) / 6] * 6 + [share])
    for _ in range(steps):
        error = features @ weights - 0.99 * features[6] @ weights
        weights = weights - 0.02 * (shares * error) @ features
    return np.abs(features @ weights).max()


def test_without_one_of_the_deadly_three_bairds_values_no_longer_run_away():
    """Off-policy updates with shared weights diverge; a weight for each state, or updates as often as states are visited, do not."""
    assert baird(1 / 7, steps=5_000) > 1e6
    assert baird(1 / 7, table=True) < 10 and baird(0.9) < 1 and baird(1.0) < 12
