"""Promise: episodes, tables and vector environments become transitions whose next observations are of the same episode."""

import re
from itertools import pairwise

import numpy as np
import pandas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_environments import limited

import hanq
from hanq.data.dataset import DIMS

LEFT_OUT = "ignore:.* steps are left out"
UNSEEN = "ignore:actions never logged"


def episode(number, steps, ended, full):
    """One whose every observation says where it is from: (episode, step); actions and rewards too."""
    seen = np.array([[number, step] for step in range(steps + full)], float)
    return dict(
        observations=seen, actions=np.arange(steps) % 3, rewards=[1000.0 * number + step for step in range(steps)], terminated=ended
    )


def expected(episodes):
    """The transitions by a plain loop: (episode, step, action, reward, next step, terminated)."""
    rows = []
    for one in episodes:
        steps = len(one["actions"])
        for step in range(steps):
            last = step == steps - 1
            has_next = not last or len(one["observations"]) > steps
            if has_next or one["terminated"]:
                number = one["observations"][0][0]
                following = step + 1 if has_next else step
                rows.append((number, step, one["actions"][step], one["rewards"][step], number, following, last and one["terminated"]))
    return rows


def rows_of(data):
    columns = data.observations[0], data.actions[0], data.rewards[0], data.next_observations[0], data.terminated[0]
    return [tuple(float(one) for one in (*s, a, r, *n, t)) for s, a, r, n, t in zip(*columns, strict=True)]


kinds = st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.booleans()), min_size=1, max_size=5)
CONTAINERS = {
    "array": np.asarray,
    "list": lambda values: np.asarray(values).tolist(),
    "tensor": torch.as_tensor,
    "pandas": lambda values: (pandas.DataFrame if np.ndim(values) == 2 else pandas.Series)(np.asarray(values)),
    "strided": lambda values: np.repeat(np.asarray(values), 2, axis=0)[::2],
    "column": lambda values: np.asarray(values).reshape(len(values), -1),
    "float32": lambda values: np.asarray(values, np.float32),
}


@pytest.mark.filterwarnings(LEFT_OUT, UNSEEN)
@pytest.mark.parametrize("contain", CONTAINERS.values(), ids=CONTAINERS.keys())
@settings(deadline=None, derandomize=True, max_examples=25)
@given(kinds)
def test_episodes_of_any_lengths_are_the_transitions_of_a_plain_loop(contain, kinds):
    episodes = [episode(i, *kind) for i, kind in enumerate(kinds)]
    given_ones = [one | {name: contain(one[name]) for name in ("observations", "actions", "rewards")} for one in episodes]
    wanted = expected(episodes)
    if not wanted:
        with pytest.raises(ValueError, match="nothing would be left"):
            hanq.Dataset.from_episodes(given_ones)
        return
    data = hanq.Dataset.from_episodes(given_ones)
    assert rows_of(data) == wanted
    assert data.provenance["left_out"] == sum(len(one["actions"]) for one in episodes) - len(wanted)


def test_what_is_left_out_is_said_with_a_count_where_the_user_called():
    episodes = [episode(0, 4, False, False), episode(1, 6, False, False), episode(2, 3, True, False)]
    with pytest.warns(UserWarning, match="2 of 13 steps are left out: each is the last known of an episode that was cut off") as said:
        data = hanq.Dataset.from_episodes(episodes)
    assert data.size == 11 and said[0].filename == __file__


def test_an_episode_may_have_its_own_next_observations():
    one = episode(0, 4, False, False)
    following = np.array([[7.0, step] for step in range(4)])
    data = hanq.Dataset.from_episodes([one | dict(next_observations=following)])
    np.testing.assert_array_equal(data.next_observations[0], following)


GOOD = episode(0, 4, True, True)
BAD = {
    "no list": (5, "episodes=5 is not allowed: use a list of dicts"),
    "one dict": (GOOD, "episodes=.* is not allowed: use a list of dicts"),
    "none": ([], "episodes is empty"),
    "no dict": ([GOOD, [1]], r"episodes\[1\] is a list: use a dict with observations, actions, rewards, terminated"),
    "no rewards": ([{key: value for key, value in GOOD.items() if key != "rewards"}], r"episodes\[0\] lacks 'rewards'"),
    "a misspelt key": ([GOOD | dict(next_obs=1)], r"episodes\[0\] has 'next_obs', which is unknown"),
    "too few observations": ([GOOD, GOOD | dict(observations=np.zeros((3, 2)))], r"episodes\[1\] has observations of shape \(3, 2\)"),
    "too many actions": ([GOOD | dict(actions=[0] * 5)], r"actions of shape \(5,\).*use n actions and rewards"),
    "no steps": ([GOOD | dict(actions=[], rewards=[], observations=np.zeros((1, 2)))], "at least 1"),
    "other width": (
        [GOOD, GOOD | dict(observations=np.zeros((5, 3)))],
        r"episodes differ in their observations' shapes, \[\(2,\), \(3,\)\]",
    ),
    "NaN": ([GOOD, GOOD | dict(rewards=[0, 1, np.nan, 2])], r"episodes\[1\]\['rewards'\] holds nan at index \(2,\): use finite"),
    "flag of 2": ([GOOD | dict(terminated=2)], r"episodes\[0\]\['terminated'\] holds 2"),
    "an early end": ([GOOD | dict(terminated=[0, 1, 0, 0])], r"terminated'\] holds 1 at index \(1,\): use false before the last step"),
    "flags of another length": ([GOOD | dict(terminated=[0, 1])], r"has shape \(2,\): use one flag, or one for each of 4 steps"),
    "other next": ([GOOD | dict(next_observations=np.zeros((3, 2)))], r"next_observations of shape \(3, 2\): use one for each step"),
}


@pytest.mark.parametrize(("episodes", "message"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_in_an_episode_is_named(episodes, message):
    with pytest.raises(ValueError, match=message) as refused:
        hanq.Dataset.from_episodes(episodes)
    assert len(str(refused.value)) < 600


TYPES = ["int8", "uint8", "int64", "uint64", "float16", "float32", "float64", ">f8", "object", "bool"]


@pytest.mark.filterwarnings(UNSEEN)
@settings(deadline=None, derandomize=True, max_examples=60)
@given(*[st.sampled_from(TYPES)] * 4)
def test_numbers_of_any_type_are_the_same_episodes(seen, action, reward, flag):
    ones = dict(observations=np.arange(10).reshape(5, 2) % 2, actions=[0, 1, 1, 0], rewards=[1, 0, 1, 1], terminated=1)
    types = dict(observations=seen, actions=action, rewards=reward, terminated=flag)
    typed = {name: np.array(value).astype(types[name]) for name, value in ones.items()}
    assert hanq.Dataset.from_episodes([typed, ones]).digest == hanq.Dataset.from_episodes([ones, ones]).digest


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.sampled_from(["observations", "rewards", "actions", "next_observations", "terminated"]),
    st.integers(0, 3),
    st.integers(0, 1),
    st.sampled_from([np.nan, np.inf, -np.inf]),
)
def test_what_is_not_finite_is_named_by_episode_key_and_place(name, row, column, value):
    one = episode(0, 4, True, False)
    one |= dict(next_observations=np.array(one["observations"]), terminated=[0, 0, 0, 1])
    spoiled = np.array(one[name], float)
    where = (row, column) if spoiled.ndim == 2 else (row,)
    spoiled[where] = value
    with pytest.raises(ValueError) as refused:
        hanq.Dataset.from_episodes([one, one | {name: spoiled}])
    assert f"episodes[1]['{name}'] holds" in str(refused.value) and f"at index {where}" in str(refused.value)


def table(kinds):
    """The same episodes as a table, one row a step, and the episodes without final observations."""
    episodes = [episode(i, steps, ended, False) for i, (steps, ended, _) in enumerate(kinds)]
    frames = [
        pandas.DataFrame(
            {
                "x": one["observations"][:, 0],
                "y": one["observations"][:, 1],
                "a": one["actions"],
                "r": one["rewards"],
                "run": f"run {9 - i}",
                "end": [*[False] * (len(one["actions"]) - 1), one["terminated"]],
                "cut": [*[False] * (len(one["actions"]) - 1), not one["terminated"]],
            }
        )
        for i, one in enumerate(episodes)
    ]
    return episodes, pandas.concat(frames, ignore_index=True)


@pytest.mark.filterwarnings(LEFT_OUT, UNSEEN)
@settings(deadline=None, derandomize=True, max_examples=40)
@given(kinds, st.randoms(use_true_random=False))
def test_a_table_is_the_transitions_of_its_episodes_however_they_are_interleaved(kinds, chance):
    episodes, frame = table(kinds)
    wanted = expected(episodes)
    if not wanted:
        return
    columns = dict(observations=["x", "y"], action="a", reward="r", terminated="end")
    data = hanq.Dataset.from_frame(frame, **columns, episode="run")
    assert rows_of(data) == wanted
    assert rows_of(hanq.Dataset.from_frame(frame, **columns, episode=None, truncated="cut")) == wanted
    assert rows_of(hanq.Dataset.from_frame({name: frame[name].to_numpy() for name in frame}, **columns, episode="run")) == wanted
    waiting = [list(rows.index) for _, rows in frame.groupby("run", sort=False)]
    order = []
    while waiting:
        rows = chance.choice(waiting)
        order.append(rows.pop(0))
        waiting = [rows for rows in waiting if rows]
    mixed = hanq.Dataset.from_frame(frame.loc[order], **columns, episode="run")
    assert sorted(rows_of(mixed)) == sorted(wanted)


@pytest.mark.filterwarnings(LEFT_OUT, UNSEEN)
def test_arrays_with_both_flags_need_no_next_observations():
    episodes, frame = table([(4, True, False), (3, False, False), (5, True, False)])
    arrays = [frame[["x", "y"]], frame["a"], frame["r"], None, frame["end"]]
    assert rows_of(hanq.Dataset.from_arrays(*arrays, truncated=frame["cut"])) == expected(episodes)
    with pytest.raises(ValueError, match="next_observations is a NoneType"):
        hanq.Dataset.from_arrays(*arrays)


FRAME = table([(4, True, False), (3, True, False)])[1]
USUAL = dict(observations=["x", "y"], action="a", reward="r", episode="run", terminated="end")
BAD_TABLES = {
    "no such column": (FRAME, USUAL | dict(reward="reward"), "reward='reward' is no column: use one of .*'x', 'y', 'a', 'r'"),
    "no observations": (FRAME, USUAL | dict(observations=[]), "observations=.. is not allowed"),
    "no table": ([1, 2], USUAL, "observations='x' is no column"),
    "two of one name": (pandas.concat([FRAME, FRAME["r"]], axis=1), USUAL, "reward='r' has shape"),
    "missing episode": (
        FRAME.assign(run=[None, *FRAME["run"][1:]]),
        USUAL,
        r"column 'run' holds (None|nan) at index \(0,\): use an episode's",
    ),
    "NaN": (FRAME.assign(y=np.nan), USUAL, r"column 'y' holds nan at index \(0,\): use finite"),
    "flag of 2": (FRAME.assign(end=2), USUAL, r"column 'end' holds 2 at index \(0,\): use booleans"),
    "goes on": (FRAME.assign(run=1), USUAL, r"an episode goes on after its end in row 3 \(counted from 0\)"),
    "nothing tells": (FRAME, USUAL | dict(episode=None), "episode=None needs truncated"),
    "no rows": (FRAME[:0], USUAL, "use a column of at least one row"),
}


@pytest.mark.parametrize(("frame", "arguments", "message"), BAD_TABLES.values(), ids=BAD_TABLES.keys())
def test_what_is_wrong_in_a_table_is_named(frame, arguments, message):
    with pytest.raises(ValueError, match=message):
        hanq.Dataset.from_frame(frame, **arguments)


def test_what_was_cut_off_is_trained_on_as_collecting_gives_it():
    """The same walk by hanq.collect, and as a user's list of episodes: the same transitions."""
    collected = hanq.collect(limited, [0], size=100)
    starts = [0, *(np.flatnonzero(collected.observations[0, 1:, 1] == 0) + 1), 100]
    episodes = [
        dict(
            observations=[*collected.observations[0, a:b], collected.next_observations[0, b - 1]],
            actions=collected.actions[0, a:b],
            rewards=collected.rewards[0, a:b],
            terminated=collected.terminated[0, b - 1],
        )
        for a, b in pairwise(starts)
    ]
    own = hanq.Dataset.from_episodes(episodes)
    for name in DIMS:
        np.testing.assert_array_equal(getattr(own, name), getattr(collected, name))
    assert re.search("left_out", str(own.provenance))
