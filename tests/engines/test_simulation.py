"""Promise: policies are evaluated in any Gymnasium environment with discrete actions, as a plain loop would play them."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from helpers import DQN, HANQ, TORCH
from odd_environments import Numbered, Walk, limited, make_walk

import hanq
from hanq.data import playing
from hanq.data.environments import find
from hanq.data.playing import start_seeds

SHORT = dict(learning_rate=1e-2, gradient_steps=6, eval_every=3, eval_episodes=2, **TORCH)


def played_by_hand(make, policy, seeds, labels=None, options=None):
    """Returns of greedy episodes by a loop of our own."""
    returns = []
    with make() as env:
        for seed in seeds:
            seen, _ = env.reset(seed=seed, options=options)
            total, over = 0.0, False
            while not over:
                action = int(policy(torch.as_tensor(seen)).argmax())
                seen, reward, terminated, truncated, _ = env.step(action if labels is None else labels[action])
                total, over = total + reward, terminated or truncated
            returns.append(total)
    return returns


@pytest.mark.filterwarnings("ignore:column 1 of observations has a standard deviation of 0.0")
@pytest.mark.parametrize("environment", ["MountainCar-v0", "CartPole-v1", limited])
def test_returns_of_training_are_those_of_a_plain_loop(environment):
    make = (lambda: gymnasium.make(environment)) if isinstance(environment, str) else environment
    data = hanq.collect(environment, [0, 4], size=200)
    run = hanq.train(replace(HANQ, hidden_features=16), data, **SHORT)
    assert run.curves.score.isnull().all()
    for seed in (0, 4):
        expected = played_by_hand(make, run.policy(seed=seed), start_seeds(seed, 6, 2))
        assert run.curves.return_.sel(seed=seed).values.ravel()[-1] == pytest.approx(np.mean(expected), rel=1e-6)
        assert hanq.evaluate(run.policy(seed=seed), environment, episodes=3, seed=7) == pytest.approx(
            played_by_hand(make, run.policy(seed=seed), start_seeds(7, 0, 3)), rel=1e-6
        )


def test_an_agent_alone_gets_the_returns_that_it_gets_among_others():
    data = hanq.collect("CartPole-v1", range(3), size=200)
    run, alone = hanq.train(HANQ, data, **SHORT), hanq.train(HANQ, data.sel([1]), **SHORT)
    np.testing.assert_array_equal(run.curves.return_.sel(seed=1), alone.curves.return_.sel(seed=1))
    assert len(set(run.curves.return_.values.ravel())) > 1


def test_training_may_name_another_environment_than_the_data():
    data = hanq.collect(limited, [0], size=50)
    bare = replace(data, environment=None)
    named, given = hanq.train(DQN, data, **SHORT), hanq.train(DQN, bare, environment=limited, **SHORT)
    np.testing.assert_array_equal(named.curves.return_, given.curves.return_)
    assert given.curves.attrs["environment"] == "odd_environments.limited"
    with pytest.raises(ValueError, match="observations has obs_dim 2: CartPole needs 4"):
        hanq.train(DQN, data, environment="CartPole", **SHORT)
    with pytest.raises(ValueError, match="environment='Moon-v0' is unknown"):
        hanq.train(DQN, data, environment="Moon-v0", **SHORT)


def test_a_policy_without_some_actions_plays_the_others():
    data = hanq.collect(limited, [0], size=100)
    kept = data.actions[0] > 0
    arrays = [getattr(data, name)[0][kept] for name in ("observations", "actions", "rewards", "next_observations", "terminated")]
    with pytest.warns(UserWarning, match="no end is marked"):
        own = hanq.Dataset.from_arrays(*arrays, action_labels=[1, 2], environment=limited)
    run = hanq.train(DQN, own, **SHORT)
    policy = run.policy()
    expected = played_by_hand(limited, policy, start_seeds(0, 6, 2), labels=[1, 2])
    assert run.curves.return_.values.ravel()[-1] == pytest.approx(np.mean(expected))
    assert hanq.evaluate(policy, limited, episodes=2).tolist() == played_by_hand(limited, policy, start_seeds(0, 0, 2), labels=[1, 2])
    assert policy.act([0.0, 0.0]) in (1, 2)


@pytest.mark.parametrize("velocity", [None, 8.0, 0.5])
def test_a_built_in_environment_without_some_actions_is_played_in_gymnasium(velocity):
    data = hanq.collect("Pendulum", [0], size=60)
    kept = data.actions[0] != 1
    arrays = [getattr(data, name)[0][kept] for name in ("observations", "actions", "rewards", "next_observations", "terminated")]
    with pytest.warns(UserWarning, match="no end is marked"):
        own = hanq.Dataset.from_arrays(*arrays, action_labels=[0, 2], environment="Pendulum")
    run = hanq.train(DQN, own, eval_velocity=velocity, **SHORT)
    options = {"x_init": np.pi, "y_init": velocity or 8.0}
    expected = played_by_hand(find("Pendulum").make, run.policy(), start_seeds(0, 6, 2), labels=[0, 2], options=options)
    assert run.curves.return_.values.ravel()[-1] == pytest.approx(np.mean(expected), rel=1e-5)
    assert np.isfinite(run.curves.score).all() and run.policy().act(np.zeros(3)) in (0, 2)


def test_text_labels_name_an_environments_actions_in_order():
    data = replace(hanq.collect("CartPole", [0], size=50), action_labels=("left", "right"))
    plain = hanq.train(DQN, replace(data, action_labels=None), **SHORT)
    run = hanq.train(DQN, data, **SHORT)
    np.testing.assert_array_equal(run.curves.return_, plain.curves.return_)
    assert run.policy().act(np.zeros(4)) in ("left", "right")


def test_numbered_states_are_seen_as_in_the_data():
    def limited_states():
        return gymnasium.wrappers.TimeLimit(Numbered(), 20)

    data = hanq.collect(limited_states, [0], size=60)
    policy = hanq.train(DQN, data, **SHORT).policy()
    expected = played_by_hand(limited_states, lambda place: policy(np.eye(8)[int(place)]), [0])
    assert hanq.evaluate(policy, limited_states, episodes=1).tolist() == expected


def test_an_endless_episode_is_cut_off(monkeypatch):
    from hanq.data import simulators

    def endless():
        return Walk(goal=99)

    monkeypatch.setattr(simulators, "MOST_STEPS", 30)
    cut_off = r"environment='.*endless': an episode had not ended after 30 steps, .*gymnasium.wrappers.TimeLimit"
    with pytest.warns(UserWarning, match=cut_off):
        assert hanq.evaluate(lambda seen: torch.tensor([1.0, 0, 0]), endless, episodes=2).tolist() == [0, 0]
    with pytest.warns(UserWarning, match=cut_off):
        assert hanq.evaluate(lambda seen: torch.tensor([0, 1.0, 0]), endless, episodes=1, seed=3).tolist() == [30 * 31 / 2]
    with pytest.warns(UserWarning, match=cut_off):
        hanq.train(DQN, replace(hanq.collect(limited, [0], size=50), environment=endless), **SHORT)
    assert hanq.evaluate(lambda seen: torch.tensor([1.0, 0, 0]), limited, episodes=1).tolist() == [0]  # its own limit warns of nothing


@pytest.mark.parametrize("fault", ["raises", "hangs", "NaN observation", "NaN reward"])
def test_a_failing_environment_ends_training_with_its_name_and_step_and_loses_nothing(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(playing, "STEP_SECONDS", 0.4)
    faults = [None]

    def make_flaky():
        return gymnasium.wrappers.TimeLimit(Walk(goal=10**6, fault=faults[0], at=3), 5)

    data = replace(hanq.collect(lambda: Walk(), [0], size=50), environment=make_flaky)
    settings = dict(learning_rate=1e-2, eval_every=10, eval_episodes=1, checkpoint=tmp_path / "c", **TORCH)
    hanq.train(DQN, data, gradient_steps=10, **settings)
    faults[0] = fault
    with pytest.raises(RuntimeError, match=r"make_flaky' failed at step 3 of episode 0 \(agent 0 of seed 0, gradient step 20\)"):
        hanq.train(DQN, data, gradient_steps=20, **settings)
    faults[0] = None
    whole = hanq.train(DQN, data, gradient_steps=20, **settings | dict(checkpoint=None))
    resumed = hanq.train(DQN, data, gradient_steps=20, **settings)
    np.testing.assert_array_equal(resumed.curves.return_, whole.curves.return_)
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)


def test_what_is_evaluated_must_be_a_policy_of_that_environment():
    for policy, message in (
        (3, "policy=3 is not allowed: use run.policy"),
        (lambda seen: torch.zeros(2), r"policy gives Q-values of shape \(2,\): .*needs \(3,\)"),
    ):
        with pytest.raises((ValueError, RuntimeError), match=message):
            hanq.evaluate(policy, make_walk)
    run = hanq.train(DQN, hanq.collect("CartPole", [0], size=20), **SHORT)
    with pytest.raises(ValueError, match="observations has obs_dim 4: odd_environments.make_walk needs 2"):
        hanq.evaluate(run.policy(), make_walk)
    for bad in (dict(episodes=0), dict(seed=-1), dict(seed="a"), dict(episodes=1.5)):
        with pytest.raises(ValueError, match=f"{next(iter(bad))}s?=.* is not allowed"):
            hanq.evaluate(run.policy(), "CartPole", **bad)


@pytest.mark.parametrize("velocity", [0.0, 1.0, None])
def test_a_policy_has_the_mean_return_of_its_training(velocity):
    """Within 4 standard errors, which are far less than what other starts make."""
    data = hanq.collect("Pendulum", [0], size=200)
    run = hanq.train(DQN, data, **SHORT | dict(eval_episodes=400, eval_velocity=velocity))
    returns = hanq.evaluate(run.policy(), "Pendulum", episodes=50, seed=5, eval_velocity=velocity)
    trained = run.curves.return_.values.ravel()[-1]
    assert abs(returns.mean() - trained) < 4 * returns.std() * np.sqrt(1 / 50 + 1 / 400)
    played = played_by_hand(find("Pendulum").make, run.policy(), start_seeds(5, 0, 3), options={"x_init": np.pi, "y_init": 8.0})
    assert np.array_equal(returns[:3].round(3), np.round(played, 3)) == (velocity is None)


def test_a_speed_is_pendulums_alone_and_possible():
    with pytest.raises(ValueError, match="eval_velocity=2.0 applies to Pendulum only: leave it out for CartPole"):
        hanq.evaluate(lambda seen: seen, "CartPole", eval_velocity=2.0)
    with pytest.raises(ValueError, match="eval_velocity=9 is out of range: use a number from 0 to 8"):
        hanq.evaluate(lambda seen: seen, "Pendulum", eval_velocity=9)


def test_a_seed_is_the_same_starts_for_every_policy_and_environment_by_name_or_twin():
    run = hanq.train(DQN, hanq.collect("CartPole", [0], size=20), **SHORT)
    ours, twin = (hanq.evaluate(run.policy(), name, episodes=4, seed=1) for name in ("CartPole", "CartPole-v1"))
    np.testing.assert_array_equal(ours, twin)
    assert not np.array_equal(ours, hanq.evaluate(run.policy(), "CartPole", episodes=4, seed=2)) or len(set(ours)) == 1
