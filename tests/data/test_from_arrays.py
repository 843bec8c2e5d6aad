"""Promise: a user's own logged transitions are checked, and every mistake is named."""

import numpy as np
import pytest
from helpers import logged

import hanq
from hanq.data.dataset import DIMS


def changed(name, index, value, dtype=float, **arguments):
    arrays = logged(**arguments)
    arrays[name] = np.array(arrays[name], dtype)
    arrays[name][index] = value
    return arrays


def test_one_dataset_gets_a_seeds_axis_and_the_contracts_types():
    given = logged()
    data = hanq.Dataset.from_arrays(**given)
    for name in DIMS:
        assert getattr(data, name).shape == (1, *np.shape(given[name]))
        np.testing.assert_allclose(getattr(data, name)[0], given[name], rtol=1e-7)
    types = [str(getattr(data, name).dtype) for name in DIMS]
    assert types == ["float32", "int64", "float32", "float32", "bool"]
    assert data.seeds.tolist() == [0] and data.action_count == 3 and data.environment is None


def test_several_datasets_keep_their_seeds():
    data = hanq.Dataset.from_arrays(**logged(seeds=4), seeds=[5, 2, 9, 0], environment="Pendulum", provenance={"from": "me"})
    assert data.seeds.tolist() == [5, 2, 9, 0] and data.environment == "Pendulum" and data.provenance == {"from": "me"}
    assert hanq.Dataset.from_arrays(**logged(seeds=4)).seeds.tolist() == [0, 1, 2, 3]


def test_plain_lists_integers_and_zeros_and_ones_are_welcome():
    data = hanq.Dataset.from_arrays([[0, 1], [1, 0]], [0.0, 1.0], [1, 2], [[1, 0], [0, 1]], [0, 1.0])
    assert data.actions.tolist() == [[0, 1]] and data.terminated.tolist() == [[False, True]]


def test_later_changes_to_the_users_arrays_do_not_reach_the_dataset():
    given = {name: np.asarray(values) for name, values in logged().items()}
    given |= {name: given[name].astype(np.float32) for name in ("observations", "rewards", "next_observations")}
    data = hanq.Dataset.from_arrays(**given)
    before = data.rewards.copy()
    given["rewards"][:] = 99
    np.testing.assert_array_equal(data.rewards, before)


def test_the_checksum_is_of_what_the_dataset_holds_now():
    data = hanq.Dataset.from_arrays(np.eye(2), [0, 1], [0, 1], np.eye(2), [0, 1])
    before = data.digest
    data.rewards[:] *= 10
    assert data.digest != before


def test_a_provenance_that_no_file_could_hold_is_refused():
    with pytest.raises(ValueError, match="provenance=.* is not plain data"):
        hanq.Dataset.from_arrays(np.eye(2), [0, 1], [0, 1], np.eye(2), [0, 1], provenance={"n": np.int64(3)})


def test_actions_that_were_never_logged_can_be_counted():
    with pytest.warns(UserWarning, match=r"actions never logged: \[3, 4, 5, 6\] of 7"):
        assert hanq.Dataset.from_arrays(**logged(), action_count=7).action_count == 7
    with pytest.warns(UserWarning, match=r"actions never logged: \[1, 2\] of 3"):
        assert hanq.Dataset.from_arrays(**changed("actions", slice(None), 0), environment="Pendulum").action_count == 3


HUGE = pytest.param(10**5000, id="huge")  # more digits than Python writes out
nan, inf = float("nan"), float("inf")
BAD = {
    "observations of 1 dimension": (logged() | dict(observations=np.zeros(6)), r"observations has shape \(6,\): use"),
    "observations of 4 dimensions": (logged() | dict(observations=np.zeros((1, 1, 6, 3))), r"observations has shape"),
    "no transitions": (logged(size=0), r"observations has shape \(0, 3\)"),
    "too few actions": (logged() | dict(actions=[0, 1]), r"actions has shape \(2,\).*need \(6,\)"),
    "rewards with two columns": (logged() | dict(rewards=np.zeros((6, 2))), r"rewards has shape \(6, 2\).*need \(6,\)"),
    "another obs_dim after": (logged() | dict(next_observations=np.zeros((6, 2))), r"next_observations has shape.*need"),
    "too few terminated": (logged() | dict(terminated=[True]), r"terminated has shape.*need"),
    "NaN observation": (changed("observations", (2, 1), nan), r"observations holds nan at index \(2, 1\): use finite"),
    "infinite reward": (changed("rewards", 3, inf), r"rewards holds inf at index \(3,\): use finite"),
    "NaN next observation": (changed("next_observations", (0, 0), nan), r"next_observations holds nan at index \(0, 0\)"),
    "NaN action": (changed("actions", 1, nan), r"actions holds nan at index \(1,\)"),
    "reward beyond float32": (changed("rewards", 3, 1e39), r"rewards holds"),
    "text": (logged() | dict(rewards=["a"] * 6), r"rewards has dtype .*: use numbers"),
    "ragged": (logged() | dict(observations=[[1, 2, 3], [1]]), r"observations .*"),
    "fractional action": (changed("actions", 1, 0.5), r"actions holds 0.5 at index \(1,\): use integers from 0"),
    "negative action": (changed("actions", 1, -1, int), r"actions holds -1: use integers from 0"),
    "only negative actions": (changed("actions", slice(None), -2, int), r"actions holds -2: use integers from 0"),
    "action out of range": (changed("actions", 1, 3, int) | dict(action_count=3), r"actions holds 3: use integers from 0 to 2"),
    "action the environment lacks": (changed("actions", 1, 3, int) | dict(environment="Pendulum"), r"actions holds 3: .* 0 to 2"),
    "unknown environment": (logged() | dict(environment="Mujoco"), r"environment='Mujoco' is unknown: use one of .*Pendulum"),
    "wrong obs_dim": (logged(obs_dim=5) | dict(environment="Pendulum"), r"observations has obs_dim 5: Pendulum needs 3"),
    "contradictory action_count": (logged() | dict(environment="Pendulum", action_count=4), r"action_count=4 contradicts Pendulum"),
    "no actions": (logged() | dict(action_count=0), r"action_count=0 is not allowed: use an integer of at least 1"),
    "half an action": (logged() | dict(action_count=2.5), r"action_count=2.5 is not allowed"),
    "terminated of 2": (changed("terminated", 1, 2), r"terminated holds 2.0 at index \(1,\): use booleans, or 0 and 1"),
    "duplicate seeds": (logged(seeds=2) | dict(seeds=[4, 4]), r"seeds=\[4, 4\] repeats a seed: use distinct"),
    "negative seed": (logged(seeds=2) | dict(seeds=[0, -4]), r"seeds=\[0, -4\] is not allowed: use distinct"),
    "too many seeds": (logged(seeds=2) | dict(seeds=[0, 1, 2]), r"seeds=\[0, 1, 2\] has 3 entries: there are 2 datasets"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD.keys())
def test_a_mistake_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        hanq.Dataset.from_arrays(**arguments)


@pytest.mark.parametrize("value", [10**30, HUGE, 2**24 + 1, "3", True, [3], nan])
def test_an_action_count_that_no_network_has_is_refused(value):
    with pytest.raises(ValueError, match="action_count=.* is not allowed: use an integer of at least 1"):
        hanq.Dataset.from_arrays(**logged(), action_count=value)


@pytest.mark.parametrize("value", [2.0**53 + 2, 1e300, 2**24, np.uint64(2**64 - 1), np.longdouble(2) ** 63])
def test_an_action_beyond_what_an_engine_holds_is_refused(value):
    with pytest.raises(ValueError, match=r"actions holds (\d+|an integer of 997 bits): use integers from 0 to 16777215"):
        hanq.Dataset.from_arrays(**changed("actions", 1, value, np.asarray(value).dtype))


@pytest.mark.parametrize("value", ["text", 5, [1], {"a": {1}}, {"a": {(0, 1): 2}}])
def test_a_provenance_that_is_no_plain_dict_is_refused(value):
    with pytest.raises(ValueError, match="provenance=.* is not plain data: use a dict of what JSON has"):
        hanq.Dataset.from_arrays(**logged(), provenance=value)


@pytest.mark.parametrize("value", [["Pendulum"], {"Pendulum"}, 3, np.array("Pendulum"), "x" * 10**6])
def test_what_is_no_environments_name_is_refused(value):
    with pytest.raises(ValueError, match="environment=.* is unknown: use one of") as refused:
        hanq.Dataset.from_arrays(**logged(), environment=value)
    assert len(str(refused.value)) < 400


def test_a_missing_array_is_named():
    arrays = logged()
    del arrays["rewards"]
    with pytest.raises(TypeError, match="rewards"):
        hanq.Dataset.from_arrays(**arrays)
