"""Promise: observations of any size are trained on by request as standardised ones, and the run takes them as they are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import ALGORITHMS, HANQ, TORCH, logged, small_pendulum

import hanq
from hanq.data.dataset import DIMS
from hanq.training import standardising

SHORT = dict(learning_rate=1e-2, hyper_lr=0.1, gradient_steps=20, eval_every=10, eval_episodes=2, **TORCH)


def scaled(data, factor, offset=0.0):
    factor = np.asarray(factor, np.float64)
    names = ("observations", "next_observations")
    return replace(data, **{name: (getattr(data, name) * factor + offset).astype(np.float32) for name in names})


@pytest.mark.filterwarnings("ignore:column 0 of observations")
def test_observations_of_1e30_train_by_request_and_are_nan_without():
    huge = replace(scaled(small_pendulum(), 1e30), environment=None)
    with pytest.warns(UserWarning, match="names no environment"):
        lost, found = (hanq.train(HANQ, huge, standardise=one, **SHORT) for one in (False, True))
    assert not np.isfinite(lost.curves.msbe).all()
    assert np.isfinite(found.curves.msbe).all() and found.curves.attrs["standardise"] == 1


def test_a_hopeless_scale_is_said():
    for factor, column in (([1, 1, 1e5], 2), ([1e9, 1, 1e9], 0)):
        data = replace(scaled(small_pendulum(), factor), environment="Pendulum")
        with pytest.warns(UserWarning, match=f"column {column} of observations goes up to .*standardise=True"):
            hanq.train(HANQ, data, **SHORT)
        hanq.train(HANQ, data, standardise=True, **SHORT)  # warnings are errors here


@pytest.mark.parametrize("factor", [[1, 1, 0.01], [1e-3, 1, 1]])
def test_a_narrow_column_is_said(factor):
    data = replace(scaled(small_pendulum(), factor, 5.0), environment="Pendulum")
    column = int(np.argmin(factor))
    with pytest.warns(UserWarning, match=f"^column {column} of observations has a standard deviation of 0.0.*standardise=True"):
        hanq.train(HANQ, data, **SHORT)
    hanq.train(HANQ, data, standardise=True, **SHORT)
    with pytest.warns(UserWarning, match="column 0 of .*, and 2 more below 0.05: "):
        hanq.train(HANQ, scaled(data, 1e-3), **SHORT)


@pytest.mark.parametrize("name", ["Pendulum", "Acrobot", "CartPole"])
def test_the_built_in_environments_are_not_narrow(name):
    standardising.warn_of_spread(hanq.collect(name, range(3), size=1_000).observations)


def test_mountain_car_is_narrow():
    with pytest.warns(UserWarning, match="column 1 of observations has a standard deviation of 0.0"):
        standardising.warn_of_spread(hanq.collect("MountainCar-v0", [0], size=20_500).observations)


def test_rare_flags_states_and_columns_that_never_change_are_not_narrow():
    flags, constant = np.zeros((2, 500, 2)), np.full((2, 500, 1), 7.3)
    flags[0, 7, 0] = flags[1, 400, 1] = 1
    seen = np.concatenate([flags, constant, np.random.default_rng(0).normal(size=(2, 500, 1))], axis=2).astype(np.float32)
    assert (seen.std((0, 1))[:2] > 0).all() and (seen.std((0, 1))[:3] < standardising.NARROW).all()
    standardising.warn_of_spread(seen)


@pytest.mark.parametrize("name", ["HANQ", "DQN", "DQN, two layers", "w/o affine"])
def test_units_make_no_difference(name):
    """Data in other units give the same agent, of which the policy takes observations in these units."""
    data = small_pendulum()
    other = scaled(data, [1e3, 1e-2, 1.0], [0, 5.0, 0])
    runs = [hanq.train(ALGORITHMS[name], one, standardise=True, **SHORT | dict(environment="Pendulum")) for one in (data, other)]
    np.testing.assert_allclose(runs[0].curves.msbe, runs[1].curves.msbe, rtol=1e-2)
    for seed in (0, 3):
        q = [run.policy(seed=seed)(one.observations[seed]) for run, one in zip(runs, (data, other), strict=True)]
        torch.testing.assert_close(q[0], q[1], rtol=1e-2, atol=1e-2)


def test_the_run_is_one_of_standardised_data_with_its_units_folded_in(tmp_path):
    data = small_pendulum()
    names = ("observations", "next_observations")
    mean, deviation = data.observations.astype(float).mean(1, keepdims=True), data.observations.astype(float).std(1, keepdims=True)
    by_hand = replace(data, **{name: ((getattr(data, name) - mean) / deviation).astype(np.float32) for name in names}, environment=None)
    with pytest.warns(UserWarning, match="names no environment"):
        plain = hanq.train(HANQ, by_hand, **SHORT)
    run = hanq.train(HANQ, data, standardise=True, **SHORT)
    np.testing.assert_allclose(run.curves.msbe, plain.curves.msbe, rtol=1e-4)
    run.save(tmp_path / "run.nc")
    for seed in data.seeds:
        ours, theirs = hanq.load_run(tmp_path / "run.nc").policy(seed=seed), plain.policy(seed=seed)
        torch.testing.assert_close(ours(data.observations[seed]), theirs(by_hand.observations[seed]), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(run.curves.effective_learning_rate, plain.curves.effective_learning_rate)


def test_each_agent_has_the_units_of_its_own_data():
    data = small_pendulum()
    run, alone = (hanq.train(HANQ, one, standardise=True, **SHORT) for one in (data, data.sel([2])))
    np.testing.assert_array_equal(run.parameters.sel(seed=2), alone.parameters.sel(seed=2))


def test_a_column_that_never_changes_is_kept():
    arrays = logged(size=30)
    for name in ("observations", "next_observations"):
        arrays[name] = np.array(arrays[name])
        arrays[name][:, 1] = 7.3
    data = hanq.Dataset.from_arrays(**arrays)
    with pytest.warns(UserWarning, match="names no environment"):
        run = hanq.train(HANQ, data, standardise=True, **SHORT)
    assert np.isfinite(run.parameters).all() and torch.isfinite(run.policy()(data.observations[0])).all()


def test_a_resumed_training_must_agree_and_is_the_same(tmp_path):
    data = small_pendulum()
    whole = hanq.train(HANQ, data, standardise=True, **SHORT)
    hanq.train(HANQ, data, standardise=True, checkpoint=tmp_path / "c", **SHORT | dict(gradient_steps=10))
    resumed = hanq.train(HANQ, data, standardise=True, checkpoint=tmp_path / "c", **SHORT)
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)
    hanq.train(HANQ, data, checkpoint=tmp_path / "d", **SHORT)
    with pytest.raises(ValueError, match="belongs to a run with another standardise"):
        hanq.train(HANQ, data, standardise=True, checkpoint=tmp_path / "d", **SHORT)
    with pytest.raises(ValueError, match="belongs to a run with another standardise"):
        hanq.train(HANQ, data, checkpoint=tmp_path / "c", **SHORT)


def test_the_data_are_left_as_they_were():
    data = small_pendulum()
    before = {name: getattr(data, name).copy() for name in DIMS}
    hanq.train(HANQ, data, standardise=True, **SHORT)
    assert all(np.array_equal(getattr(data, name), values) for name, values in before.items())
    for value in (None, "yes", 1):
        with pytest.raises(ValueError, match="standardise=.* is not allowed: use True or False"):
            hanq.train(HANQ, data, standardise=value, **SHORT)
