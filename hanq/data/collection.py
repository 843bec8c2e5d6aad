"""Collects offline data by uniformly random actions, through Gymnasium."""

import os

import numpy as np
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from hanq.data import environments, records, simulators
from hanq.data.arguments import check_seeds, positive_integer, shown
from hanq.data.dataset import Dataset, Maker
from hanq.data.generator import BEHAVIOUR, integer
from hanq.data.playing import Stage, watched
from hanq.data.settings import set_aside
from hanq.data.transitions import DIMS, TYPES

LARGEST_SIZE = 2**32  # of a dataset, see `generator.to_integer`
USUAL_SIZE = 10_000
PROGRESS_DELAY = 3  # seconds before a progress bar appears


@set_aside()
def collect(
    environment: str | Maker,
    seeds: ArrayLike,
    *,
    size: int | None = None,
    episode_length: int | None = None,
    initial_velocity: float | None = None,
) -> Dataset:
    """Collect offline data by uniformly random actions, one dataset for each seed (section 11).

    - environment: "Pendulum" (with torques -2, 0 and 2), "Acrobot" or "CartPole"; or the id of any Gymnasium environment with
      discrete actions, or a function that makes one. Observations are flattened, and numbered states become one-hot.
    - seeds: integers from 0. The first episode starts with Gymnasium's reset(seed=seed); later ones continue its generator.
    - size: the number of transitions for each seed, by default 1,000 for Pendulum and 10,000 for other environments.
    - episode_length: the number of steps after which an episode is cut off, by default the environment's own limit (200 for
      Pendulum, 500 for Acrobot and CartPole). It can only shorten the episodes of other environments.
    - initial_velocity: for Pendulum only. Episodes start at an angle drawn uniformly from [-pi, pi] and a velocity drawn
      uniformly from [-initial_velocity, initial_velocity]; the default, 8, covers every state.

    The paper does not specify the last two; see the book's chapter *What the paper leaves open*.

    Returns a `Dataset` with len(seeds) datasets. Raises ValueError naming a bad argument, and RuntimeError naming the step at
    which an environment raises, hangs or returns a number that is not finite. A progress bar appears after a few seconds.
    """
    simulator = simulators.find(environment)
    known = environments.ENVIRONMENTS.get(simulator.name)
    seeds = check_seeds(seeds)
    usual = known.dataset_size if known else USUAL_SIZE
    size = positive_integer("size", usual if size is None else size, LARGEST_SIZE)
    if episode_length is not None or known:
        episode_length = positive_integer("episode_length", simulator.horizon if episode_length is None else episode_length)
    if simulator.options is not None:
        initial_velocity = environments.PENDULUM_MAX_SPEED if initial_velocity is None else initial_velocity
        initial_velocity = environments.speed("initial_velocity", initial_velocity)
    elif initial_velocity is not None:
        raise ValueError(f"initial_velocity={shown(initial_velocity)} applies to Pendulum only: leave it out for {simulator.name}")
    shapes = {name: (len(seeds), size, *[simulator.obs_dim] * (len(dims) - 2)) for name, dims in DIMS.items()}
    options = simulator.starts(initial_velocity)
    arrays = {name: np.empty(shape, TYPES[name]) for name, shape in shapes.items()}
    hidden = bool(os.environ.get("TQDM_DISABLE"))  # the notebook's bar does not ask
    with tqdm(total=arrays["actions"].size, unit="step", delay=PROGRESS_DELAY, disable=hidden) as bar:
        for i, seed in enumerate(seeds.tolist()):
            _collect_one(simulator, seed, {name: array[i] for name, array in arrays.items()}, episode_length, options, bar)
    provenance = records.provenance() | {
        "collected": "uniformly random actions",
        "episode_length": episode_length,
        "initial_velocity": initial_velocity,
    }
    return Dataset._made(arrays, seeds, environment, simulator.actions, simulator.labels, provenance)


def _collect_one(simulator, seed, data, episode_length, options, bar):
    """Fill the arrays (size, ...) of one dataset, whose actions are a function of the seed alone."""
    size, before = len(data["actions"]), bar.n
    data["actions"][:] = integer(simulator.actions, seed, BEHAVIOUR, 0, np.arange(size))
    stage, played = Stage(simulator, f" (collecting with seed {seed})"), simulator.played(None, simulator.actions)

    def play():
        with stage.open(episode_length):
            observation = stage.start(seed, options)
            for i, action in enumerate(data["actions"]):
                data["observations"][i] = observation
                observation, data["rewards"][i], data["terminated"][i], truncated = stage.move(played[action])
                data["next_observations"][i] = observation
                if (data["terminated"][i] or truncated) and i + 1 < size:
                    observation = stage.start(None, options)

    watched(stage, play, lambda moves: bar.update(min(before + moves, before + size) - bar.n))
    bar.update(before + size - bar.n)
