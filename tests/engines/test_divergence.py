"""Promise: divergence is a result: the curves stay finite where the contract says so, and nobody else notices."""

import numpy as np
import pytest
from helpers import ALGORITHMS, DQN, HANQ, TORCH, small_pendulum

import hanq
from hanq.data.environments import PENDULUM
from hanq.engines import forward
from hanq.engines.evaluation import mean_return

SHORT = dict(gradient_steps=60, eval_every=20, eval_episodes=1, batch_size=8) | TORCH


def train(algorithm, rates, **changes):
    return hanq.train(algorithm, small_pendulum(), **dict(learning_rate=rates) | SHORT | changes)


@pytest.fixture(scope="module")
def diverged():
    return train(DQN, [1e-2, 1e30])


def test_a_huge_learning_rate_diverges_without_error_or_warning(diverged):
    lost = diverged.parameters.sel(learning_rate=1e30)
    assert not np.isfinite(lost).all()
    assert not np.isfinite(diverged.curves.msbe.sel(learning_rate=1e30)).all()


def test_returns_and_scores_of_the_diverged_are_finite(diverged):
    assert np.isfinite(diverged.curves.return_).all() and np.isfinite(diverged.curves.score).all()


def test_the_other_agents_do_not_notice(diverged):
    alone = train(DQN, 1e-2)
    for name in diverged.curves.data_vars:
        np.testing.assert_array_equal(diverged.curves[name].sel(learning_rate=[1e-2]), alone.curves[name])
    np.testing.assert_array_equal(diverged.parameters.sel(learning_rate=[1e-2]), alone.parameters)


def test_the_diverged_act_like_action_0(diverged):
    lost = diverged.curves.return_.sel(learning_rate=1e30).isel(gradient_step=-1)
    params = np.full(diverged.network.size, np.nan, np.float32)
    for seed in range(4):
        expected = mean_return(forward.layout(diverged.network), params, PENDULUM, seed, 60, 1, 200, 8.0)
        assert lost.sel(seed=seed).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS.keys())
def test_no_algorithm_breaks_on_divergence(algorithm):
    run = train(algorithm, [1e-2, 1e25], hyper_lr=[0.0, 0.1], gradient_steps=20)
    assert np.isfinite(run.curves.return_).all()
    assert np.isfinite(run.curves.msbe.sel(learning_rate=1e-2, hyper_lr=0.0)).all()


def test_a_diverged_run_is_saved_and_loaded(tmp_path, diverged):
    diverged.save(tmp_path / "run.nc")
    back = hanq.load_run(tmp_path / "run.nc")
    np.testing.assert_array_equal(back.curves.msbe, diverged.curves.msbe)
    np.testing.assert_array_equal(back.parameters, diverged.parameters)


def test_a_diverged_run_goes_on_from_its_checkpoint(tmp_path):
    whole = train(HANQ, [1e-2, 1e30], hyper_lr=0.1)
    train(HANQ, [1e-2, 1e30], hyper_lr=0.1, gradient_steps=20, checkpoint=tmp_path / "c")
    resumed = train(HANQ, [1e-2, 1e30], hyper_lr=0.1, checkpoint=tmp_path / "c")
    for name in whole.curves.data_vars:
        np.testing.assert_array_equal(whole.curves[name], resumed.curves[name])
