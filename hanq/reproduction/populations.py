"""Agents at one point of the grid that an experiment trains by itself, because `hanq.train` cannot change them in between."""

from typing import Any, NamedTuple

import numpy as np

from hanq.algorithm import Agents, Algorithm, Network, State
from hanq.data.dataset import Dataset
from hanq.engines import torch_engine
from hanq.engines.evaluation import evaluate
from hanq.engines.population import initial_state
from hanq.reproduction import protocol
from hanq.training.run import GRID
from hanq.training.train import agents_of


class Population(NamedTuple):
    """One agent for each dataset, all with the same settings, and the engine that trains them."""

    network: Network
    agents: Agents
    data: Dataset
    engine: Any

    def initial(self) -> State:
        """Return the state before the first gradient step."""
        return initial_state(self.network, self.agents)

    def advanced(self, state: State, steps: int) -> State:
        """Train for so many gradient steps, and return the state as NumPy arrays, whatever the engine."""
        return torch_engine.to_numpy(self.engine.advance(state, steps))

    def evaluated(self, state: State, velocity: float | None):
        """Evaluate the agents as `hanq.engines.evaluation.evaluate` does; each result is of shape (agents,)."""
        return evaluate(self.network, self.agents, self.data, state, protocol.EVAL_EPISODES, velocity)


def population(algorithm: Algorithm, data: Dataset, settings: dict[str, float], engine) -> Population:
    """Build the agents of a dataset, one for each seed.

    settings: a value for each axis of `GRID`. engine: a class of `hanq.training.train.ENGINES`, run on the CPU.
    """
    axes = {name: np.array([settings[name]]) for name in GRID}
    agents = agents_of(axes | {"seed": data.seeds}, len(data.seeds))
    network = Network(algorithm, data.obs_dim, data.action_count)
    return Population(network, agents, data, engine(network, agents, data, protocol.USUAL["batch_size"], "cpu"))
