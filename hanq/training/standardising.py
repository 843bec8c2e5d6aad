"""Training on standardised observations, with the scaling folded into the first layer afterwards."""

from dataclasses import replace

import numpy as np

from hanq.data.foundations.arguments import shown, warn
from hanq.data.screens import ScreenDataset

HOPELESS = 1e3
"""Numbers above this in an observation cause a warning. When Pendulum's velocity, which reaches 8, was rescaled to reach 80, 800 and
8,000, HANQ's score after 4,000 steps fell from 95 to 94, 32 and 11, and DQN's from 26 to 1, -3 and -11."""


def standardised(dataset, wanted):
    """Standardise a dataset if wanted, and return it with a function `unfold`; if not wanted, warn of observations that are too large.

    unfold: (network, agents, params) -> params for observations that are not standardised. Each column is standardised by its
    mean and standard deviation in the agent's own dataset; from a constant column only the mean is subtracted.
    """
    if not isinstance(wanted, bool | np.bool_):
        raise ValueError(f"standardise={shown(wanted)} is not allowed: use True or False")
    if isinstance(dataset, ScreenDataset):
        if wanted:
            raise ValueError("standardise=True is not for screens, which are 0 and 1: leave it out")
        return dataset, lambda network, agents, params: params
    if not wanted:
        warn_of_scale(dataset.observations)
        return dataset, lambda network, agents, params: params
    seen = dataset.observations.astype(np.float64)
    mean, deviation = seen.mean(1), seen.std(1)  # (datasets, obs_dim)
    deviation[deviation <= 1e-12 * np.abs(mean)] = 1
    units = [
        ((getattr(dataset, name) - mean[:, None]) / deviation[:, None]).astype(np.float32) for name in ("observations", "next_observations")
    ]

    def unfold(network, agents, params):
        """W (x - mean) / deviation + b = (W / deviation) x + (b - W mean / deviation)."""
        params = params.copy()
        views, of = network.views(params), agents.datasets
        scaled = views["hidden_0.weight"] / deviation[of][:, None]  # (agents, features, obs_dim) float64
        views["hidden_0.bias"] -= np.einsum("afo,ao->af", scaled, mean[of])
        views["hidden_0.weight"][...] = scaled
        return params

    return replace(dataset, observations=units[0], next_observations=units[1]), unfold


def warn_of_scale(observations):
    """Warn if observations, (seeds, size, obs_dim), have columns with numbers above `HOPELESS`."""
    largest = np.abs(observations).max((0, 1))
    beyond = np.flatnonzero(largest > HOPELESS)
    if len(beyond) > 0:
        column = int(beyond[0])
        warn(
            f"column {column} of observations goes up to {largest[column]:.3g}"
            f"{f', and {len(beyond) - 1} more beyond {HOPELESS:g}' if len(beyond) > 1 else ''}: training hardly learns from such "
            "numbers; hanq.train(..., standardise=True) brings them to a size of 1"
        )
