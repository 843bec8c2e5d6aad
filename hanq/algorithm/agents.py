"""A population of agents: what distinguishes them, and the state that changes during training."""

from typing import NamedTuple

import numpy as np


class Agents(NamedTuple):
    """What distinguishes the agents: arrays of shape (agents,), constant during a run."""

    seeds: np.ndarray
    datasets: np.ndarray
    """Index of the dataset from which each agent learns."""
    learning_rate: np.ndarray  # alpha, at the start
    hyper_lr: np.ndarray  # kappa
    target_rate: np.ndarray  # beta
    discount: np.ndarray  # gamma
    weight_decay: np.ndarray


class State(NamedTuple):
    """Everything needed to continue a run: arrays of shape (agents, parameters) or (agents,)."""

    gradient_step: int
    params: np.ndarray  # theta and omega
    target_params: np.ndarray  # theta bar
    target_rest: np.ndarray
    """The part of the target network that the precision of target_params cannot hold, for very small target rates."""
    first_moment: np.ndarray
    second_moment: np.ndarray
    direction: np.ndarray
    """Adam's last direction; the last step was -learning_rate * direction."""
    learning_rate: np.ndarray  # alpha
    hyper_first_moment: np.ndarray
    hyper_second_moment: np.ndarray
