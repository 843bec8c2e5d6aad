"""Training on standardised observations, with the scaling folded into the first layer afterwards."""

from dataclasses import replace

import numpy as np

from hanq.data.foundations.arguments import shown, warn
from hanq.data.screens import ScreenDataset

HOPELESS = 1e3
"""Numbers above this in an observation cause a warning. When Pendulum's velocity, which reaches 8, was rescaled to reach 80, 800 and
8,000, HANQ's score after 4,000 steps fell from 95 to 94, 32 and 11, and DQN's from 26 to 1, -3 and -11."""
NARROW = 0.05
"""Standard deviations of observations below this cause a warning. When Pendulum's velocity, whose standard deviation is 4.2, was
rescaled to one of 0.42, 0.042 and 0.013, HANQ's score after 4,000 steps fell from 97 to 63, 35 and 13. On a log of MountainCar, where
the velocity's is 0.025, HANQ learns nothing, and with the velocity times 30 it learns. The least of CartPole is 0.09, of Acrobot 0.16,
of LunarLander 0.3."""
LOOKED_AT = 10_000
"""Standard deviations are those of about so many transitions of each dataset."""


def standardised(dataset, wanted):
    """Standardise a dataset if wanted, and return it with a function `unfold`; if not wanted, warn of columns that ask for it.

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
        warn_of_size(dataset.observations)
        warn_of_spread(dataset.observations)
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


def warn_of_size(observations):
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


def warn_of_spread(observations):
    """Warn if observations, (seeds, size, obs_dim), have columns with a standard deviation below `NARROW`.

    Columns that never change do not count, nor columns of whole numbers, such as flags and one-hot rows, of which some are rare.
    """
    seen = observations[:, :: -(-observations.shape[1] // LOOKED_AT)].astype(np.float64)
    with np.errstate(all="ignore"):
        mean, deviation = seen.mean((0, 1)), seen.std((0, 1))
    changes, counts = deviation > 1e-12 * np.abs(mean), (seen == np.rint(seen)).all((0, 1))
    narrow = np.flatnonzero(changes & ~counts & (deviation < NARROW))
    if len(narrow) > 0:
        column = int(narrow[0])
        warn(
            f"column {column} of observations has a standard deviation of {deviation[column]:.2g}"
            f"{f', and {len(narrow) - 1} more below {NARROW:g}' if len(narrow) > 1 else ''}: HANQ hardly learns from numbers so close to "
            "each other; hanq.train(..., standardise=True) gives each column one of 1"
        )
