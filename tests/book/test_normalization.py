"""Promise: what the chapter Normalization says in words is what its result files and its code say."""

import json
from pathlib import Path

import pytest
import torch
from scipy.stats import spearmanr
from torch.nn import functional

import hanq
from hanq import reference
from hanq.engines import population
from hanq.reproduction import ledger, paper
from hanq.reproduction.chance import CHANCE
from hanq.training import scores

BOOK = Path(__file__).parents[2] / "book"
RESULTS = BOOK / "results"
FAST, SLOW = 10**-2.5, 1e-3  # SSAQ's two best learning rates


@pytest.fixture(scope="module")
def norms():
    """The chapter's two functions, from its own cell."""
    cells = json.loads((BOOK / "normalization.ipynb").read_text())["cells"]
    (cell,) = [source for source in ("".join(cell["source"]) for cell in cells) if source.startswith("def l2_normalise")]
    names = {}
    exec(cell, names)
    return names["l2_normalise"], names["layer_norm"]


@pytest.fixture(scope="module")
def table():
    """The ledger's lines of DQN with and without a norm, by (algorithm, whether it has a target network)."""
    found = ledger.compare(RESULTS)
    rows = found[(found.table == "1") & (found.environment == "Pendulum") & (found.algorithm != "HANQ")]
    return {(line.algorithm, line.setting != "target_rate=1"): line for line in rows.itertuples()}


@pytest.fixture(scope="module")
def fig4a():
    """SSAQ and SSANQ at seven learning rates: (learning_rate, seed, gradient_step)."""
    return {name: paper.result(stem, RESULTS).squeeze() for name, stem in {"SSAQ": "fig3b-SSAQ", "SSANQ": "fig4a-SSANQ"}.items()}


def test_the_norms_are_what_pytorch_computes(norms):
    l2_normalise, layer_norm = norms
    x = torch.randn(5, 128, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(l2_normalise(x), functional.normalize(x, dim=-1))
    assert torch.allclose(layer_norm(x), functional.layer_norm(x, [128]), atol=1e-6)


def test_they_are_what_hanq_applies_after_the_relu(norms):
    l2_normalise, layer_norm = norms
    network = hanq.Network(hanq.HANQ, 3, 3)  # fresh: gain 1, offset 0
    weights = network.views(torch.as_tensor(population.initial_parameters(network, [0])))
    before_relu = torch.randn(1, 5, 128, generator=torch.Generator().manual_seed(0))
    features = torch.relu(before_relu)
    assert torch.allclose(reference.features(network, weights, before_relu, "main"), layer_norm(features), atol=1e-5)
    assert torch.allclose(reference.features(network, weights, before_relu, "predictor"), l2_normalise(features), atol=1e-6)


def test_layernorm_is_l2_of_the_centred_features_times_the_root_of_their_number(norms):
    l2_normalise, layer_norm = norms
    x = torch.randn(5, 128, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(layer_norm(x, epsilon=0.0), 128**0.5 * l2_normalise(x - x.mean(-1, keepdim=True)), atol=1e-5)


@pytest.mark.parametrize("whose", ["ours", "paper"])
def test_a_norm_does_not_replace_the_target_network(table, whose):
    lows = [getattr(line, f"{whose}_low") for (_, target), line in table.items() if target]
    highs = [getattr(line, f"{whose}_high") for (_, target), line in table.items() if not target]
    assert min(lows) > max(highs)
    means = {key: getattr(line, f"{whose}_mean") for key, line in table.items()}
    assert min(mean for (_, target), mean in means.items() if target) > 70
    assert max(mean for (_, target), mean in means.items() if not target) < 45


@pytest.mark.parametrize("name", ["DQN-LN", "DQN-l2N"])
def test_with_a_target_network_a_norm_rescues_most_seeds_with_which_dqn_fails(table, name):
    plain, normed = (paper.seed_scores(table[algorithm, True].result, RESULTS) for algorithm in ("DQN", name))
    gain = scores.interval(normed - plain)
    assert gain["mean"] > 2 and gain.low < 0 < gain.high  # higher, and the interval does not lie clear of 0
    assert 5 <= (plain < 20).sum() < 10 and normed.min() > 40 and (normed < 50).sum() <= 1  # fails on a few, which are rescued
    assert normed.std("seed") < plain.std("seed") / 2
    rest = (normed - plain)[plain >= 20]
    assert plain[plain >= 20].median() > 95 and (rest < 0).mean() > 0.6 and -15 < rest.mean() < -3  # most others lose some points


def test_the_spreads_and_the_last_scores_that_the_chapter_prints(table):
    spread, last, low = [], [], []
    for name in ("DQN", "DQN-LN", "DQN-l2N"):
        file = table[name, True].result
        spread.append(round(float(paper.seed_scores(file, RESULTS).std("seed"))))
        ended = paper.result(file, RESULTS).score.squeeze()[:, -10:].mean("gradient_step")
        last.append(round(float(ended.mean())))
        low.append(int((ended < 50).sum()))
    assert spread == [38, 15, 13] and last[:2] == [81, 78] and low == [6, 7, 2]


def test_on_acrobot_dqn_ln_scores_as_high_without_a_target_network():
    names = [paper.stem("table1", "Acrobot", "DQN-LN", setting) for setting in (paper.BEST, "target_rate=1")]
    gain = scores.interval(paper.seed_scores(names[0], RESULTS) - paper.seed_scores(names[1], RESULTS))
    assert abs(float(gain["mean"])) < 1 and float(gain.low) < 0 < float(gain.high)


def test_all_six_rows_overlap_the_papers(table):
    assert [line.overlap for line in table.values()] == ["yes"] * 6


def test_without_a_target_network_no_row_is_clearly_better_than_random_actions(table):
    assert all(line.ours_low < CHANCE["Pendulum"][2] for (_, target), line in table.items() if not target)
    assert all(line.ours_low > CHANCE["Pendulum"][2] for (_, target), line in table.items() if target)


def test_layernorm_helps_ssaq_at_every_learning_rate(fig4a):
    averaged = {name: scores.average_over_training(curves.score) for name, curves in fig4a.items()}
    gain = scores.interval(averaged["SSANQ"] - averaged["SSAQ"])
    assert gain.learning_rate.size == 7 and (gain.low > 0).all()
    assert gain["mean"].min() > 8 and gain["mean"].max() < 24
    ours = {name: scores.interval(values.sel(learning_rate=SLOW)) for name, values in averaged.items()}
    assert ours["SSANQ"].low > ours["SSAQ"].high
    assert {scores.best_of_grid(values)["learning_rate"] for values in averaged.values()} == {SLOW}


@pytest.mark.parametrize("name", ["SSAQ", "SSANQ"])
def test_the_fast_rate_rises_and_falls_with_layernorm_as_without(fig4a, name):
    mean = fig4a[name].score.mean("seed")
    fast, slow = mean.sel(learning_rate=FAST), mean.sel(learning_rate=SLOW)
    assert fast.max() > 90 and fast.argmax("gradient_step") < 12
    assert fast[-10:].mean() < 0.6 * fast.max()
    assert slow[-10:].mean() > 90 and slow[:5].mean() < fast[:5].mean()
    for rate in mean.learning_rate.values:
        if rate not in (FAST, SLOW):
            assert mean.sel(learning_rate=rate)[20:].mean() < 50


def test_where_the_fast_rate_loses_its_score_its_bellman_error_rises(fig4a):
    score, error = fig4a["SSAQ"].score.mean("seed"), fig4a["SSAQ"].msbe.median("seed")
    fast, slow = error.sel(learning_rate=FAST), error.sel(learning_rate=SLOW)
    assert fast[:20].max() < 100 and fast[-10:].min() > 1_000
    assert slow[-1] < slow[0] and score.sel(learning_rate=SLOW)[-1] > score.sel(learning_rate=SLOW)[0]
    assert score.sel(learning_rate=FAST).max() > 95 and 10 < score.sel(learning_rate=FAST)[-10:].mean() < 25


def test_what_a_layer_costs_where_dqn_does_well_anyway():
    names = [paper.stem("table1", "Pendulum", name, paper.BEST) for name in ("DQN", "DQN-LN", "DQN-l2N")]
    plain, *layers = (paper.seed_scores(name, RESULTS) for name in names)
    assert (plain > 50).sum() == 24 and [round((one - plain)[plain > 50].mean().item()) for one in layers] == [-10, -7]
    assert all((one - plain)[plain <= 50].min() > 35 for one in layers)


def test_its_median_error_rises_when_half_of_the_agents_have_failed():
    fast = paper.result("fig3b-SSAQ", RESULTS).squeeze().sel(learning_rate=FAST, method="nearest")
    error, failed = fast.msbe.median("seed"), (fast.score < 50).sum("seed")
    before, after = error.sel(gradient_step=slice(20_000, 60_000)), error.sel(gradient_step=slice(80_000, None))
    assert failed.sel(gradient_step=60_000) < 15 <= failed.sel(gradient_step=70_000)
    assert before.max() < 30 and after.min() > 100
    assert fast.score.mean("seed").sel(gradient_step=60_000) < 60  # by then the mean has fallen far


def test_the_bellman_error_anticorrelates_with_the_score(fig4a):
    def negative(curves):
        pairs = zip(curves.msbe.values, curves.score.values, strict=True)
        values = curves.score[:, 0].copy(data=[spearmanr(*pair).statistic for pair in pairs])
        return scores.interval(values).high < -0.25

    ssaq = fig4a["SSAQ"]
    ends = ssaq.isel(gradient_step=slice(-10, None)).mean("gradient_step").transpose("seed", ...)
    assert negative(ssaq.sel(learning_rate=FAST)) and negative(ssaq.sel(learning_rate=SLOW)) and negative(ends)


def test_beyond_an_error_of_1000_more_of_it_means_no_lower_a_score(fig4a):
    fast = fig4a["SSAQ"].sel(learning_rate=FAST)
    bad, worse = (fast.score.where(fast.msbe > limit).mean() for limit in (1e3, 1e4))
    assert worse > bad - 1 and bad < 10
