"""Where the episodes of a dataset begin and end, read off its transitions, and the discounted returns within them."""

import numpy as np

from hanq.data.dataset import Dataset


def ends(dataset: Dataset) -> np.ndarray:
    """Whether each transition is the last of its episode, (seeds, size) bool.

    An episode ends where it terminated, where the next row does not go on from this one's next observation, and with the data.
    """
    goes_on = (dataset.next_observations[:, :-1] == dataset.observations[:, 1:]).all(-1) & ~dataset.terminated[:, :-1]
    return np.concatenate([~goes_on, np.ones((len(goes_on), 1), bool)], axis=1)


def discounted_returns(dataset: Dataset, discount: float) -> np.ndarray:
    """What each transition's episode still brings, from its own reward on, as logged: (seeds, size) float64."""
    last, rewards = ends(dataset), dataset.rewards.astype(np.float64)
    returns = rewards.copy()
    for i in range(dataset.size - 2, -1, -1):
        returns[:, i] += np.where(last[:, i], 0.0, discount * returns[:, i + 1])
    return returns
