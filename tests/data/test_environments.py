"""Promise: the compiled environments are Gymnasium's, step by step from any state."""

from math import pi

import numpy as np
import pytest
from scipy.stats import kstest

from hanq.data import environments
from hanq.data.environments import ENVIRONMENTS, find

STATES = 3000
HIGH = {  # how far the transplanted states reach; beyond what episodes visit
    "Pendulum": [40.0, 8.0, 0, 0],
    "Acrobot": [pi, pi, 4 * pi, 9 * pi],
    "CartPole": [2.6, 4.0, 0.25, 4.0],
}
DIMS = {"Pendulum": 2, "Acrobot": 4, "CartPole": 4}
every_environment = pytest.mark.parametrize("name", ENVIRONMENTS)


def transplanted(name, states, actions):
    """What Gymnasium makes of each state and action: observation, reward, terminated, next state."""
    with find(name).make() as twin:
        twin.reset(seed=0)
        for state, action in zip(states, actions, strict=True):
            twin.reset()  # CartPole warns about steps beyond a termination
            twin.unwrapped.state = state[: DIMS[name]].copy()
            observation, reward, terminated, _, _ = twin.step(action)
            yield observation, reward, terminated, np.asarray(twin.unwrapped.state)


def compare(name, states, actions):
    """Hold each compiled step to Gymnasium's; returns rewards, terminations and next states."""
    environment = find(name)
    observation = np.empty(environment.obs_dim, np.float32)
    rewards, endings, states_after = [], [], []
    for state, action, theirs in zip(states, actions, transplanted(name, states, actions), strict=True):
        their_observation, their_reward, their_ending, their_state = theirs
        ours = state.copy()
        reward, terminated = environments.step(environment.code, ours, action)
        environments.observe(environment.code, ours, observation)
        np.testing.assert_allclose(ours[: DIMS[name]], their_state, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(observation, their_observation, rtol=1e-6, atol=1e-6)
        assert reward == pytest.approx(their_reward, rel=1e-8, abs=1e-8)
        assert terminated == their_ending
        rewards.append(reward), endings.append(terminated), states_after.append(ours)
    return np.array(rewards), np.array(endings), np.array(states_after)


@every_environment
def test_a_step_from_any_state_equals_gymnasiums(name):
    rng = np.random.default_rng(1)
    states = rng.uniform(-1, 1, (STATES, 4)) * HIGH[name]
    actions = rng.integers(find(name).actions, size=STATES)
    rewards, endings, after = compare(name, states, actions)
    if name == "Pendulum":
        assert not endings.any() and rewards.min() < -12  # the wrap bounds the angle's part by pi ** 2
        assert rewards.min() > -(pi**2 + 0.1 * 64 + 0.001 * 4) - 1e-9
        assert (np.abs(after[:, 1]) == 8).any()  # velocities do reach their bound
    else:
        assert 0.05 < endings.mean() < 0.95  # both outcomes are compared
    if name == "Acrobot":
        assert set(rewards) == {0.0, -1.0} and ((rewards == 0) == endings).all()
        assert (np.abs(states[:, :2] - after[:, :2]) > pi).any()  # angles do wrap
        assert (np.abs(after[:, 2]) == 4 * pi).any() and (np.abs(after[:, 3]) == 9 * pi).any()


def test_pendulums_angle_wraps_at_pi():
    edges = np.array([pi, -pi, 3 * pi, -3 * pi, 101 * pi]) + np.array([-1e-9, 0, 1e-9, 1e-3, -1e-3])[:, None]
    states = np.zeros((edges.size, 4))
    states[:, 0] = edges.ravel()
    rewards, _, _ = compare("Pendulum", states, np.ones(len(states), int))
    np.testing.assert_allclose(rewards, -(pi**2), atol=0.01)


def test_cartpole_ends_exactly_where_gymnasium_ends_it():
    angle = 12 * 2 * pi / 360
    states = np.zeros((12, 4))
    states[:6, 0] = [2.4, np.nextafter(2.4, 3), np.nextafter(2.4, 0), -2.4, np.nextafter(-2.4, -3), 2.39]
    states[6:, 2] = [angle, np.nextafter(angle, 1), np.nextafter(angle, 0), -angle, np.nextafter(-angle, -1), 0.2]
    for action in (0, 1):
        _, endings, _ = compare("CartPole", states, np.full(len(states), action))
        assert 4 <= endings.sum() <= 8


def test_acrobot_near_its_height_ends_where_gymnasium_ends_it():
    rng = np.random.default_rng(2)
    theta = rng.uniform(pi / 2, pi, 500)  # -cos(t1) - cos(t1 + t2) = 1 gives t2
    rest = np.clip(-1 - np.cos(theta), -1, 1)
    states = np.column_stack([theta, np.arccos(rest) - theta, rng.normal(0, 4, (500, 2))])
    _, endings, _ = compare("Acrobot", states, rng.integers(3, size=500))
    assert 0.1 < endings.mean() < 0.9


@every_environment
def test_whole_random_episodes_stay_together(name):
    environment, rng = find(name), np.random.default_rng(3)
    for seed in range(3):
        with environment.make() as twin:
            twin.reset(seed=seed)
            ours = np.zeros(4)
            ours[: DIMS[name]] = twin.unwrapped.state
            for _ in range(100):
                action = rng.integers(environment.actions)
                _, reward, ended, _, _ = twin.step(action)
                our_reward, our_ended = environments.step(environment.code, ours, action)
                assert (our_reward, our_ended) == (pytest.approx(reward, rel=1e-6, abs=1e-6), ended)
                if ended:
                    break


@every_environment
def test_resets_fill_gymnasiums_ranges(name):
    environment = find(name)
    with environment.make() as twin:
        twin.reset(seed=0)
        theirs = np.array([(twin.reset(), np.array(twin.unwrapped.state))[1] for _ in range(2000)], np.float64)
    ours = np.empty((2000, 4))
    for episode in range(2000):
        environments.reset(environment.code, ours[episode], 5, 1000, episode)
    bounds = {"Pendulum": [pi, 1], "Acrobot": [0.1] * 4, "CartPole": [0.05] * 4}[name]
    for i, bound in enumerate(bounds):
        for values in (ours[:, i], theirs[:, i]):
            assert 0.99 * bound < np.abs(values).max() <= bound * (1 + 1e-6)
            assert kstest(values, "uniform", (-bound, 2 * bound)).pvalue > 1e-3
    assert np.abs(np.corrcoef(ours.T[: DIMS[name]]) - np.eye(DIMS[name])).max() < 0.1


def test_pendulums_starts_may_be_as_fast_as_asked_for_and_the_others_know_no_velocity():
    starts = {name: np.empty((2, 4)) for name in DIMS}
    for name, (usual, fast) in starts.items():
        environments.reset(find(name).code, usual, 5, 1000, 0)
        environments.reset(find(name).code, fast, 5, 1000, 0, 8.0)
    usual, fast = starts.pop("Pendulum")
    assert fast[0] == usual[0] and fast[1] == 8 * usual[1]
    assert all(np.array_equal(usual, fast) for usual, fast in starts.values())


@every_environment
def test_starts_differ_between_seeds_steps_and_episodes_and_are_repeatable(name):
    starts = {}
    for key in [(0, 1, 0), (1, 1, 0), (0, 2, 0), (0, 1, 1), (0, 1, 0)]:
        state = np.empty(4)
        environments.reset(find(name).code, state, *key)
        assert starts.setdefault(key, tuple(state)) == tuple(state)
    assert len(set(starts.values())) == 4
    assert len({x for start in starts.values() for x in start}) == 16


@every_environment
def test_sizes_are_gymnasiums(name):
    environment = find(name)
    with environment.make() as twin:
        assert twin.observation_space.shape == (environment.obs_dim,)
        assert twin.action_space.n == environment.actions
        assert twin.spec.max_episode_steps == environment.horizon


def test_pendulum_actions_are_torques_of_minus_2_0_and_2():
    assert environments.PENDULUM_TORQUES == (-2.0, 0.0, 2.0)
    speeds = [state[1] for state in compare("Pendulum", np.zeros((3, 4)), np.arange(3))[2]]
    np.testing.assert_allclose(speeds, [-0.3, 0.0, 0.3], rtol=1e-12)


def test_an_unknown_environment_is_refused_by_name():
    with pytest.raises(ValueError, match=r"environment='LunarLander' is unknown: use one of .*Pendulum.*Acrobot.*CartPole"):
        find("LunarLander")
