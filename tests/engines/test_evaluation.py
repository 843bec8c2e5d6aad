"""Promise: returns, msbe and scale are those of the agent's own network, wherever they are computed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import ALGORITHMS, DQN, HANQ, TORCH, small_pendulum
from plain import q_and_prediction, unflatten

import hanq
from hanq.algorithm import Agents
from hanq.data import environments
from hanq.data.environments import ENVIRONMENTS, find
from hanq.engines import forward
from hanq.engines.evaluation import bellman_error, evaluate, mean_return
from hanq.engines.population import initial_state
from hanq.training.run import Policy

EPISODES, STEP = 3, 3000
HORIZONS = {"Pendulum": 200, "Acrobot": 110, "CartPole": 500}  # Acrobot's chaos amplifies rounding after that
CONTROLLER = {  # push where this much of the observation points: episodes of many lengths
    "Pendulum": [0, 0, 1.0],
    "Acrobot": [0, 0, 0, 0, 0, 1.0],
    "CartPole": [0.02, 0.1, 1.0, 0.4],
}


def controller(algorithm, environment, seed):
    """A network whose greedy policy is nearly the linear controller, (network, params)."""
    network = hanq.Network(algorithm, environment.obs_dim, environment.actions)
    params = np.random.default_rng(seed).normal(0, 0.1, network.size).astype(np.float32)
    views = network.views(params)
    push = np.array(CONTROLLER[environment.name], np.float32)
    views["hidden_0.weight"][:2] += [push, -push]
    views["head.weight"][[-1, 0], [0, 1]] += 1
    if algorithm.main_norm == "layer":
        views["main_norm.weight"][:] += 1
    return network, params


def rollout(environment, policy, seed):
    """Returns of greedy episodes in Gymnasium, from the starts that `mean_return` uses."""
    returns, margins = [], []
    with environment.make(HORIZONS[environment.name]) as twin:
        for episode in range(EPISODES):
            twin.reset(seed=0)
            start = np.empty(4)
            environments.reset(environment.code, start, seed, STEP, episode)
            twin.unwrapped.state = start[: 2 if environment.name == "Pendulum" else 4]
            observation = np.empty(environment.obs_dim, np.float32)
            environments.observe(environment.code, start, observation)
            total, over = 0.0, False
            while not over:
                q = policy(observation).detach()
                best = q.sort().values
                margins.append((best[-1] - best[-2]).item())
                observation, reward, terminated, truncated, _ = twin.step(int(q.argmax()))
                total, over = total + reward, terminated or truncated
            returns.append(total)
    return returns, margins


@pytest.mark.parametrize("algorithm", [DQN, HANQ, ALGORITHMS["PQN"]], ids=["DQN", "HANQ", "PQN"])
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_mean_returns_are_those_of_the_policy_in_gymnasium(name, algorithm):
    environment, seen = find(name), []
    for seed in range(3):
        network, params = controller(algorithm, environment, seed)
        returns, margins = rollout(environment, Policy(network, params), seed)
        assert min(margins) > 1e-5  # no choice here hangs on the last bits of a Q-value
        ours = mean_return(forward.layout(network), params, environment.code, seed, STEP, EPISODES, HORIZONS[name])
        assert ours == pytest.approx(np.mean(returns), rel=1e-5)
        seen += returns
    assert len({round(return_, 3) for return_ in seen}) > 3


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS.keys())
def test_msbe_and_scale_are_those_of_a_plain_network(algorithm):
    data, gamma = small_pendulum().sel([2]), 0.93
    network = hanq.Network(algorithm, 3, 3)
    params = np.random.default_rng(7).normal(0, 0.7, network.size).astype(np.float32)
    ended = np.arange(data.size) % 3 == 0
    logged = [getattr(data, name)[0] for name in ("observations", "actions", "rewards", "next_observations")]
    full, extended = forward.with_affine(network, params[None])
    error, scale = bellman_error(forward.layout(full), extended[0], gamma, *logged, ended)

    weights = unflatten(network, torch.as_tensor(params, dtype=torch.float64))
    s, a, r, s_next = (torch.as_tensor(x).double() for x in logged)
    q, guess = q_and_prediction(algorithm, weights, s)
    target = r + gamma * ~torch.as_tensor(ended) * q_and_prediction(algorithm, weights, s_next)[0].amax(1)
    taken = q[torch.arange(data.size), a.long()]
    assert error == pytest.approx((taken - target).square().mean().item(), rel=1e-4)
    two = ((guess[:, 0] - guess[:, 1]) / (q[:, 0] - q[:, 1])).mean().item()  # the bias cancels
    assert scale == pytest.approx(two, rel=1e-4)
    if algorithm.predictor == "none":
        assert scale == 1


def test_evaluating_a_network_without_gains_is_evaluating_it_with_gains_of_1():
    data = small_pendulum()
    found = []
    for affine in (True, False):
        network, agents, state = population(replace(HANQ, norm_affine=affine, predictor_norm="layer"), data, 4)
        found.append(evaluate(network, agents, data, state, 2))
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name])


def population(algorithm, data, count):
    agents = Agents(*(np.arange(count), np.arange(count)), *np.full((5, count), [[0.1], [0], [1], [0.9], [0]]))
    network = hanq.Network(algorithm, data.obs_dim, data.action_count)
    return network, agents, initial_state(network, agents)


def test_each_agent_is_measured_on_its_own_data_and_starts():
    data = small_pendulum()
    network, agents, state = population(HANQ, data, 4)
    together = evaluate(network, agents, data, state, episodes=2)
    for i in range(4):
        one = Agents(*(column[i : i + 1] for column in agents))
        alone = evaluate(network, one, data, state._replace(params=state.params[i : i + 1]), episodes=2)
        for name, values in alone.items():
            assert values[0] == together[name][i]
    assert len(set(together["msbe"])) == len(set(together["return_"])) == 4


def test_the_starts_depend_on_the_gradient_step():
    data = small_pendulum()
    network, agents, state = population(DQN, data, 4)
    first, later = (evaluate(network, agents, data, state._replace(gradient_step=step), 2) for step in (10, 20))
    assert (first["return_"] != later["return_"]).all() and (first["msbe"] == later["msbe"]).all()


def test_actions_are_greedy_the_first_of_equals_and_0_where_a_value_is_not_finite():
    inf, nan = np.inf, np.nan
    cases = {(1, 2, 0): 1, (0, 0, 0): 0, (1, 3, 3): 1, (-3, -2, -1): 2, (1, nan, 9): 0, (1, inf, 0): 0, (1, -inf, 2): 0}
    for q, action in cases.items():
        assert forward.greedy.py_func(np.array(q, np.float32)) == action


def test_the_highest_value_is_nan_where_there_is_one():
    for q, best in {(1, 2, 0): 2, (-3, -5, -4): -3, (1, np.nan, 3): np.nan, (np.nan, 1, 2): np.nan}.items():
        np.testing.assert_equal(float(forward.highest.py_func(np.array(q, np.float32))), best)


@pytest.mark.parametrize("width", [2, 128])
def test_an_agent_that_learned_nan_gets_the_return_of_action_0(width):
    environment = find("CartPole")
    network = hanq.Network(replace(HANQ, hidden_features=width), 4, 2)
    params = np.full(network.size, np.nan, np.float32)
    return_ = mean_return(forward.layout(network), params, environment.code, 0, STEP, 20, environment.horizon)
    assert 8 <= return_ <= 11  # always pushing left


def test_scores_map_table_10s_returns_to_0_and_100():
    table_10 = {"Pendulum": (-1500, -200), "Acrobot": (-500, -100), "CartPole": (0, 500)}
    for name, (low, high) in table_10.items():
        assert (find(name).score(low), find(name).score(high)) == (0, 100)
        assert find(name).score((low + high) / 2) == 50


def test_curves_hold_what_evaluate_measures():
    data = small_pendulum().sel([1, 3])
    run = hanq.train(HANQ, data, learning_rate=1e-2, discount=0.9, gradient_steps=6, eval_every=3, eval_episodes=2, **TORCH)
    agents = Agents(data.seeds, np.arange(2), *np.full((5, 2), [[1e-2], [0], [1], [0.9], [0]]))
    state = initial_state(run.network, agents)._replace(gradient_step=6, params=run.parameters.values.reshape(2, -1))
    for name, values in evaluate(run.network, agents, data, state, episodes=2, velocity=8.0).items():
        np.testing.assert_allclose(run.curves[name].isel(gradient_step=-1).values.ravel(), values, rtol=1e-6)


def test_faster_starts_are_other_episodes_of_the_same_agents():
    runs = [
        hanq.train(DQN, small_pendulum(), learning_rate=1e-3, gradient_steps=2, eval_every=2, eval_velocity=velocity, **TORCH)
        for velocity in (1.0, 8.0, None)
    ]
    slow, fast, default = runs
    assert np.array_equal(slow.parameters, fast.parameters) and np.array_equal(slow.curves.msbe, fast.curves.msbe)
    assert (slow.curves.return_.values != fast.curves.return_.values).all()
    assert default.curves.identical(fast.curves.assign_attrs(wall_seconds=default.curves.attrs["wall_seconds"]))
    assert [run.curves.attrs["eval_velocity"] for run in runs] == [1.0, 8.0, 8.0]
