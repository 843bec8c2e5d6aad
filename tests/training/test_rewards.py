"""Promise: reward_scale changes the unit in which agents learn, and nothing of the unit in which a run reports."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from helpers import ALGORITHMS, HANQ, TORCH, small_pendulum

import hanq
from hanq.data.returns import discounted_returns

SHORT = dict(learning_rate=[1e-2, 1e-3], hyper_lr=0.1, gradient_steps=40, eval_every=20, eval_episodes=1, batch_size=8) | TORCH


def times(data, factor):
    return replace(data, rewards=(factor * data.rewards).astype(np.float32))


@pytest.mark.parametrize("name", ["DQN", "SSAQ", "HANQ", "w/o metapredictor", "w/o bias", "symmetric", "w/o positive scale"])
def test_a_run_is_that_of_multiplied_rewards_told_in_the_rewards_own_unit(name):
    """By a power of two, which float32 multiplies without rounding."""
    data, settings = small_pendulum().sel([0, 1]), SHORT | dict(hyper_lr=[0.0, 1e-3])
    run = hanq.train(ALGORITHMS[name], data, reward_scale=4, **settings)
    other = hanq.train(ALGORITHMS[name], times(data, 4), **settings)
    for variable in ("return_", "effective_learning_rate", "scale"):
        np.testing.assert_array_equal(run.curves[variable], other.curves[variable])
    np.testing.assert_allclose(run.curves.msbe, other.curves.msbe / 16, rtol=1e-6)
    for which in (dict(seed=0, learning_rate=1e-2, hyper_lr=0.0), dict(seed=1, learning_rate=1e-3, hyper_lr=1e-3)):
        q, other_q = (one.policy(**which)(data.observations[0]).detach().numpy() for one in (run, other))
        np.testing.assert_allclose(4 * q, other_q, rtol=1e-6)
    assert json.loads(run.curves.attrs["reward_scales"]) == [4, 4]


@pytest.mark.parametrize("name", ["w/o metapredictor", "HANQ", "symmetric"])
def test_what_the_predictor_makes_of_q_is_in_the_rewards_unit_too(name):
    import torch

    from hanq import reference
    from hanq.training.rewards import in_the_rewards_unit

    data = small_pendulum().sel([0])
    other = hanq.train(ALGORITHMS[name], times(data, 4), **SHORT)
    params = other.parameters.values.reshape(2, -1)
    outputs = []
    for one in (params, in_the_rewards_unit(other.network, params, np.array([4.0, 4.0]))):
        weights = other.network.views(torch.as_tensor(one))
        before_relu = reference.hidden(other.network, weights, torch.as_tensor(data.observations).expand(2, -1, -1))
        q = reference.q_values(other.network, weights, before_relu)
        outputs.append(reference.predicted(other.network, weights, before_relu, q).numpy())
    np.testing.assert_allclose(4 * outputs[1], outputs[0], rtol=1e-5, atol=1e-6)


def test_auto_gives_the_discounted_returns_of_each_dataset_a_standard_deviation_of_100():
    data = small_pendulum()
    run = hanq.train(HANQ, data, reward_scale="auto", discount=0.9, **SHORT)
    scales = np.array(json.loads(run.curves.attrs["reward_scales"]))
    np.testing.assert_allclose(scales * discounted_returns(data, 0.9).std(axis=1), 100)
    assert len(set(scales)) == 4


def test_with_auto_the_unit_of_the_logged_rewards_makes_no_difference():
    """By powers of two to the last bit; otherwise float32 rounds the rewards, which training amplifies."""
    data = small_pendulum().sel([0, 1])
    run, other = (hanq.train(HANQ, times(data, factor), reward_scale="auto", **SHORT) for factor in (1, 2.0**-7))
    np.testing.assert_array_equal(run.curves.score, other.curves.score)
    np.testing.assert_array_equal(run.curves.effective_learning_rate, other.curves.effective_learning_rate)
    np.testing.assert_allclose(other.curves.msbe, run.curves.msbe * 2.0**-14, rtol=1e-6)


def test_an_agent_is_the_same_with_auto_whoever_is_beside_it():
    data = small_pendulum()
    run = hanq.train(HANQ, data, reward_scale="auto", **SHORT)
    alone = hanq.train(HANQ, data.sel([2]), reward_scale="auto", **SHORT)
    np.testing.assert_allclose(alone.parameters.sel(seed=2), run.parameters.sel(seed=2), rtol=1e-5, atol=1e-6)


def test_a_scale_of_1_is_none_at_all():
    data = small_pendulum().sel([0, 1])
    run, other = hanq.train(HANQ, data, **SHORT), hanq.train(HANQ, data, reward_scale=1, **SHORT)
    np.testing.assert_array_equal(run.parameters, other.parameters)
    assert "reward_scales" not in run.curves.attrs and "reward_scales" not in other.curves.attrs


def test_the_scale_is_kept_in_the_file_of_a_run(tmp_path):
    run = hanq.train(HANQ, small_pendulum().sel([0]), reward_scale=0.5, **SHORT)
    run.save(tmp_path / "run.nc")
    again = hanq.load_run(tmp_path / "run.nc")
    assert json.loads(again.curves.attrs["reward_scales"]) == [0.5]
    np.testing.assert_array_equal(again.parameters, run.parameters)


def test_a_checkpoint_of_another_scale_is_refused(tmp_path):
    data, path = small_pendulum().sel([0]), tmp_path / "run.checkpoint"
    hanq.train(HANQ, data, checkpoint=path, **SHORT)
    with pytest.raises(ValueError, match="another reward_scales"):
        hanq.train(HANQ, data, checkpoint=path, reward_scale=2, **SHORT)


CONSTANT = times(small_pendulum().sel([3]), 0)
BAD = {
    "reward_scale='automatic' is not allowed: use a number from 1e-30 to 1e+30, or 'auto'": dict(reward_scale="automatic"),
    "reward_scale=0 is not allowed": dict(reward_scale=0),
    "reward_scale=-1.0 is not allowed": dict(reward_scale=-1.0),
    "reward_scale=nan is not allowed": dict(reward_scale=float("nan")),
    "reward_scale=inf is not allowed": dict(reward_scale=float("inf")),
    "reward_scale=True is not allowed": dict(reward_scale=True),
    "reward_scale=None is not allowed": dict(reward_scale=None),
    "reward_scale=[1, 2] is not allowed": dict(reward_scale=[1, 2]),
    "reward_scale='auto' needs one discount, but discount=[0.9, 0.99]": dict(reward_scale="auto", discount=[0.9, 0.99]),
    "those of the dataset of seed 3 have a standard deviation of 0: use a number": dict(dataset=CONSTANT, reward_scale="auto"),
    "reward_scale=1e+30 makes rewards too large for float32": dict(
        dataset=replace(CONSTANT, rewards=CONSTANT.rewards + np.float32(1e20)), reward_scale=1e30
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_what_is_no_scale_is_refused_by_name(message):
    with pytest.raises(ValueError, match=re.escape(message)):
        hanq.train(HANQ, **dict(dataset=small_pendulum().sel([0])) | SHORT | BAD[message])
