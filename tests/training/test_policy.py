"""Promise: run.policy is the agent that its labels name, as a torch module of Q-values."""

import re
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import torch
from helpers import ALGORITHMS, HANQ, TORCH, small_pendulum
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_values import CONTAINERS, ODD, ONE
from plain import q_and_prediction, unflatten

import hanq

RATES, KAPPAS = [10**-1.5, 10**-2, 10**-2.5], [0.0, 0.1]


def train(algorithm=HANQ, data=None, **changes):
    usual = dict(learning_rate=RATES, hyper_lr=KAPPAS, gradient_steps=3, eval_every=3, eval_episodes=1, batch_size=8) | TORCH
    return hanq.train(algorithm, data or small_pendulum(), **usual | changes)


@pytest.fixture(scope="module")
def run():
    return train()


def weights(policy):
    """All of a policy's weights, in one row."""
    return torch.cat([one.ravel() for _, one in sorted(policy.state_dict().items())])


def of_run(run, **where):
    """The same of the agent with these labels, in the run's own numbers."""
    params = torch.as_tensor(run.parameters.sel(where).values.ravel())
    return torch.cat([one.ravel() for name, one in sorted(unflatten(run.network, params).items()) if "predictor" not in name])


def test_every_agent_is_found_under_its_own_labels(run):
    for seed in run.curves.seed.values:
        for rate in RATES:
            for kappa in KAPPAS:
                policy = run.policy(seed=seed, learning_rate=rate, hyper_lr=kappa)
                where = dict(seed=seed, learning_rate=rate, hyper_lr=kappa)
                assert torch.equal(weights(policy), of_run(run, **where))


def test_rates_match_within_a_relative_error_of_1e_6(run):
    params = weights(run.policy(seed=0, learning_rate=1e-2, hyper_lr=0.1))
    for rate in (1e-2 * (1 + 9e-7), 1e-2 * (1 - 9e-7), np.float32(1e-2), 10**-2):
        assert torch.equal(weights(run.policy(seed=0, learning_rate=rate, hyper_lr=0.1)), params)
    for rate in (1e-2 * (1 + 2e-6), 1e-2 * (1 - 2e-6), 0.0):
        with pytest.raises(ValueError, match="learning_rate=.* is not in this run: use one of"):
            run.policy(seed=0, learning_rate=rate, hyper_lr=0.1)


def test_the_nearest_of_close_rates_is_chosen():
    close = [1e-2, 1e-2 * (1 + 5e-7)]
    run = train(learning_rate=close, hyper_lr=0.0)
    for rate in close:
        assert torch.equal(weights(run.policy(seed=0, learning_rate=rate)), of_run(run, learning_rate=rate, seed=0))


def test_large_seeds_are_told_apart():
    seeds = [5_000_000, 5_000_001]
    run = train(data=small_pendulum().sel([0]), seeds=seeds, learning_rate=1e-2, hyper_lr=0.0)
    for seed in seeds:
        assert torch.equal(weights(run.policy(seed=seed)), of_run(run, seed=seed))
    with pytest.raises(ValueError, match="seed=5000002 is not in this run"):
        run.policy(seed=5_000_002)


def test_an_axis_of_length_1_may_be_left_out_or_named(run):
    full = dict(seed=1, learning_rate=1e-2, hyper_lr=0.1)
    assert torch.equal(weights(run.policy(**full)), weights(run.policy(**full, target_rate=1.0, discount=0.99, weight_decay=0)))
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


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("axis", ["seed", "learning_rate", "hyper_lr", "discount"])
def test_a_label_that_is_no_number_of_this_run_is_refused_in_one_short_line(run, axis, odd):
    with pytest.raises(ValueError) as refused:
        run.policy(**dict(seed=0, learning_rate=1e-2, hyper_lr=0.1) | {axis: ODD[odd]})
    message = str(refused.value)
    assert re.match(rf"{axis}=.* is not (allowed|in this run): use one .*\[", message) and len(message) < 600 and "\n" not in message


@pytest.mark.parametrize("one", ONE)
def test_a_label_in_any_wrapping_is_the_number(run, one):
    labels = dict(learning_rate=1e-2, hyper_lr=0.1)
    expected = weights(run.policy(seed=1, **labels))
    assert torch.equal(weights(run.policy(seed=ONE[one], **labels, target_rate=ONE[one])), expected)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.sampled_from([2**53, 2**62]), st.integers(-2, 2), st.sampled_from([int, float, Fraction, np.int64, np.float64]))
def test_seeds_are_matched_exactly(base, offset, kind):
    run = seeded(base)
    wanted = kind(base + offset)
    if wanted in (base, base + 1):
        assert torch.equal(weights(run.policy(seed=wanted)), of_run(run, seed=int(wanted)))
    else:
        with pytest.raises(ValueError, match="seed=.* is not in this run"):
            run.policy(seed=wanted)


@cache
def seeded(base):
    return train(data=small_pendulum().sel([0]), seeds=[base + 1, base], learning_rate=1e-2, hyper_lr=0.0)


@pytest.mark.parametrize("contain", CONTAINERS.values(), ids=CONTAINERS.keys())
def test_observations_in_whatever_holds_numbers_give_the_same_q_values(run, contain):
    policy = run.policy(seed=0, learning_rate=1e-2, hyper_lr=0.1)
    observations = np.array([[0, 1, 2], [3, 0, 1]])
    torch.testing.assert_close(policy(contain(observations)), policy(torch.tensor(observations)), rtol=0, atol=0)


@pytest.mark.parametrize(
    "observations",
    [np.ma.array([1.0, 2, 3], mask=[False, True, False]), ["1", "2", "3"], [1j, 0, 0], None, torch.tensor([1j, 0, 0]), [None, 1, 2]],
)
def test_observations_that_are_no_numbers_or_masked_are_refused(run, observations):
    with pytest.raises(ValueError, match="observations (is|has|holds) .*: use"):
        run.policy(seed=0, learning_rate=1e-2, hyper_lr=0.1)(observations)


@pytest.mark.parametrize(
    "observations, kind", [(torch.zeros(3, 3).to_sparse(), "torch.sparse_coo"), (torch.zeros(3, 3, device="meta"), "on the meta device")]
)
def test_a_tensor_that_holds_no_dense_numbers_is_refused(run, observations, kind):
    with pytest.raises(ValueError, match=f"observations is a tensor that is {kind}: use a dense tensor that holds numbers"):
        run.policy(seed=0, learning_rate=1e-2, hyper_lr=0.1)(observations)


def test_observations_may_need_gradients(run):
    observations = torch.ones(2, 3, requires_grad=True)
    run.policy(seed=0, learning_rate=1e-2, hyper_lr=0.1)(observations).sum().backward()
    assert observations.grad.abs().sum() > 0


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS.keys())
def test_q_values_are_the_networks_without_its_predictor(algorithm):
    run = train(algorithm, learning_rate=1e-2, hyper_lr=0.0)
    observations = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    plain = unflatten(run.network, torch.as_tensor(run.parameters.sel(seed=1).values.ravel()))
    torch.testing.assert_close(run.policy(seed=1)(observations), q_and_prediction(algorithm, plain, observations)[0])


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
        policy.head.weight.zero_()
    np.testing.assert_array_equal(run.parameters.values, before)


def test_a_policy_is_saved_and_trained_on_like_any_module(run):
    policy = run.policy(seed=0, learning_rate=1e-2, hyper_lr=0.1)
    policy(torch.zeros(2, 3)).sum().backward()
    assert policy.head.weight.grad.abs().sum() > 0
    other = run.policy(seed=1, learning_rate=1e-2, hyper_lr=0.1)
    other.load_state_dict(policy.state_dict())
    assert torch.equal(other(torch.ones(3)), policy(torch.ones(3)))
