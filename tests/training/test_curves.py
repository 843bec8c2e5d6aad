"""Promise: run.curves are labelled as the contract says, whatever was trained."""

import inspect
import json
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest
import xarray
from helpers import ALGORITHMS, DQN, HANQ, TORCH, small_pendulum

import hanq
from hanq.training.segments import compiling, progress_bar

DIMS = ("learning_rate", "hyper_lr", "target_rate", "discount", "weight_decay", "seed", "gradient_step")
VARIABLES = {"score", "return_", "msbe", "effective_learning_rate", "scale"}
SHORT = dict(gradient_steps=7, eval_every=2, eval_episodes=1, batch_size=8) | TORCH


@pytest.fixture(scope="module")
def run():
    return hanq.train(HANQ, small_pendulum(), learning_rate=[10**-1.5, 1e-2], hyper_lr=[0.1, 0.0, 1e-4], discount=[0.9, 0.99], **SHORT)


def test_train_has_the_contracts_arguments_and_defaults():
    found = {name: parameter.default for name, parameter in inspect.signature(hanq.train).parameters.items()}
    none = inspect.Parameter.empty
    assert found == dict(
        algorithm=none,
        dataset=none,
        learning_rate=none,
        hyper_lr=0.0,
        target_rate=1.0,
        discount=0.99,
        weight_decay=0.0,
        seeds=None,
        gradient_steps=200_000,
        batch_size=128,
        reward_scale=1.0,
        eval_every=2_000,
        eval_episodes=10,
        eval_velocity=None,
        engine="auto",
        device=None,
        progress=True,
        checkpoint=None,
        environment=None,
        standardise=False,
    )


def test_dimensions_and_variables_are_the_contracts(run):
    assert isinstance(run.curves, xarray.Dataset) and set(run.curves.data_vars) == VARIABLES
    for name in VARIABLES:
        assert run.curves[name].dims == DIMS
        assert run.curves[name].shape == (2, 3, 1, 2, 1, 4, 3)


def test_coordinates_are_float64_exactly_as_passed(run):
    given = dict(learning_rate=[10**-1.5, 1e-2], hyper_lr=[0.1, 0.0, 1e-4], target_rate=[1.0], discount=[0.9, 0.99], weight_decay=[0.0])
    for name, values in given.items():
        assert run.curves[name].dtype == np.float64 and run.curves[name].values.tolist() == values
        for value in values:
            assert run.curves.sel({name: value}).sizes["seed"] == 4
    assert run.curves.seed.values.tolist() == [0, 1, 2, 3] == run.parameters.seed.values.tolist()
    assert run.parameters.dims == (*DIMS[:-1], "parameter")


def test_gradient_steps_are_the_multiples_of_eval_every_never_0(run):
    assert run.curves.gradient_step.values.tolist() == [2, 4, 6]


@pytest.mark.parametrize("shape", [1e-2, [1e-2], (1e-2,), np.array([1e-2]), np.float32(0.25)])
def test_an_axis_of_one_value_has_length_1(shape):
    run = hanq.train(DQN, small_pendulum().sel([0]), learning_rate=shape, **SHORT)
    assert run.curves.score.shape == (1, 1, 1, 1, 1, 1, 3)


def test_whole_numbers_may_be_written_as_floats():
    run = hanq.train(
        DQN,
        small_pendulum().sel([0]),
        learning_rate=1,
        gradient_steps=4e0,
        eval_every=2.0,
        eval_episodes=np.int64(1),
        batch_size=8.0,
        **TORCH,
    )
    assert run.curves.gradient_step.values.tolist() == [2, 4]


def test_scores_are_table_10s_of_the_returns(run):
    np.testing.assert_allclose(run.curves.score, 100 * (run.curves.return_ + 1500) / 1300, rtol=1e-5)


def test_the_scale_is_1_without_a_predictor_and_near_1_at_first_with_one():
    for name in ("DQN", "DQN-LN", "PQN"):
        run = hanq.train(ALGORITHMS[name], small_pendulum().sel([0]), learning_rate=1e-2, **SHORT)
        assert (run.curves.scale == 1).all()
    run = hanq.train(ALGORITHMS["SSAQ"], small_pendulum(), learning_rate=1e-3, **SHORT)
    assert (abs(run.curves.scale - 1) < 0.01).all() and (run.curves.scale != 1).all()


def test_the_effective_rate_stays_where_there_are_no_hypergradients_and_moves_where_there_are(run):
    rates = run.curves.effective_learning_rate
    without = rates.sel(hyper_lr=0.0)
    assert (without == without.learning_rate.astype(np.float32)).all()
    assert (rates.sel(hyper_lr=[0.1, 1e-4]) != rates.learning_rate.astype(np.float32)).all()


def test_attributes_say_where_the_curves_come_from(run):
    attrs = run.curves.attrs
    for name in ("command", "commit", "python", "versions", "machine", "date", "wall_seconds", "threads"):
        assert name in attrs
    assert attrs["engine"] == "torch" and attrs["environment"] == "Pendulum" and attrs["batch_size"] == 8
    assert hanq.Algorithm(**json.loads(attrs["algorithm"])) == HANQ
    assert json.loads(attrs["dataset"]) == small_pendulum().provenance
    assert attrs["dataset_digest"] == small_pendulum().digest


def test_a_shared_dataset_takes_the_agents_seeds():
    run = hanq.train(DQN, small_pendulum().sel([2]), learning_rate=1e-2, seeds=range(5, 8), **SHORT)
    assert run.curves.seed.values.tolist() == [5, 6, 7]


def test_without_an_environment_a_warning_says_so_and_scores_are_nan():
    data = small_pendulum()
    unknown = replace(data, environment=None)
    with pytest.warns(UserWarning, match="names no environment, so score and return_ will be NaN") as caught:
        run = hanq.train(DQN, unknown, learning_rate=1e-2, **SHORT)
    assert caught[0].filename == __file__  # the warning points at the caller
    assert run.curves.score.isnull().all() and run.curves.return_.isnull().all()
    known = hanq.train(DQN, data, learning_rate=1e-2, **SHORT)
    for name in ("msbe", "scale", "effective_learning_rate"):
        np.testing.assert_array_equal(run.curves[name], known.curves[name])


def test_with_an_environment_nothing_is_warned_about():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hanq.train(DQN, small_pendulum(), learning_rate=1e-2, **SHORT)


def test_progress_stays_silent_on_a_short_run_and_when_switched_off(capfd, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    hanq.train(DQN, small_pendulum(), learning_rate=1e-2, **SHORT | dict(progress=True))
    monkeypatch.setattr("hanq.training.segments.PROGRESS_DELAY", 0)
    hanq.train(DQN, small_pendulum(), learning_rate=1e-2, **SHORT | dict(progress=False))
    out, err = capfd.readouterr()
    assert out == "" and err.strip() == ""


def test_progress_shows_steps_a_second(capfd, monkeypatch):
    monkeypatch.setattr("hanq.training.segments.PROGRESS_DELAY", 0)
    monkeypatch.delenv("TQDM_DISABLE", raising=False)  # which the notebooks' tests set
    hanq.train(DQN, small_pendulum(), learning_rate=1e-2, **SHORT | dict(progress=True))
    assert "step" in capfd.readouterr().err


def test_a_first_call_that_compiles_says_so_and_does_not_count_in_the_time_left(capfd, monkeypatch):
    monkeypatch.setattr("hanq.training.segments.PROGRESS_DELAY", 0.2)
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    with progress_bar(100, True) as bar:
        with compiling(bar):
            time.sleep(1)
        assert time.time() - bar.start_t < 0.5
    assert "compiling the engine, once" in capfd.readouterr().err
    with progress_bar(100, True) as bar, compiling(bar):
        pass
    time.sleep(0.4)  # by now it would have said so
    assert "compiling" not in capfd.readouterr().err


@pytest.mark.parametrize("progress", [1, "yes", None, np.ones(2), np.ones(())])
def test_progress_is_true_or_false(progress):
    with pytest.raises(ValueError, match="progress=.*use True or False"):
        hanq.train(DQN, small_pendulum(), learning_rate=1e-2, **SHORT | dict(progress=progress))
