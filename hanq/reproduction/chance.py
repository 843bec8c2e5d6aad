"""What random actions score, measured: the paper takes it for 0, which on Pendulum it is not."""

import numpy as np
import xarray
from numpy.typing import ArrayLike

from hanq.data.collection import collect
from hanq.data.environments import find

CHANCE = {  # mean over the datasets of seeds 0 to 29 and its 95% interval; tests/reproduction/test_chance.py measures them again
    "Pendulum": (30.6, 28.4, 32.9),
    "Acrobot": (0.2, 0.0, 0.5),
    "CartPole": (4.5, 4.4, 4.5),
}


def measure(environment: str, seeds: ArrayLike) -> xarray.DataArray:
    """Mean score of the complete episodes in each seed's dataset of random actions, at the paper's size: (seed,).

    Raises ValueError as `hanq.collect` does.
    """
    data, known = collect(environment, seeds), find(environment)
    columns = zip(data.observations, data.next_observations, data.rewards, strict=True)
    scores = [known.score(complete_returns(*column, known.horizon).mean()) for column in columns]
    return xarray.DataArray(scores, {"seed": data.seeds}, "seed")


def complete_returns(observations, next_observations, rewards, horizon):
    """Returns of the episodes in one dataset, without a last one that the end of the data cuts off: (episodes,).

    observations, next_observations: (size, obs_dim); rewards: (size,). A new episode begins where an observation is not the last one's
    successor. Of the last episode one cannot see whether it ended with the data, so it counts only at the time limit.
    """
    starts = np.append(0, 1 + np.flatnonzero((next_observations[:-1] != observations[1:]).any(-1)))
    returns = np.add.reduceat(rewards, starts)
    return returns if len(rewards) - starts[-1] == horizon else returns[:-1]


def is_at_chance(environment: str, low: float) -> bool:
    """Whether a score whose 95% interval begins at `low` cannot be told from that of random actions, or lies below it."""
    return low <= CHANCE[environment][0]
