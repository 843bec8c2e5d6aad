"""Promise: offline data are what a Gymnasium loop with uniformly random actions logs, one dataset a seed."""

import re

import numpy as np
import pandas
import pytest
import torch
import xarray
from helpers import small_pendulum
from odd_values import ODD, ONE
from scipy.stats import chisquare, kstest

import hanq
from hanq.data.dataset import DIMS
from hanq.data.environments import ENVIRONMENTS, find
from hanq.data.foundations.generator import BEHAVIOUR, integer

every_environment = pytest.mark.parametrize("name", ENVIRONMENTS)


def logged_by_hand(name, seed, size, episode_length, options=None):
    """The same transitions by a loop of our own, and which of them were cut off by the time limit."""
    actions = integer(find(name).actions, seed, BEHAVIOUR, 0, np.arange(size))
    rows, truncations = [], []
    with find(name).make(episode_length) as twin:
        observation, _ = twin.reset(seed=seed, options=options)
        for action in actions:
            following, reward, terminated, truncated, _ = twin.step(action)
            rows.append((observation, action, reward, following, terminated))
            truncations.append(truncated and not terminated)
            observation = twin.reset(options=options)[0] if terminated or truncated else following
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return dict(zip(DIMS, columns, strict=True)), np.array(truncations)


@every_environment
def test_collected_data_are_those_of_a_gymnasium_loop(name):
    data = hanq.collect(name, [3, 8], size=700, episode_length=90)
    options = {"x_init": np.pi, "y_init": 8.0} if name == "Pendulum" else None
    for position, seed in enumerate([3, 8]):
        expected, truncations = logged_by_hand(name, seed, 700, 90, options)
        for field, values in expected.items():
            np.testing.assert_array_equal(getattr(data, field)[position], values.astype(getattr(data, field).dtype))
        assert not data.terminated[position][truncations].any()
        assert truncations.any() or name == "CartPole"


def test_a_time_limit_is_no_termination():
    short = hanq.collect("CartPole", [0], size=500, episode_length=5)
    breaks = (short.observations[0, 1:] != short.next_observations[0, :-1]).any(-1)
    assert breaks.sum() >= 99 and short.terminated.sum() < 5  # nearly every episode is cut off
    usual = hanq.collect("CartPole", [0], size=500)
    breaks = (usual.observations[0, 1:] != usual.next_observations[0, :-1]).any(-1)
    np.testing.assert_array_equal(breaks, usual.terminated[0, :-1])  # none is
    assert usual.terminated.sum() > 10


def test_pendulum_never_terminates():
    assert not small_pendulum().terminated.any()


@every_environment
def test_a_seeds_data_do_not_depend_on_who_else_is_collected(name):
    together = hanq.collect(name, [2, 5, 9], size=60)
    for position, seed in enumerate([2, 5, 9]):
        alone = hanq.collect(name, seed, size=60)
        for field in DIMS:
            np.testing.assert_array_equal(getattr(alone, field)[0], getattr(together, field)[position])
    assert (together.actions[0] != together.actions[1]).any()
    assert len(np.unique(together.observations[:, 0], axis=0)) == 3


def test_default_sizes_are_the_papers():
    data = hanq.collect("Pendulum", [0])
    assert data.size == 1000
    assert (find("Acrobot").dataset_size, find("CartPole").dataset_size) == (10_000, 10_000)
    starts = np.flatnonzero((data.observations[0, 1:] != data.next_observations[0, :-1]).any(-1)) + 1
    assert starts.tolist() == [200, 400, 600, 800]  # five episodes of 200 steps


def episode_starts(**arguments):
    data = hanq.collect("Pendulum", range(12), size=250, episode_length=5, **arguments)
    first = data.observations[:, ::5].reshape(-1, 3)
    return np.arctan2(first[:, 1], first[:, 0]), first[:, 2]


@pytest.mark.parametrize(("given", "bound"), [({}, 8.0), (dict(initial_velocity=1), 1.0), (dict(initial_velocity=0.25), 0.25)])
def test_pendulum_episodes_start_at_every_angle_and_velocity_alike(given, bound):
    angles, velocities = episode_starts(**given)
    assert kstest(angles, "uniform", (-np.pi, 2 * np.pi)).pvalue > 1e-3
    assert 0.98 * bound < np.abs(velocities).max() <= bound
    assert kstest(velocities, "uniform", (-bound, 2 * bound)).pvalue > 1e-3


def test_an_initial_velocity_of_0_starts_every_episode_at_rest():
    assert not episode_starts(initial_velocity=0)[1].any()


@every_environment
def test_actions_are_uniform(name):
    data = hanq.collect(name, range(5), size=1000)
    assert chisquare(np.bincount(data.actions.ravel(), minlength=data.action_count)).pvalue > 1e-3


def test_a_dataset_has_the_contracts_arrays():
    data = small_pendulum()
    for field, (shape, dtype) in {
        "observations": ((4, 100, 3), "float32"),
        "actions": ((4, 100), "int64"),
        "rewards": ((4, 100), "float32"),
        "next_observations": ((4, 100, 3), "float32"),
        "terminated": ((4, 100), "bool"),
        "seeds": ((4,), "int64"),
    }.items():
        array = getattr(data, field)
        assert (array.shape, str(array.dtype)) == (shape, dtype)
    assert (data.environment, data.action_count, data.size, data.obs_dim) == ("Pendulum", 3, 100, 3)
    for key in ("command", "commit", "versions", "date", "episode_length", "initial_velocity"):
        assert key in data.provenance


def test_sel_gives_the_datasets_of_those_seeds_in_that_order():
    data = small_pendulum()
    for seeds, positions in [([2], [2]), ([3, 0], [3, 0]), (1, [1]), (np.array([1]), [1])]:
        chosen = data.sel(seeds=seeds)
        assert chosen.seeds.tolist() == positions and chosen.environment == "Pendulum"
        for field in DIMS:
            np.testing.assert_array_equal(getattr(chosen, field), getattr(data, field)[positions])
    with pytest.raises(KeyError, match=r"\[7\].*\[0, 1, 2, 3\]"):
        data.sel(seeds=[0, 7])
    for seeds, named in (([0, 0], "repeats a seed"), ([], r"seeds=\[\]"), ([0.7], r"seeds=\[0.7\]")):
        with pytest.raises(ValueError, match=named):
            data.sel(seeds=seeds)


BAD = [
    (dict(environment="Moon-v0"), r"environment='Moon-v0' is unknown: use one of .*Pendulum"),
    (dict(seeds=[]), r"seeds=\[\] is not allowed: use distinct integers from 0"),
    (dict(seeds=[0, 1, 0]), r"seeds=\[0, 1, 0\] repeats a seed"),
    (dict(seeds=[0, -1]), r"seeds=\[0, -1\] is not allowed: use distinct integers from 0"),
    (dict(seeds=[0.5]), r"seeds=\[0.5\] is not allowed: use distinct integers from 0"),
    (dict(seeds=[[0, 1]]), r"seeds=\[\[0, 1\]\] is not allowed"),
    (dict(seeds="3"), r"seeds=.* is not allowed"),
    (dict(seeds=[[0], [1, 2]]), r"seeds=.* is ragged"),
    (dict(seeds=[2**63]), r"seeds=\[9223372036854775808\] is not allowed"),
    (dict(size=0), r"size=0 is not allowed: use an integer of at least 1"),
    (dict(size=-5), r"size=-5 is not allowed"),
    (dict(size=10.5), r"size=10.5 is not allowed"),
    (dict(size=float("nan")), r"size=nan is not allowed"),
    (dict(size=float("inf")), r"size=inf is not allowed"),
    (dict(size="many"), r"size='many' is not allowed"),
    (dict(size=True), r"size=True is not allowed"),
    (dict(episode_length=0), r"episode_length=0 is not allowed"),
    (dict(initial_velocity=-1), r"initial_velocity=-1.* is out of range: use a number from 0 to 8"),
    (dict(initial_velocity=9), r"initial_velocity=9.* is out of range: use a number from 0 to 8"),
    (dict(initial_velocity=float("nan")), r"initial_velocity=nan is out of range: use a number from 0 to 8"),
    (dict(initial_velocity="1"), r"initial_velocity='1' is out of range"),
    (dict(environment="CartPole", initial_velocity=1), r"initial_velocity=1 applies to Pendulum only"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[str(arguments) for arguments, _ in BAD])
def test_a_bad_argument_is_refused_by_name_value_and_what_is_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        hanq.collect(**dict(environment="Pendulum", seeds=[0], size=10) | arguments)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ["environment", "seeds", "size", "episode_length", "initial_velocity"])
def test_what_is_no_number_or_name_is_refused_in_one_short_line(name, odd):
    if odd == "None" and name in ("size", "episode_length", "initial_velocity"):  # the default
        return
    with pytest.raises(ValueError) as refused:
        hanq.collect(**dict(environment="Pendulum", seeds=[0], size=2) | {name: ODD[odd]})
    message = str(refused.value)
    assert re.match(f"{name}=.*(not allowed|out of range|unknown|repeats).*use", message), message
    assert len(message) < 900 and "\n" not in message


@pytest.mark.parametrize("one", ONE)
def test_a_number_in_any_wrapping_is_the_number(one):
    data = hanq.collect("Pendulum", [0], size=ONE[one], episode_length=ONE[one], initial_velocity=ONE[one])
    assert data.digest == hanq.collect("Pendulum", [0], size=1, episode_length=1, initial_velocity=1).digest


@pytest.mark.parametrize(
    "seeds",
    [
        np.ma.array([1, 2]),
        torch.tensor([1, 2]),
        pandas.Series([1, 2], dtype="Int64"),
        (1, torch.tensor(2)),
        iter([1, 2]),
        xarray.DataArray([1, 2]),
        np.array([1, 2], ">u8"),
        {1: "a", 2: "b"},
    ],
)
def test_seeds_in_any_wrapping_are_the_seeds(seeds):
    assert hanq.collect("Pendulum", seeds, size=1).seeds.tolist() == [1, 2]


@pytest.mark.parametrize("size", [2**32, 2**62, 1e300])
def test_a_size_that_minibatches_could_not_draw_from_is_refused(size):
    with pytest.raises(ValueError, match="size=.* is not allowed: use an integer of at least 1 and below 4294967296"):
        hanq.collect("Pendulum", [0], size=size)
