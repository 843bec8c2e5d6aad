"""What the tests of Seaquest's training share: small data, collected once, and agents on them."""

import tempfile
from functools import cache

import numpy as np

from hanq.algorithm import Agents
from hanq.atari.frames import collect
from hanq.atari.network import seaquest_network
from hanq.atari.training import SeaquestEngine


@cache
def small_frames():
    """Two seeds' data of 400 steps each."""
    with tempfile.TemporaryDirectory() as folder:
        return collect(folder, [1, 2], 400, progress=False)  # mapped files outlive their names


def some_agents(seeds, **columns):
    """One agent for each entry of `seeds`, 1 or 2; unnamed columns take usual values."""
    usual = dict(learning_rate=1e-4, hyper_lr=0.0, target_rate=1.0, discount=0.99, weight_decay=0.0)
    columns = {name: np.full(len(seeds), columns.get(name, value)) for name, value in usual.items()}
    return Agents(np.array(seeds), np.array(seeds) - 1, **columns)


def some_engine(algorithm, agents, batch_size=4, **options):
    return SeaquestEngine(seaquest_network(algorithm, 18), agents, small_frames(), batch_size, "cpu", **options)
