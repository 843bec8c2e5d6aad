"""A population of agents: who they are, what they have learned, how they start.

Both engines read and write these; every array has the agents on its leading axis.
"""

from math import prod
from typing import NamedTuple

import numpy as np

from hanq.generator import INITIAL_WEIGHTS, uniform


class Agents(NamedTuple):
    """What distinguishes the agents: vectors of length agents, constant throughout a run."""

    seeds: np.ndarray
    datasets: np.ndarray
    """Index of the dataset that each learns from."""
    learning_rate: np.ndarray  # alpha, at the start
    hyper_lr: np.ndarray  # kappa
    target_rate: np.ndarray  # beta
    discount: np.ndarray  # gamma
    weight_decay: np.ndarray


class State(NamedTuple):
    """Everything that a run needs to go on: arrays (agents, parameters) or (agents,)."""

    gradient_step: int
    params: np.ndarray  # theta and omega
    target_params: np.ndarray  # theta bar
    target_rest: np.ndarray
    """What its precision leaves out of target_params, or a small target rate would not move them."""
    first_moment: np.ndarray
    second_moment: np.ndarray
    direction: np.ndarray
    """Adam's last direction: the last step was -learning_rate * direction."""
    learning_rate: np.ndarray  # alpha
    hyper_first_moment: np.ndarray
    hyper_second_moment: np.ndarray


def initial_parameters(network, seeds):
    """Parameters before training, (agents, network.size) float32, a function of the seed.

    Linear layers and convolutions start as PyTorch's do, uniform within 1/sqrt(inputs); LayerNorm at 1
    and 0; a direct predictor at a scale of 1 and a bias of 0.
    """
    seeds = np.asarray(seeds)
    params = uniform(seeds[:, None], INITIAL_WEIGHTS, 0, np.arange(network.size)).astype(np.float32)
    views = network.views(params)
    inputs = {name.split(".")[0]: prod(shape[1:]) for name, shape in network.shapes.items() if name.endswith(".weight")}
    for name, view in views.items():
        layer = name.split(".")[0]
        if layer.endswith("_norm"):
            view[...] = 1 if name.endswith(".weight") else 0
        elif layer not in inputs:  # a direct predictor: scale (or its logarithm), then bias
            view[...] = 0
            view[..., 0] = 0 if network.algorithm.positive_scale else 1
        else:
            view[...] = (2 * view - 1) / np.sqrt(np.float32(inputs[layer]))
    return params


def initial_state(network, agents):
    """The population before its first step."""
    params = initial_parameters(network, agents.seeds)
    zeros = np.zeros_like(params)
    none = np.zeros(len(params), np.float32)
    second = np.full(len(params), network.algorithm.hyper_second_moment, np.float32)
    return State(0, params, params, zeros, zeros, zeros, zeros, agents.learning_rate.astype(np.float32), none, second)
