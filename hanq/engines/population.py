"""The initial parameters and state of a population, each agent's a function of its seed."""

from math import prod

import numpy as np

from hanq.algorithm import State
from hanq.data.foundations.generator import INITIAL_WEIGHTS, uniform


def initial_parameters(network, seeds):
    """Return the parameters before training, (agents, network.size) float32, a function of the seed.

    Linear layers and convolutions are initialised as in PyTorch, uniformly within 1/sqrt(inputs); LayerNorm by 1 and 0; a
    direct predictor by a scale of 1 and a bias of 0.
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
    """Return the state of a population before its first step."""
    params = initial_parameters(network, agents.seeds)
    zeros = np.zeros_like(params)
    none = np.zeros(len(params), np.float32)
    second = np.full(len(params), network.algorithm.hyper_second_moment, np.float32)
    return State(0, params, params, zeros, zeros, zeros, zeros, agents.learning_rate.astype(np.float32), none, second)
