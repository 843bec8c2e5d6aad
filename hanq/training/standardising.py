"""Training on standardised observations, and weights that take observations as the data have them."""

from dataclasses import replace

import numpy as np

from hanq.data.arguments import shown, warn

HOPELESS = 1e3
"""The largest number in an observation that networks are expected to learn from as it is. With Pendulum's velocity, which goes up to
8, in other units, HANQ scored 95 after 4,000 steps, 94 where it went up to 80, 32 to 800, and 11 to 8,000; DQN 26, 1, -3 and -11."""


def standardised(dataset, wanted):
    """(the dataset to train on, unfold); warns where observations are too large and it is not wanted.

    unfold: (network, agents, params) -> params for observations as the dataset has them. A column's mean and standard deviation
    are those of an agent's own dataset; of one that never changes only the mean is taken off.
    """
    if not isinstance(wanted, bool | np.bool_):
        raise ValueError(f"standardise={shown(wanted)} is not allowed: use True or False")
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
    """Warn of columns with numbers beyond `HOPELESS`: (seeds, size, obs_dim)."""
    largest = np.abs(observations).max((0, 1))
    beyond = np.flatnonzero(largest > HOPELESS)
    if len(beyond) > 0:
        column = int(beyond[0])
        warn(
            f"column {column} of observations goes up to {largest[column]:.3g}"
            f"{f', and {len(beyond) - 1} more beyond {HOPELESS:g}' if len(beyond) > 1 else ''}: training hardly learns from such "
            "numbers; hanq.train(..., standardise=True) brings them to a size of 1"
        )
