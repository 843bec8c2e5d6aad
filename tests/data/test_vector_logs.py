"""Promise: arrays of vector environments become transitions without a reset's rows, and within an episode."""

import gymnasium
import numpy as np
import pytest
from odd_environments import Walk

import hanq

LEFT_OUT = "ignore:.* steps are left out"


def vector_log(autoreset, steps=60, count=3, final=True):
    """What a user logs of gymnasium's vector environments: (steps + 1 observations, actions, rewards, both flags)."""
    from gymnasium.vector import AutoresetMode, SyncVectorEnv

    chance = np.random.default_rng(0)
    limits = [lambda n=n: gymnasium.wrappers.TimeLimit(Walk(goal=9), n) for n in (4, 7, 50)]
    envs = SyncVectorEnv(limits[:count], autoreset_mode=AutoresetMode(autoreset))
    observations, rest = [envs.reset(seed=0)[0]], []
    for _ in range(steps):
        actions = chance.integers(3, size=count)
        seen, *outcome, _ = envs.step(actions)
        observations.append(seen.copy())
        rest.append((actions, *(np.array(one) for one in outcome)))
    return np.array(observations), *(np.array(column) for column in zip(*rest, strict=True))


@pytest.mark.filterwarnings(LEFT_OUT)
@pytest.mark.parametrize("autoreset", ["NextStep", "SameStep"])
def test_vector_environments_give_steps_of_the_walk_alone(autoreset):
    log = vector_log(autoreset)
    name = {"NextStep": "next_step", "SameStep": "same_step"}[autoreset]
    data = hanq.Dataset.from_vector(*log, autoreset=name)
    (place, steps), (after, later), action = data.observations[0].T, data.next_observations[0].T, data.actions[0]
    known = ~data.terminated[0] if name == "same_step" else np.ones(data.size, bool)
    np.testing.assert_array_equal(after[known], (place + action)[known])
    np.testing.assert_array_equal(later[known], (steps + 1)[known])
    np.testing.assert_array_equal(data.rewards[0], place + action)  # so no row is one of a reset
    np.testing.assert_array_equal(data.terminated[0], place + action >= 9)
    ends, cut = (log[3] | log[4]), log[4] & ~log[3]
    if name == "next_step":
        assert data.size == log[1].size - ends[:-1].sum() and data.provenance["resets"] == ends[:-1].sum()
    else:
        assert data.size == log[1].size - cut.sum() == log[1].size - data.provenance["left_out"]
    assert ends.sum() > 10


def test_the_wrong_kind_of_reset_is_noticed():
    with pytest.raises(ValueError, match=r"rewards holds .* at index .*: use 0 in the step after an end, or autoreset='same_step'"):
        hanq.Dataset.from_vector(*vector_log("SameStep"))
    with pytest.raises(ValueError, match="autoreset='never' is unknown: use one of"):
        hanq.Dataset.from_vector(*vector_log("NextStep"), autoreset="never")


@pytest.mark.parametrize("place", range(5))
def test_vector_arrays_of_other_shapes_are_named(place):
    log = list(vector_log("NextStep", steps=20))
    log[place] = log[place][:-2]
    name = ("observations", "actions", "rewards", "terminated", "truncated")[place]
    with pytest.raises(ValueError, match=rf"({name}|actions) has shape .*: use \("):
        hanq.Dataset.from_vector(*log)
