"""Promise: the study of choosing without a simulator can be stopped and repeated, and its figures are what it says."""

import json
import re
from itertools import groupby, product
from pathlib import Path

import numpy as np
import pytest
import xarray

from hanq.__main__ import main
from hanq.data import environments
from hanq.data.foundations import records
from hanq.reproduction import choosing, offline_choice
from hanq.reproduction.offline_choice import CHOICES, FULL, JOBS, QUANTITIES, Job
from hanq.reproduction.paper import LEARNING_RATES
from hanq.training import scores
from hanq.training.train import train

RESULTS = Path(__file__).parents[2] / "book" / "results"
COMMITTED = RESULTS / offline_choice.NAME / "agents.nc"


def measured(**estimates):
    """Measurements of two algorithms, three rates and four seeds; estimates: functions of the score, others are 0."""
    score = np.random.default_rng(0).permutation(24).reshape(2, 3, 4).astype(float)
    variables = {name: (("job", "learning_rate", "seed"), estimates.get(name, np.zeros_like)(score)) for name in choosing.ORIENTED}
    coords = {"environment": ("job", ["CartPole", "CartPole"]), "algorithm": ("job", ["A", "B"])}
    coords |= {"factor": ("job", [1.0, 1.0]), "reward_scale": ("job", ["1", "1"])}
    return xarray.Dataset(variables | {"score": (("job", "learning_rate", "seed"), score)}, coords)


def test_an_estimate_that_knows_the_truth_has_correlation_1_and_no_regret():
    found = choosing.compare(measured(fqe=np.exp, bellman_error=np.negative, drift=lambda x: -1 / (1 + x), scale=lambda x: np.exp(30 - x)))
    assert len(found) == 3 * len(choosing.ORIENTED) and set(found.algorithm) == {"A", "B", choosing.ALL}
    knowing = found[found.estimate.isin(["fqe", "bellman_error", "scale", "drift"])]
    assert np.allclose(knowing.correlation, 1) and np.allclose(knowing.regret, 0) and (knowing.ranked == 4).all()
    assert np.allclose(knowing.gain, knowing.random_regret)


def test_an_estimate_that_is_upside_down_chooses_the_worst():
    data = measured(wis=np.negative)
    found = choosing.compare(data).query("estimate == 'wis' and algorithm == 'A'").iloc[0]
    score = data.score.isel(job=0)
    assert found.correlation == pytest.approx(-1)
    assert found.regret == pytest.approx(float((score.max("learning_rate") - score.min("learning_rate")).mean()))


def test_an_estimate_that_is_the_same_for_all_is_a_choice_at_random_and_no_number_is_the_worst():
    found = choosing.compare(measured(own_q=lambda x: np.where(x == x.max((0, 1)), x, np.nan)))
    alike = found[found.estimate == "fqe"]
    assert np.isnan(alike.correlation).all() and (alike.ranked == 0).all()
    np.testing.assert_allclose(alike.regret, alike.random_regret)
    assert found[(found.estimate == "own_q") & (found.algorithm == choosing.ALL)].regret.item() == 0
    assert choosing.correlation(np.array([np.nan, 1.0, 2.0]), np.array([0.0, 1.0, 2.0])) == pytest.approx(1)
    assert choosing.regret(np.array([1.0, np.inf, -np.inf]), np.array([5.0, 3.0, 9.0])) == 6


def test_values_that_no_policy_can_have_are_the_worst():
    data = measured(fqe=lambda x: np.where(x == x.min(), 1e6, x))
    found = choosing.compare(data).set_index(["algorithm", "estimate"])
    assert found.regret[choosing.ALL, "fqe"] > 0 and found.regret[choosing.ALL, "possible_fqe"] == 0
    kept = choosing.possible(measured(fqe=lambda x: np.linspace(-20, 120, 24).reshape(x.shape))).possible_fqe.values
    np.testing.assert_array_equal(np.isfinite(kept), abs(np.linspace(-20, 120, 24).reshape(kept.shape) - 50) <= 60)


def test_rewards_in_other_units_are_not_chosen_among():
    data = measured(fqe=np.exp)
    other = data.assign_coords(factor=("job", [1.0, 0.1]))
    assert set(choosing.compare(other).algorithm) == {"A"}


def test_scores_in_other_units_stand_beside_those_of_the_same_agents_in_the_usual_one():
    score = np.arange(32.0).reshape(4, 2, 4) ** 2
    coords = dict(environment=("job", [*"EEEF"]), algorithm=("job", ["HANQ"] * 4), learning_rate=[0.1, 0.01])
    coords |= dict(factor=("job", [0.1, 1.0, 0.1, 1.0]), reward_scale=("job", ["auto", "auto", "1", "1"]))
    found = choosing.by_unit(xarray.Dataset({"average_score": (("job", "learning_rate", "seed"), score)}, coords))
    assert found[["reward_scale", "factor", "learning_rate"]].values.tolist() == [
        ["auto", 0.1, 0.1],
        ["auto", 0.1, 0.01],
        ["auto", 1.0, 0.1],
        ["auto", 1.0, 0.01],
    ]
    np.testing.assert_allclose(found["mean"], score[:2].mean(-1).ravel())
    np.testing.assert_allclose(found.difference_mean[:2], (score[0] - score[1]).mean(-1))
    assert (found.difference_low[:2] < found.difference_mean[:2]).all() and (found.difference_mean[2:] == 0).all()
    at_one = scores.interval(xarray.DataArray(score[1], dims=("rate", "seed")))
    inside = (at_one.low.values <= score[0].mean(-1)) & (score[0].mean(-1) <= at_one.high.values)
    assert found.moved.tolist() == [*(~inside).tolist(), False, False] and found.moved.any()


def test_all_jobs_of_an_environment_follow_each_other_so_that_its_log_is_collected_once():
    assert len(list(groupby(JOBS, key=lambda job: job.environment))) == len({job.environment for job in JOBS}) == 3
    assert set(JOBS) == set(CHOICES + offline_choice.UNITS) and len(set(JOBS)) == len(JOBS)


@pytest.fixture
def two_jobs(monkeypatch):
    jobs = [Job("Pendulum", "DQN"), Job("Pendulum", "DQN", 10.0, "auto")]
    monkeypatch.setattr(offline_choice, "JOBS", jobs)
    return jobs


def test_a_study_goes_on_where_it_was_stopped_to_the_same_file(tmp_path, two_jobs, monkeypatch):
    def interrupted(*arguments, gradient_steps, reward_scale, **settings):
        train(*arguments, gradient_steps=gradient_steps // (1 + (reward_scale == "auto")), reward_scale=reward_scale, **settings)
        if reward_scale == "auto":
            raise KeyboardInterrupt
        return train(*arguments, gradient_steps=gradient_steps, reward_scale=reward_scale, **settings)

    monkeypatch.setattr(offline_choice, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        offline_choice.reproduce(tmp_path / "stopped", quick=True)
    assert len(list((tmp_path / "stopped").rglob("*.checkpoint"))) == 1
    monkeypatch.setattr(offline_choice, "train", train)
    stopped = offline_choice.reproduce(tmp_path / "stopped", quick=True)
    straight = offline_choice.reproduce(tmp_path / "straight", quick=True)
    assert records.load(stopped).equals(records.load(straight))
    assert list(tmp_path.rglob("*.*")) == [stopped, straight] or list(tmp_path.rglob("*.*")) == [straight, stopped]
    found, written = records.load(straight), straight.stat().st_mtime_ns
    assert found.measured.dims == ("job", "learning_rate", "seed", "quantity") and found.measured.dtype == np.float32
    estimates = found.measured.sel(quantity=list(QUANTITIES[:-2]))
    sure = [name for name in QUANTITIES if name != "wis"]  # of which there is none where nobody follows a policy for a step
    assert np.isfinite(found.measured.isel(job=0).sel(quantity=sure)).all() and np.isnan(estimates.isel(job=1)).all()
    assert np.isfinite(found.measured.sel(quantity=["score", "average_score"])).all()
    offline_choice.reproduce(tmp_path / "straight", quick=True)
    assert straight.stat().st_mtime_ns == written


def test_a_file_of_another_length_is_refused_and_kept(tmp_path, two_jobs, monkeypatch):
    monkeypatch.setattr(offline_choice, "JOBS", two_jobs[1:])
    path = offline_choice.reproduce(tmp_path, quick=True)
    before = path.read_bytes()
    monkeypatch.setattr(offline_choice, "QUICK", offline_choice.QUICK._replace(gradient_steps=300))
    with pytest.raises(ValueError, match="holds gradient_steps=200 where gradient_steps=300 is asked for"):
        offline_choice.reproduce(tmp_path, quick=True)
    assert path.read_bytes() == before


def test_the_command_names_it_and_refuses_an_unknown_environment(tmp_path, capsys):
    main(["list"])
    assert "offline-choice: 1 result" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["reproduce", "offline-choice", "--env", "LunarLander", "--out", str(tmp_path)])
    assert ended.value.code == 2 and "environment='LunarLander' is unknown" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_is_learned_from_are_the_papers_data_and_the_rest_of_the_log_is_held_out():
    from hanq.data.collection import collect

    learned, held_out = offline_choice._halves("Pendulum", range(2))
    assert learned.digest == collect("Pendulum", range(2)).digest
    assert held_out.size == learned.size == 1000 and held_out.digest != learned.digest


def test_the_committed_file_is_whole_and_says_where_it_comes_from():
    found = records.load(COMMITTED)
    attrs = found.attrs
    assert json.loads(attrs["seeds"]) == list(FULL.seeds) == found.seed.values.tolist()
    assert (attrs["gradient_steps"], attrs["eval_every"]) == (FULL.gradient_steps, FULL.eval_every)
    assert re.fullmatch("[0-9a-f]{12}", attrs["commit"]) and attrs["machine"] and attrs["wall_seconds"] > 0
    np.testing.assert_allclose(found.learning_rate, LEARNING_RATES)
    held = {Job(*one) for one in zip(*(found[name].values.tolist() for name in Job._fields), strict=True)}
    assert set(CHOICES) <= held <= set(JOBS) and len(held) == found.sizes["job"]
    scores = found.measured.sel(quantity=["score", "average_score"])
    assert np.isfinite(scores).all() and (scores > -100).all() and (scores < 130).all()


def test_the_committed_file_has_a_correlation_and_a_regret_for_every_choice():
    found = choosing.compare(offline_choice.result(RESULTS))
    groups = product(environments.ENVIRONMENTS, ("DQN", "DQN-LN", "HANQ", choosing.ALL), choosing.ORIENTED)
    assert set(groups) <= set(found[["environment", "algorithm", "estimate"]].itertuples(index=False, name=None))
    assert (found.regret >= 0).all() and found.correlation.dropna().between(-1, 1).all()
