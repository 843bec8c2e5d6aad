"""Collects offline data by uniformly random actions, through Gymnasium."""

import os
import re
from os import PathLike

import numpy as np
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from hanq.data import environments, minatar, screens, simulators
from hanq.data.dataset import Dataset, Maker, load_dataset
from hanq.data.foundations import files, records
from hanq.data.foundations.arguments import check_seeds, positive_integer, shown
from hanq.data.foundations.generator import BEHAVIOUR, integer
from hanq.data.foundations.settings import set_aside
from hanq.data.playing import Stage, watched
from hanq.data.screens import ScreenDataset
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
    folder: str | PathLike | None = None,
) -> Dataset | ScreenDataset:
    """Collect offline data by uniformly random actions, one dataset for each seed (section 11).

    - environment: "Pendulum" (with torques -2, 0 and 2), "Acrobot" or "CartPole"; or the id of any Gymnasium environment with
      discrete actions, or a function that makes one. Observations are flattened, and numbered states become one-hot. Or a game
      of MinAtar, which must be installed: "MinAtar/Seaquest-v1", with Breakout, Asterix, Freeway and SpaceInvaders.
    - seeds: integers from 0. The first episode starts with Gymnasium's reset(seed=seed); later ones continue its generator.
    - size: the number of transitions for each seed, by default 1,000 for Pendulum, 100,000 for MinAtar and 10,000 for others.
    - episode_length: the number of steps after which an episode is cut off, by default the environment's own limit (200 for
      Pendulum, 500 for Acrobot and CartPole, 2,500 for MinAtar). It can only shorten the episodes of other environments.
    - initial_velocity: for Pendulum only. Episodes start at an angle drawn uniformly from [-pi, pi] and a velocity drawn
      uniformly from [-initial_velocity, initial_velocity]; the default, 8, covers every state.
    - folder: where each seed's dataset is written once it is complete, so that a collection that was killed goes on with the seed
      after it. For environments given by name.

    The paper does not specify episode_length and initial_velocity; see the book's chapter *What the paper leaves open*.

    Returns a `Dataset` with len(seeds) datasets, or for MinAtar a `ScreenDataset`, which holds screens as bits. Raises ValueError
    naming a bad argument, and RuntimeError naming the step at which an environment raises, hangs or returns a number that is not
    finite. A progress bar appears after a few seconds.
    """
    simulator = simulators.find(environment)
    known = simulators.known(environment)
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
    options = simulator.starts(initial_velocity)
    conditions = {"collected": "uniformly random actions", "episode_length": episode_length, "initial_velocity": initial_velocity}
    conditions |= minatar.conditions() | {"size": size} if simulator.screen else {}
    arrays = _empty(simulator, len(seeds), size)

    def made(columns, seeds):
        provenance = records.provenance() | conditions
        if simulator.screen:
            return ScreenDataset._made(columns, seeds, simulator.name, simulator.actions, simulator.screen, provenance)
        return Dataset._made(columns, seeds, environment, simulator.actions, simulator.labels, provenance)

    if folder is not None:
        files.clear_locks(files.as_path("folder", folder))
    hidden = bool(os.environ.get("TQDM_DISABLE"))  # the notebook's bar does not ask
    with tqdm(total=arrays["actions"].size, unit="step", delay=PROGRESS_DELAY, disable=hidden) as bar:
        for i, seed in enumerate(seeds.tolist()):
            columns = {name: array[i] for name, array in arrays.items()}
            with files.locked("folder", _file(folder, environment, simulator.name, seed, size), wait=True) as path:
                if path is not None and path.exists():
                    _load_one(path, columns, seed, simulator.name, conditions, bar)
                    continue
                _collect_one(simulator, seed, columns, episode_length, options, bar)
                if path is not None:
                    made({name: array[i : i + 1] for name, array in arrays.items()}, seeds[i : i + 1]).save(path)
    return made(arrays, seeds)


def _empty(simulator, seeds, size):
    """Make arrays for the transitions of all seeds."""
    types, width = (screens.TYPES, screens.packed_bytes(simulator.screen)) if simulator.screen else (TYPES, simulator.obs_dim)
    return {name: np.empty((seeds, size, *[width] * (len(dims) - 2)), types[name]) for name, dims in DIMS.items()}


def _file(folder, environment, name, seed, size):
    """Return the path of the file of one seed, or None without a folder. Raises ValueError for an environment without a name."""
    if folder is None:
        return None
    if not isinstance(environment, str):
        raise ValueError(f"folder={shown(folder)} needs an environment given by name, not {shown(environment)}: leave it out")
    path = files.as_path("folder", folder) / f"{re.sub(r'[^0-9A-Za-z-]+', '-', name)}-{seed}-{size}.nc"
    return path


def _load_one(path, columns, seed, environment, conditions, bar):
    """Fill the arrays of one seed from its file. Raises ValueError if it holds a collection under other conditions."""
    found = load_dataset(path)
    there = {name: found.provenance.get(name) for name in conditions} | {"seeds": found.seeds.tolist(), "environment": found.environment}
    asked = conditions | {"seeds": [seed], "environment": environment}
    differing = [f"{name}={there[name]!r} where {name}={value!r} is asked for" for name, value in asked.items() if there[name] != value]
    if differing or found.size != len(columns["actions"]):
        raise ValueError(f"path={str(path)!r} holds {', '.join(differing) or 'another size'}: use another folder, or move the file away")
    for name, column in columns.items():
        column[:] = getattr(found, name)[0]
    bar.update(found.size)


def _collect_one(simulator, seed, data, episode_length, options, bar):
    """Fill the arrays (size, ...) of one dataset, whose actions are a function of the seed alone."""
    size, before = len(data["actions"]), bar.n
    data["actions"][:] = integer(simulator.actions, seed, BEHAVIOUR, 0, np.arange(size))
    stage, played = Stage(simulator, f" (collecting with seed {seed})"), simulator.played(None, simulator.actions)

    def kept(observation):
        return observation if simulator.screen is None else screens.pack(observation.reshape(simulator.screen) > 0)

    def play():
        with stage.open(episode_length):
            observation = kept(stage.start(seed, options))
            for i, action in enumerate(data["actions"]):
                data["observations"][i] = observation
                seen, data["rewards"][i], data["terminated"][i], truncated = stage.move(played[action])
                data["next_observations"][i] = observation = kept(seen)
                if (data["terminated"][i] or truncated) and i + 1 < size:
                    observation = kept(stage.start(None, options))

    watched(stage, play, lambda moves: bar.update(min(before + moves, before + size) - bar.n))
    bar.update(before + size - bar.n)
