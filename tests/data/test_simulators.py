"""Promise: any Gymnasium environment with discrete actions can be collected in; what fails is named by environment and step."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_environments import Numbered, Walk, limited, make_walk

import hanq
from hanq.data import playing, simulators
from hanq.data.foundations.generator import BEHAVIOUR, integer


def logged_by_hand(make, seed, size):
    """The same transitions by a loop of our own."""
    rows = []
    with make() as env:
        seen, _ = env.reset(seed=seed)
        for action in integer(env.action_space.n, seed, BEHAVIOUR, 0, np.arange(size)):
            following, reward, terminated, truncated, _ = env.step(action)
            rows.append((seen, action, reward, following, terminated))
            seen = env.reset()[0] if terminated or truncated else following
    return [np.array(column) for column in zip(*rows, strict=True)]


@pytest.mark.parametrize("environment", ["MountainCar-v0", "CartPole-v1", limited, make_walk, Walk])
def test_collecting_is_a_plain_loop_of_gymnasiums(environment):
    make = (lambda: gymnasium.make(environment)) if isinstance(environment, str) else environment
    data = hanq.collect(environment, [3, 1], size=450)
    assert data.environment == environment and data.provenance["collected"] == "uniformly random actions"
    for i, seed in enumerate([3, 1]):
        columns = data.observations[i], data.actions[i], data.rewards[i], data.next_observations[i], data.terminated[i]
        for ours, theirs in zip(columns, logged_by_hand(make, seed, 450), strict=True):
            np.testing.assert_array_equal(ours, theirs.astype(ours.dtype))


def test_a_built_in_environment_and_its_gymnasium_twin_give_the_same_data():
    own, twin = hanq.collect("CartPole", [0], size=300), hanq.collect("CartPole-v1", [0], size=300)
    assert own.digest == twin.digest and twin.environment == "CartPole-v1"


def test_numbered_states_are_one_hot():
    data = hanq.collect(Numbered, [0], size=60)
    assert data.obs_dim == 8 and (data.observations.sum(-1) == 1).all()
    places = data.observations[0].argmax(-1)
    np.testing.assert_array_equal(data.next_observations[0].argmax(-1), places + data.actions[0])


def test_an_episode_may_be_cut_off_earlier():
    data = hanq.collect(lambda: Walk(goal=99), [0], size=60, episode_length=10)
    assert data.observations[0, :, 1].max() == 9 and not data.terminated.any()


class Continuous(Walk):
    def __init__(self):
        super().__init__()
        self.action_space = spaces.Box(-1, 1, (1,))


class Images(Walk):
    observation_space = spaces.Box(0, 255, (8, 8, 3), np.uint8)


class Graphs(Walk):
    observation_space = spaces.Sequence(spaces.Discrete(3))


def broken():
    raise OSError("no licence")


REFUSED = {
    "unknown id": ("Moon-v0", "environment='Moon-v0' is unknown: use one of .*'Pendulum'.*Gymnasium id.*function"),
    "number": (3, "environment=3 is unknown: use one of"),
    "an environment": (Walk(), "environment=<.*Walk object.*> is unknown: use one of .*a function without arguments"),
    "continuous": (Continuous, r"has actions in Box.*: use one with discrete actions"),
    "Pendulum-v1": ("Pendulum-v1", r"environment='Pendulum-v1' has actions in Box"),
    "images": (Images, r"shows images of shape \(8, 8, 3\): hanq.atari trains on frames"),
    "no fixed size": (Graphs, "which has no fixed count of numbers"),
    "fails": (broken, "is not allowed, for making it failed with OSError: 'no licence'"),
    "no environment": (lambda: 7, "makes a int, not a gymnasium.Env"),
}


@pytest.mark.parametrize(("environment", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_such_environment_is_refused(environment, message):
    for use in (lambda: hanq.collect(environment, [0], size=5), lambda: hanq.evaluate(lambda seen: seen, environment)):
        with pytest.raises(ValueError, match=message) as refused:
            use()
        assert "\n" not in str(refused.value) and len(str(refused.value)) < 700


FAULTS = {
    "raises": "KeyError: 'a wheel came off'",
    "hangs": "no answer for 0.4 seconds",
    "NaN observation": r"its observation is \[.*nan\]",
    "NaN reward": "its reward is nan",
    "other shape": r"its observation has shape \(1,\), not \(2,\)",
}


@pytest.mark.parametrize(("fault", "message"), FAULTS.items())
def test_a_failure_is_named_by_environment_and_step(fault, message, monkeypatch):
    monkeypatch.setattr(playing, "STEP_SECONDS", 0.4)

    def make_faulty():
        return Walk(goal=10**6, fault=fault, at=7)

    where = r"environment='.*make_faulty' failed at step 7 of episode 0 "
    with pytest.raises(RuntimeError, match=rf"{where}\(collecting with seed 5\): .*{message}"):
        hanq.collect(make_faulty, [5], size=100)
    with pytest.raises(RuntimeError, match=rf"{where}\(evaluating with seed 2\): .*{message}"):
        hanq.evaluate(lambda seen: np.zeros(3), make_faulty, seed=2)


def test_a_slow_environment_is_no_hanging_one(monkeypatch):
    monkeypatch.setattr(playing, "STEP_SECONDS", 0.4)

    class Slow(Walk):
        def step(self, action):
            playing.time.sleep(0.1)
            return super().step(action)

    assert hanq.collect(Slow, [0], size=8).size == 8


def test_a_start_that_fails_is_named():
    class NoStart(Walk):
        def reset(self, *, seed=None, options=None):
            raise OSError("no track")

    with pytest.raises(RuntimeError, match=r"NoStart' failed at the start of episode 0 \(collecting.*OSError: no track"):
        hanq.collect(NoStart, [0], size=5)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.integers(-3, 3), st.integers(1, 5), st.none() | st.lists(st.integers(-4, 8), min_size=1, max_size=5, unique=True))
def test_labels_are_the_environments_own_actions_or_name_them_in_order(start, actions, labels):
    simulator = simulators.Simulator("x", None, 2, actions, start, None, 10)
    own, count = list(range(start, start + actions)), actions if labels is None else len(labels)
    if labels is not None and set(labels) <= set(own):
        assert simulator.played(tuple(labels), count).tolist() == labels
    elif count == actions:
        assert simulator.played(labels and tuple(labels), count).tolist() == own
    else:
        with pytest.raises(ValueError, match=f"environment='x' has {actions} actions, but there are {count}"):
            simulator.played(tuple(labels), count)


class FromOne(Numbered):
    """The same with its states numbered from 1."""

    observation_space = spaces.Discrete(8, start=1)

    def seen(self):
        return super().seen() + 1


@pytest.mark.filterwarnings("ignore:actions never logged", "ignore:in .* the next observation is not")
def test_states_that_are_numbered_from_1_have_the_columns_that_collecting_gives_them():
    data = hanq.collect(FromOne, [0], size=200)
    assert set(data.observations[0].argmax(-1)) >= {0, 1, 2} and (data.observations.sum(-1) == 1).all()
    states = {name: getattr(data, name)[0].argmax(-1) + 1 for name in ("observations", "next_observations")}
    rows = dict(actions=data.actions[0], rewards=data.rewards[0], terminated=data.terminated[0])
    assert hanq.Dataset.from_arrays(**states, **rows, environment=FromOne).digest == data.digest
    with pytest.raises(ValueError, match="observations holds 0 at index .*: use states from 1 to 8"):
        hanq.Dataset.from_arrays(**states | dict(observations=states["observations"] - 1), **rows, environment=FromOne)


def test_a_wrapper_says_how_long_an_unregistered_environment_is():
    def limited_twice():
        return gymnasium.wrappers.TimeLimit(gymnasium.wrappers.TimeLimit(Walk(goal=1e9), 12_000), 11_000)

    assert hanq.evaluate(lambda seen: [0, 0, 1], limited_twice, episodes=1) == [sum(range(0, 2 * 11_001, 2))]


@pytest.mark.parametrize("reward", [1e39, 1e300])
def test_a_reward_that_float32_cannot_hold_is_named_where_it_comes(reward):
    class Rich(Walk):
        def step(self, action):
            seen, _, *rest = super().step(action)
            return seen, reward if self.steps == 3 else 0.0, *rest

    with pytest.raises(RuntimeError, match="step 3 of episode 0.*its reward is 1e.*float32's range"):
        hanq.collect(Rich, [0], size=20)


@pytest.mark.parametrize("seed", [np.array([3, 4]), [3], 1.5, -1, True, "3"])
def test_a_seed_of_an_evaluation_is_one_integer(seed):
    with pytest.raises(ValueError, match="^seed=.* is not allowed: use one integer from 0"):
        hanq.evaluate(lambda seen: [0, 0, 1], make_walk, seed=seed)


@pytest.mark.parametrize("given", [None, "x", object()])
def test_a_policy_that_gives_no_q_values_is_named(given):
    with pytest.raises(ValueError, match="^policy gives .*: use a function from an observation to 3 Q-values"):
        hanq.evaluate(lambda seen: given, make_walk)
