"""Promise: `run.estimate` says what policies are worth by held-out data alone, labelled, and refuses what cannot say it."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray
from helpers import HANQ, TORCH, small_pendulum

import hanq
from hanq.data.returns import discounted_returns, ends
from hanq.training import averages, estimates
from hanq.training.run import GRID

NAMES = ("fqe", "wis", "own_q", "bellman_error", "drift", "scale")
GAMMA = 0.8
pytestmark = pytest.mark.filterwarnings("ignore:the dataset names no environment")


def train(data, algorithm=HANQ, **changes):
    usual = dict(learning_rate=[1e-2, 1e-3], hyper_lr=0.1, gradient_steps=3, eval_every=3, eval_episodes=1, batch_size=8) | TORCH
    return hanq.train(algorithm, data, **usual | changes)


@pytest.fixture(scope="module")
def run():
    return train(small_pendulum().sel([0, 1, 2]))


@pytest.fixture(scope="module")
def held_out():
    """Of the run's seeds, in another order and with one more."""
    return hanq.collect("Pendulum", [3, 2, 0, 1], size=120, episode_length=40, initial_velocity=1)


@pytest.fixture(scope="module")
def found(run, held_out):
    return run.estimate(held_out, gradient_steps=20, progress=False)


def test_estimates_lie_on_the_runs_axes_each_with_an_interval(run, found):
    assert isinstance(found, xarray.Dataset)
    assert set(found.data_vars) == {f"{name}{end}" for name in NAMES for end in ("", "_low", "_high")} | {"wis_steps"}
    for one in found.data_vars.values():
        assert one.dims == (*GRID, "seed")
    for axis in (*GRID, "seed"):
        np.testing.assert_array_equal(found[axis], run.curves[axis])
    for name in set(NAMES) - {"wis"}:
        assert (found[f"{name}_low"] <= found[name]).all() and (found[name] <= found[f"{name}_high"]).all(), name


def test_an_agents_signals_are_those_of_its_policy_on_the_data_of_its_seed(run, found, held_out):
    for seed in (0, 1, 2):
        data, policy = held_out.sel([seed]), run.policy(seed=seed, learning_rate=1e-3)
        q, next_q = (policy(x[0]).detach().numpy() for x in (data.observations, data.next_observations))
        error = data.rewards[0] + 0.99 * next_q.max(-1) - q[np.arange(120), data.actions[0]]
        here = found.sel(seed=seed, learning_rate=1e-3).squeeze()
        assert here.bellman_error.item() == pytest.approx((error**2).mean(), rel=1e-5)
        assert here.drift.item() == pytest.approx(error.mean(), rel=1e-5)
        assert here.own_q.item() == pytest.approx(q[[0, 40, 80]].max(-1).mean(), rel=1e-5)


def test_an_agents_estimates_do_not_depend_on_who_is_beside_it(run, found, held_out):
    alone = hanq.Run(run.network, run.curves, run.parameters.sel(seed=[1], learning_rate=[1e-3]))
    alone = alone.estimate(held_out.sel([1]), gradient_steps=20, progress=False)
    xarray.testing.assert_equal(alone, found.sel(seed=[1], learning_rate=[1e-3]))


def test_without_uniform_behaviour_there_is_no_importance_sampling(run, held_out):
    unknown = replace(held_out, provenance={})
    for given, data in ((None, unknown), (False, held_out)):
        one = run.estimate(data, uniform_behaviour=given, gradient_steps=1, progress=False)
        assert np.isnan(one.wis).all() and (one.wis_steps == 0).all()
    one = run.estimate(unknown, uniform_behaviour=True, gradient_steps=1, progress=False)
    assert (one.wis_steps > 0).any()


def walk(size=400, ends_there=True):
    """A walk over five states, one-hot, left or right at random; each step right costs 1, the right end pays 10."""
    rng, eye, rows, s = np.random.default_rng(0), np.eye(5), [], 0
    for _ in range(size):
        a = int(rng.integers(2))
        following = min(s + 1, 4) if a else max(s - 1, 0)
        over = following == 4
        rows.append((eye[s], a, 10.0 * over - a, eye[following], over and ends_there))
        s = 0 if over else following
    return hanq.Dataset.from_arrays(*(np.array(column) for column in zip(*rows, strict=True)))


def value_of(policy, ends_there=True):
    """Exact discounted value of each state, (5,), by iteration."""
    v = np.zeros(5)
    for _ in range(500):
        for s in range(4):
            following = min(s + 1, 4) if policy[s] else max(s - 1, 0)
            v[s] = 10.0 * (following == 4) - policy[s] + GAMMA * (v[following] if following < 4 else 0.0)
    return v


@pytest.mark.parametrize("policy", [[1, 1, 1, 1, 0], [0, 0, 0, 1, 0], [1, 0, 0, 0, 0]])
def test_fitted_q_evaluation_finds_the_exact_value_of_any_policy(policy):
    data, policy = walk(), np.array(policy)
    states = data.observations.argmax(-1), data.next_observations.argmax(-1)
    agents = estimates.Agents(np.array([0]), np.array([0]), np.array([GAMMA]), None)
    network, params = estimates.fitted(data, agents, policy[states[1]], 6000, False)
    q, _ = estimates._q(network, params[0], np.eye(5, dtype=np.float32))
    np.testing.assert_allclose(q[np.arange(4), policy[:4]], value_of(policy)[:4], atol=0.3)


def test_weighted_importance_sampling_averages_over_those_who_followed_the_policy():
    """Three episodes of rewards 1, 2, ...; the policy's actions are marked: two follow it for a step, one to its end."""
    agrees = np.array([True, False, True] + [True, True] + [False, True])
    rewards = np.array([1.0, 2, 3] + [4, 5] + [6, 7], np.float32)
    terminated = np.array([False, False, False] + [False, True] + [False, False])
    episodes = averages.episodes_of(np.array([0, 0, 1, 0, 1, 0, 1], bool), terminated)
    found, steps = averages.importance_sampling(agrees, rewards, 0.5, episodes)
    assert steps == 2 and found.mean == pytest.approx((1 + 4) / 2 + 0.5 * 5)


def test_an_episode_that_ended_under_the_policy_goes_on_with_nothing():
    agrees, rewards = np.ones(4, bool), np.array([1.0, 1, 1, 1], np.float32)
    episodes = averages.episodes_of(np.array([1, 0, 0, 1], bool), np.array([1, 0, 0, 0], bool))
    found, steps = averages.importance_sampling(agrees, rewards, 1.0, episodes)
    assert steps == 3 and found.mean == pytest.approx(1 + 0.5 + 0.5)
    cut_off = averages.episodes_of(np.array([1, 0, 0, 1], bool), np.zeros(4, bool))
    assert averages.importance_sampling(agrees, rewards, 1.0, cut_off)[0].mean == pytest.approx(3)


def test_importance_sampling_agrees_with_the_exact_value_where_there_are_many_episodes():
    data, policy = walk(60_000), np.array([1, 1, 1, 1, 0])
    episodes = averages.episodes_of(ends(data)[0], data.terminated[0])
    agrees = policy[data.observations[0].argmax(-1)] == data.actions[0]
    found, steps = averages.importance_sampling(agrees, data.rewards[0], GAMMA, episodes)
    assert steps == 4 and found.mean == pytest.approx(value_of(policy)[0], abs=1e-6)


def test_intervals_of_an_average_cover_it_as_often_as_they_say():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        lengths = rng.integers(1, 9, size=40)
        values = np.repeat(rng.normal(size=40), lengths) + rng.normal(size=lengths.sum())
        last = np.zeros(len(values), bool)
        last[np.cumsum(lengths) - 1] = True
        one = averages.over_transitions(values, averages.episodes_of(last, last))
        covered.append(one.low <= 0 <= one.high)
    assert 0.9 < np.mean(covered) < 0.99


def test_an_interval_of_one_episode_is_unknown():
    one = averages.mean(np.array([3.0]))
    assert one.mean == 3 and np.isnan([one.low, one.high]).all()


def test_episodes_end_where_the_next_row_begins_elsewhere_or_the_data_end():
    data = small_pendulum()
    np.testing.assert_array_equal(np.flatnonzero(ends(data)[0]), [49, 99])
    data = walk(50)
    np.testing.assert_array_equal(ends(data)[0, :-1], data.terminated[0, :-1])
    assert ends(data)[0, -1]
    still = hanq.Dataset.from_arrays(np.ones((4, 2)), [0] * 4, [0.0] * 4, np.ones((4, 2)), [0, 1, 0, 0])
    assert ends(still).tolist() == [[False, True, False, True]]


def test_discounted_returns_are_sums_within_an_episode():
    data = small_pendulum().sel([2])
    expected = sum(0.9**k * float(data.rewards[0, 20 + k]) for k in range(30))
    assert discounted_returns(data, 0.9)[0, 20] == pytest.approx(expected, rel=1e-9)


def test_diverged_agents_have_estimates_too(held_out):
    run = train(small_pendulum().sel([0]), learning_rate=[1e30], gradient_steps=6)
    one = run.estimate(held_out.sel([0]), gradient_steps=20, progress=False).squeeze()
    assert np.isfinite(one.fqe) and not np.isfinite(one.bellman_error)


def test_constant_rewards_and_short_data_are_taken():
    data = hanq.Dataset.from_arrays(np.eye(3), [0, 1, 1], [0.0, 0.0, 0.0], np.eye(3), [0, 0, 0])
    one = train(data).estimate(data, uniform_behaviour=True, gradient_steps=5, progress=False)
    assert np.isfinite(one.fqe).all()


BAD = {
    "held_out=5 is not a Dataset": lambda run, data: run.estimate(5),
    "held_out=array": lambda run, data: run.estimate(data.observations),
    "held_out has obs_dim 4: the run's policies need 3": lambda run, data: run.estimate(hanq.collect("CartPole", [0, 1, 2], size=9)),
    "held_out has action_count 5: the run's policies choose among 3": lambda run, data: run.estimate(replace(data, action_count=5)),
    "held_out has the seeds [3, 2]: use one dataset for all agents, or one for each of the run's seeds [0, 1, 2]": lambda run, data: (
        run.estimate(data.sel([3, 2]))
    ),
    "gradient_steps=0 is not allowed": lambda run, data: run.estimate(data, gradient_steps=0),
    "gradient_steps=2.5 is not allowed": lambda run, data: run.estimate(data, gradient_steps=2.5),
    "uniform_behaviour='yes' is not allowed: use True, False or None": lambda run, data: run.estimate(data, uniform_behaviour="yes"),
    "progress=2 is not allowed": lambda run, data: run.estimate(data, gradient_steps=1, progress=2),
    "the run's parameters have": lambda run, data: hanq.Run(run.network, run.curves, run.parameters.isel(parameter=slice(5))).estimate(
        data
    ),
    "the run is one of images": lambda run, data: hanq.Run(
        replace(run.network, convolutions=(hanq.algorithm.Convolution(1, 1, 1, 1),)), run.curves, run.parameters
    ).estimate(data),
}


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_be_estimated_is_refused_by_name(message, run, held_out):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        BAD[message](run, held_out)


@pytest.mark.filterwarnings("ignore:column 0 of observations has a standard deviation")
def test_what_standardised_agents_learned_from_is_what_their_evaluator_learns_from():
    """One column of 5 -+ 0.002: a reward of 1 for the action of its sign, else -1. The right policy is worth 1 / (1 - 0.5) = 2."""
    rng = np.random.default_rng(0)
    sign, following, actions = rng.integers(2, size=(3, 2_000))
    seen, after = 5 + 0.004 * (sign - 0.5)[:, None], 5 + 0.004 * (following - 0.5)[:, None]
    rewards = np.where(actions == sign, 1.0, -1.0)
    data = hanq.Dataset.from_arrays(seen, actions, rewards, after, np.zeros(2_000, bool))
    settings = dict(discount=0.5, standardise=True, gradient_steps=1_000, eval_every=1_000, progress=False)
    run = hanq.train(hanq.DQN, data, learning_rate=1e-2, target_rate=0.1, **settings)
    assert (run.policy()(torch.as_tensor(seen, dtype=torch.float32)).argmax(-1).numpy() == sign).mean() > 0.95
    assert run.estimate(data, gradient_steps=2_000, progress=False).fqe.item() == pytest.approx(2, abs=0.2)
