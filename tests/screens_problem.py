"""Random binary screens, and both engines on them."""

from dataclasses import replace

import numpy as np

import hanq
from hanq.algorithm import screen_network
from hanq.engines import fused, torch_engine
from hanq.engines.population import initial_state


def screens(channels=3, side=6, size=60, seeds=2, density=0.05, actions=3):
    """A dataset of random screens, one of them empty and one full."""
    random = np.random.default_rng(0)
    observations, next_observations = random.random((2, seeds, size, channels, side, side)) < density
    observations[:, 0], next_observations[:, 1] = 0, 1
    return hanq.ScreenDataset.from_screens(
        observations,
        random.integers(actions, size=(seeds, size)),
        random.normal(size=(seeds, size)),
        next_observations,
        random.random((seeds, size)) < 0.2,
        action_count=actions,
    )


def engines(algorithm, agents, batch_size, width=24, data=None, **options):
    """(fused, reference, the state that both start from)"""
    data = screens() if data is None else data
    network = screen_network(replace(algorithm, hidden_features=width), data.screen, data.action_count)
    ours = fused.FusedEngine(network, agents, data, batch_size, **options)
    return ours, torch_engine.TorchEngine(network, agents, data, batch_size), initial_state(network, agents)
