"""Finds the ends of episodes in a dataset, and the discounted returns within them."""

import numpy as np

from hanq.data.dataset import Dataset


def ends(dataset: Dataset) -> np.ndarray:
    """Tell for each transition whether it is the last of its episode, (seeds, size) bool.

    An episode ends where it terminated, where the next row does not continue from the next observation, and with the data.
    """
    goes_on = (dataset.next_observations[:, :-1] == dataset.observations[:, 1:]).all(-1) & ~dataset.terminated[:, :-1]
    return np.concatenate([~goes_on, np.ones((len(goes_on), 1), bool)], axis=1)


def discounted_returns(dataset: Dataset, discount: float) -> np.ndarray:
    """Return the logged discounted return from each transition to the end of its episode, (seeds, size) float64."""
    last, rewards = ends(dataset), dataset.rewards.astype(np.float64)
    returns = rewards.copy()
    for i in range(dataset.size - 2, -1, -1):
        returns[:, i] += np.where(last[:, i], 0.0, discount * returns[:, i + 1])
    return returns
