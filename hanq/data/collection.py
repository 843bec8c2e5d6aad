"""Offline data from uniformly random actions, collected through Gymnasium."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hanq.data import environments, records
from hanq.data.arguments import check_seeds, positive_integer, shown
from hanq.data.dataset import DIMS, TYPES, Dataset
from hanq.data.environments import PENDULUM
from hanq.data.generator import BEHAVIOUR, integer
from hanq.data.settings import set_aside

LARGEST_SIZE = 2**32  # of a dataset, see `generator.to_integer`


@set_aside()
def collect(
    environment: str, seeds: ArrayLike, *, size: int | None = None, episode_length: int | None = None, initial_velocity: float | None = None
) -> Dataset:
    """Offline data from uniformly random actions, one dataset a seed (section 11).

    - environment: "Pendulum" (with torques -2, 0 and 2), "Acrobot" or "CartPole".
    - seeds: integers from 0.
    - size: transitions for each seed; by default 1,000 for Pendulum and 10,000 for the others.
    - episode_length: steps after which an episode is cut off; by default the environment's own limit (200 for Pendulum, 500 for
      the others).
    - initial_velocity: Pendulum only. Episodes start at an angle drawn uniformly from [-pi, pi] and a velocity drawn uniformly
      from [-initial_velocity, initial_velocity]; the default, 8, covers every state.

    The paper leaves the last two open: see the book's chapter *What the paper leaves open*.

    Returns a `Dataset` of len(seeds) datasets. Raises ValueError naming a bad argument.
    """
    known = environments.find(environment)
    seeds = check_seeds(seeds)
    size = positive_integer("size", known.dataset_size if size is None else size, LARGEST_SIZE)
    episode_length = positive_integer("episode_length", known.horizon if episode_length is None else episode_length)
    if known.code == PENDULUM:
        initial_velocity = environments.PENDULUM_MAX_SPEED if initial_velocity is None else initial_velocity
        initial_velocity = environments.speed("initial_velocity", initial_velocity)
    elif initial_velocity is not None:
        raise ValueError(f"initial_velocity={shown(initial_velocity)} applies to Pendulum only: leave it out for {environment}")
    options = {"x_init": np.pi, "y_init": initial_velocity} if known.code == PENDULUM else None
    single = [_collect_one(known, int(seed), size, episode_length, options) for seed in seeds]
    arrays: dict[str, Any] = {name: np.stack([one[name] for one in single]) for name in DIMS}
    provenance = records.provenance() | {
        "collected": "uniformly random actions",
        "episode_length": episode_length,
        "initial_velocity": initial_velocity,
    }
    return Dataset.from_arrays(**arrays, environment=environment, seeds=seeds, provenance=provenance)


def _collect_one(environment, seed, size, episode_length, options):
    """One dataset, as a dict of arrays; actions are a function of the seed alone."""
    shapes = {"observations": (size, environment.obs_dim), "next_observations": (size, environment.obs_dim)}
    data = {name: np.empty(shapes.get(name, size), TYPES[name]) for name in DIMS}
    data["actions"][:] = integer(environment.actions, seed, BEHAVIOUR, 0, np.arange(size))
    with environment.make(episode_length) as twin:
        observation, _ = twin.reset(seed=seed, options=options)
        for i in range(size):
            data["observations"][i] = observation
            observation, reward, terminated, truncated, _ = twin.step(data["actions"][i])
            data["next_observations"][i] = observation
            data["rewards"][i], data["terminated"][i] = reward, terminated
            if terminated or truncated:
                observation, _ = twin.reset(options=options)
    return data
