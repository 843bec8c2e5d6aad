"""Promise: run.policy is the agent that its labels name, as a torch module of Q-values."""

import numpy as np
import pytest
import torch
from helpers import ALGORITHMS, HANQ, TORCH, small_pendulum
from plain import q_and_prediction, unflatten

import hanq

RATES, KAPPAS = [10**-1.5, 10**-2, 10**-2.5], [0.0, 0.1]


def train(algorithm=HANQ, data=None, **changes):
    usual = dict(learning_rate=RATES, hyper_lr=KAPPAS, gradient_steps=3, eval_every=3, eval_episodes=1, batch_size=8) | TORCH
    return hanq.train(algorithm, data or small_pendulum(), **usual | changes)


@pytest.fixture(scope="module")
def run():
    return train()


def test_every_agent_is_found_under_its_own_labels(run):
    for seed in run.curves.seed.values:
        for rate in RATES:
            for kappa in KAPPAS:
                policy = run.policy(seed=seed, learning_rate=rate, hyper_lr=kappa)
                where = dict(seed=seed, learning_rate=rate, hyper_lr=kappa)
                expected = run.parameters.sel(where).values.ravel()
                np.testing.assert_array_equal(policy.params.detach().numpy(), expected)


def test_rates_match_within_a_relative_error_of_1e_6(run):
    params = run.policy(seed=0, learning_rate=1e-2, hyper_lr=0.1).params
    for rate in (1e-2 * (1 + 9e-7), 1e-2 * (1 - 9e-7), np.float32(1e-2), 10**-2):
        assert torch.equal(run.policy(seed=0, learning_rate=rate, hyper_lr=0.1).params, params)
    for rate in (1e-2 * (1 + 2e-6), 1e-2 * (1 - 2e-6), 0.0):
        with pytest.raises(ValueError, match="learning_rate=.* is not in this run: use one of"):
            run.policy(seed=0, learning_rate=rate, hyper_lr=0.1)


def test_the_nearest_of_close_rates_is_chosen():
    close = [1e-2, 1e-2 * (1 + 5e-7)]
    run = train(learning_rate=close, hyper_lr=0.0)
    for i, rate in enumerate(close):
        expected = run.parameters.isel(learning_rate=i, seed=0).values.ravel()
        np.testing.assert_array_equal(run.policy(seed=0, learning_rate=rate).params.detach().numpy(), expected)


def test_large_seeds_are_told_apart():
    seeds = [5_000_000, 5_000_001]
    run = train(data=small_pendulum().sel([0]), seeds=seeds, learning_rate=1e-2, hyper_lr=0.0)
    for i, seed in enumerate(seeds):
        expected = run.parameters.isel(seed=i).values.ravel()
        np.testing.assert_array_equal(run.policy(seed=seed).params.detach().numpy(), expected)
    with pytest.raises(ValueError, match="seed=5000002 is not in this run"):
        run.policy(seed=5_000_002)


def test_an_axis_of_length_1_may_be_left_out_or_named(run):
    full = dict(seed=1, learning_rate=1e-2, hyper_lr=0.1)
    assert torch.equal(run.policy(**full).params, run.policy(**full, target_rate=1.0, discount=0.99, weight_decay=0).params)
    train(data=small_pendulum().sel([2]), learning_rate=1e-2, hyper_lr=0.1).policy()


def test_a_missing_unknown_or_absent_axis_is_named(run):
    for which, message in [
        (dict(learning_rate=1e-2, hyper_lr=0.1), r"seed is missing: use one of \[0, 1, 2, 3\]"),
        (dict(seed=0, hyper_lr=0.1), "learning_rate is missing: use one of"),
        (dict(seed=0, learning_rate=1e-2), r"hyper_lr is missing: use one of \[0.0, 0.1\]"),
        (dict(seed=9, learning_rate=1e-2, hyper_lr=0.1), r"seed=9 is not in this run: use one of \[0, 1, 2, 3\]"),
        (dict(seed=0, learning_rate=1e-2, hyper_lr=0.1, discount=0.5), r"discount=0.5 is not in this run"),
        (dict(seed=0, lr=1e-2, hyper_lr=0.1), r"'lr'.* is unknown: use .*learning_rate.*seed"),
        (dict(seed=0, learning_rate=float("nan"), hyper_lr=0.1), "learning_rate=nan is not in this run"),
    ]:
        with pytest.raises(ValueError, match=message):
            run.policy(**which)


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS.keys())
def test_q_values_are_the_networks_without_its_predictor(algorithm):
    policy = train(algorithm, learning_rate=1e-2, hyper_lr=0.0).policy(seed=1)
    observations = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    weights = unflatten(policy.network, policy.params.detach())
    torch.testing.assert_close(policy(observations), q_and_prediction(algorithm, weights, observations)[0])


@pytest.mark.parametrize("batch", [(), (1,), (5,), (2, 5), (4, 2, 5), (0,), (3, 0)])
def test_observations_of_any_batch_shape_give_q_values_of_that_shape(run, batch):
    policy = run.policy(seed=0, learning_rate=1e-2, hyper_lr=0.1)
    assert isinstance(policy, torch.nn.Module)
    observations = np.random.default_rng(0).normal(size=(*batch, 3))
    q = policy(observations)
    assert q.shape == (*batch, 3)
    flat = q.reshape(-1, 3)
    for one, expected in zip(observations.reshape(-1, 3), flat, strict=True):
        torch.testing.assert_close(policy(torch.as_tensor(one)), expected)


@pytest.mark.parametrize("shape", [(), (4,), (5, 2), (3, 1)])
def test_observations_of_another_size_are_refused(run, shape):
    with pytest.raises(ValueError, match=r"observations has shape .*: use \(\.\.\., 3\)"):
        run.policy(seed=0, learning_rate=1e-2, hyper_lr=0.1)(np.zeros(shape))


def test_changing_a_policy_does_not_change_its_run(run):
    before = run.parameters.values.copy()
    policy = run.policy(seed=0, learning_rate=1e-2, hyper_lr=0.1)
    with torch.no_grad():
        policy.params.zero_()
    np.testing.assert_array_equal(run.parameters.values, before)


def test_a_policy_is_saved_and_trained_on_like_any_module(run):
    policy = run.policy(seed=0, learning_rate=1e-2, hyper_lr=0.1)
    policy(torch.zeros(2, 3)).sum().backward()
    assert policy.params.grad.abs().sum() > 0
    other = run.policy(seed=1, learning_rate=1e-2, hyper_lr=0.1)
    other.load_state_dict(policy.state_dict())
    assert torch.equal(other(torch.ones(3)), policy(torch.ones(3)))
