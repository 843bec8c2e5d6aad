"""Promise: Minari's datasets are read and written; what cannot be taken is named."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from gymnasium import spaces
from odd_environments import limited

import hanq
from hanq.data.dataset import DIMS


def stored(observations, actions, observation_space, action_space, terminated=True):
    """What from_minari reads of a dataset: two episodes of the same steps, the second cut off."""
    steps = len(actions)
    flags = np.arange(steps) == steps - 1
    episodes = [
        SimpleNamespace(
            observations=observations, actions=actions, rewards=np.arange(steps), terminations=flags & ended, truncations=flags & ~ended
        )
        for ended in (terminated, False)
    ]
    return SimpleNamespace(observation_space=observation_space, action_space=action_space, iterate_episodes=lambda: iter(episodes))


BOX = spaces.Box(-9, 9, (2,), np.float32)
PLACES = np.arange(8, dtype=np.float32).reshape(4, 2)


def test_episodes_become_transitions_with_their_true_ends():
    data = hanq.Dataset.from_minari(stored(PLACES, np.array([1, 0, 2]), BOX, spaces.Discrete(3)))
    assert data.actions.tolist() == [[1, 0, 2] * 2] and data.action_count == 3 and data.action_labels is None
    assert data.terminated.tolist() == [[False, False, True, False, False, False]]
    np.testing.assert_array_equal(data.next_observations[0], np.vstack([PLACES[1:]] * 2))


@pytest.mark.filterwarnings("ignore:actions never logged")
@pytest.mark.parametrize("space", [spaces.MultiBinary(3), spaces.Box(0, 1, (3,), np.int8)])
def test_one_hot_actions_and_numbered_observations_are_taken(space):
    data = hanq.Dataset.from_minari(stored(np.array([5, 6, 7, 5]), np.eye(3)[[1, 0, 1]], spaces.Discrete(4, start=5), space))
    assert data.actions.tolist() == [[1, 0, 1] * 2]
    np.testing.assert_array_equal(data.observations[0, :3], np.eye(4)[[0, 1, 2]])


def test_actions_keep_the_numbers_of_their_space():
    data = hanq.Dataset.from_minari(stored(PLACES, np.array([4, 5, 6]), BOX, spaces.Discrete(3, start=4)))
    assert data.action_labels == (4, 5, 6)


def test_a_provenance_is_a_dict():
    with pytest.raises(ValueError, match="provenance=5 is not plain data"):
        hanq.Dataset.from_minari(stored(PLACES, np.array([1, 0, 2]), BOX, spaces.Discrete(3)), provenance=5)


REFUSED = {
    "continuous actions": (stored(PLACES, np.zeros((3, 1)), BOX, spaces.Box(-1, 1, (1,))), "dataset has actions in Box"),
    "dict": (stored({}, np.zeros(3), spaces.Dict(a=BOX), spaces.Discrete(3)), "dataset has observations in Dict"),
    "images": (stored(PLACES, np.zeros(3), spaces.Box(0, 255, (8, 8), np.uint8), spaces.Discrete(3)), "hanq.atari trains on frames"),
    "not one-hot": (stored(PLACES, np.ones((3, 3)), BOX, spaces.MultiBinary(3)), "actions that are not one-hot"),
    "no dataset": (3, "dataset=3 is not allowed: use a name"),
}


@pytest.mark.parametrize(("dataset", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_taken_is_named(dataset, message):
    with pytest.raises(ValueError, match=message):
        hanq.Dataset.from_minari(dataset)


def test_without_minari_its_name_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(ImportError, match=r"need the package minari: pip install 'minari\[hdf5\]'"):
        hanq.Dataset.from_minari("some/log-v0")


@pytest.mark.filterwarnings("ignore")  # of Minari about what it is not told
def test_a_dataset_goes_through_minari_and_comes_back(tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    data = hanq.collect(limited, [0, 1], size=70)
    written = data.to_minari("hanq/walk-v0", author="a test")
    assert written.total_steps == 140
    for source in ("hanq/walk-v0", minari.load_dataset("hanq/walk-v0")):
        back = hanq.Dataset.from_minari(source, environment=limited)
        for name in DIMS:
            np.testing.assert_array_equal(getattr(back, name)[0], getattr(data, name).reshape(140, *getattr(data, name).shape[2:]))
        assert back.action_count == 3 and back.environment is limited and back.provenance["minari"] == "hanq/walk-v0"
    with pytest.raises(ValueError, match="dataset='hanq/none-v0' could not be loaded by minari"):
        hanq.Dataset.from_minari("hanq/none-v0")
    order = np.random.default_rng(0).permutation(70)
    shuffled = replace(data, **{name: getattr(data, name)[:, order] for name in DIMS})
    back = hanq.Dataset.from_minari(shuffled.to_minari("hanq/shuffled-v0"))
    np.testing.assert_array_equal(back.next_observations[0, :70], shuffled.next_observations[0])
