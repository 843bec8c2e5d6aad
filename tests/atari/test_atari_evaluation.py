"""Promise: games of Seaquest are scored whole, and the Bellman error is that of Q on a fixed sample."""

import numpy as np
import pytest
import torch
from atari_problem import small_frames, some_agents, some_engine

import hanq
from hanq.atari import evaluation, game
from hanq.atari.evaluation import Evaluation, bellman_error, greedy, play
from hanq.atari.network import seaquest_network
from hanq.engines.population import initial_parameters, initial_state


@pytest.fixture(autouse=True)
def small_sample(monkeypatch):
    monkeypatch.setattr(evaluation, "SAMPLE", 16)


def fixed_players(network, actions):
    """Parameters (len(actions), network.size) of agents that always take one action."""
    params = np.zeros((len(actions), network.size), np.float32)
    network.views(params)["head.bias"][np.arange(len(actions)), actions] = 1
    return torch.as_tensor(params)


def test_a_game_is_played_to_its_end_across_lives_for_unclipped_points():
    """Two players who each press one button, against the emulator told to press it."""
    buttons, starts = [5, 9], np.array([[11], [12]])
    network = seaquest_network(hanq.DQN, 18)
    env = game.make(2)
    returns = play(env, network, fixed_players(network, buttons), starts)
    plain = game.make(1)
    for i, button in enumerate(buttons):
        _, (lives,) = game.start(plain, starts[i])
        total, over, lost = 0, False, 0
        while not over:
            _, (reward,), (over,), _, info = plain.step(np.array([button]))
            lost += info["lives"][0] < lives
            (lives,) = info["lives"]
            total += reward
        assert returns[i] == total > 20 and lost == 4
    env.close()
    plain.close()


def test_a_game_is_cut_off_at_the_horizon_and_its_start_is_a_function_of_the_seed():
    network = seaquest_network(hanq.HANQ, 18)
    params = torch.as_tensor(initial_parameters(network, [0]))
    seen = []

    class Seen(type(game.make(1))):
        def step(self, actions):
            result = super().step(actions)
            seen.append(result[0])
            return result

    env = game.make(2, horizon=10)
    env.__class__ = Seen
    play(env, network, params, np.array([[5, 6]]))
    first, seen[:] = np.stack(seen), []
    assert len(first) == 2 + 10  # FIRE and UP come first
    play(env, network, params, np.array([[5, 6]]))
    assert np.array_equal(np.stack(seen), first)
    env.close()


def test_greedy_takes_the_first_best_action_and_0_where_q_is_not_finite():
    nan, inf = float("nan"), float("inf")
    assert greedy(torch.tensor([[1.0, 3, 3], [nan, 1, 2], [0, inf, 1], [-2, -1, -3]])).tolist() == [1, 0, 0, 1]


def test_two_evaluations_of_one_state_agree_and_games_start_by_seed_and_step(monkeypatch):
    agents = some_agents([1, 2])
    engine = some_engine(hanq.DQN_LN, agents)
    measure, state = Evaluation(engine, 2, 12), initial_state(engine.network, agents)
    one, again = measure(state), measure(state)
    for name in ("return_", "msbe", "scale"):
        np.testing.assert_array_equal(one[name], again[name])
    np.testing.assert_array_equal(one["scale"], 1)
    starts = []
    monkeypatch.setattr(evaluation, "play", lambda env, network, params, seeds: starts.append(seeds) or np.zeros((2, 2)))
    for step in (0, 1):
        measure(state._replace(gradient_step=step))
    assert len(np.unique(starts)) == 8  # two steps, two agents, two games


@pytest.mark.parametrize("name", ["DQN", "HANQ"])
def test_msbe_is_that_of_q_alone_on_a_fixed_sample_of_each_agents_own_data(name, monkeypatch):
    monkeypatch.setattr(evaluation, "SAMPLE", 150)
    monkeypatch.setattr(evaluation, "CHUNK", 40)
    agents = some_agents([2, 1], discount=0.9)
    engine = some_engine(getattr(hanq, name), agents)
    params = torch.as_tensor(initial_parameters(engine.network, [7, 8]))
    error, scale = bellman_error(engine, params)
    for i, seed in enumerate(agents.seeds):
        data = small_frames().members[seed - 1]
        index = hanq.data.foundations.generator.minibatch([seed], [0], 400, 150)[0, 0]
        assert data.terminated[index].any()
        weights = engine.network.views(params[i : i + 1])

        def q(stacks, weights=weights):
            stacks = torch.as_tensor(stacks)[None]
            return hanq.reference.q_values(engine.network, weights, hanq.reference.hidden(engine.network, weights, stacks))[0]

        target = data.rewards[index] + 0.9 * ~data.terminated[index] * q(data.next_observations(index)).amax(1).numpy()
        taken = q(data.observations(index)).numpy()[np.arange(150), data.actions[index]]
        assert error[i] == pytest.approx(np.mean((taken - target) ** 2), rel=1e-4)
    assert (scale == 1).all() if name == "DQN" else (np.abs(scale - 1) < 0.5).all() and (scale != 1).all()
