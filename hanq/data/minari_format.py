"""Reads and writes datasets of Minari, the standard format for offline data. Minari is imported only where it is needed."""

import numpy as np
from gymnasium import spaces

from hanq.data.foundations.arguments import shown


def needed():
    """Return the package minari. Raises ImportError, which says how to install it."""
    try:
        import minari
    except ImportError as error:
        raise ImportError("Minari's datasets need the package minari: pip install 'minari[hdf5]'") from error
    return minari


def read(dataset):
    """Return (episodes for `Dataset.from_episodes`, labels of the actions or None, provenance)."""
    if isinstance(dataset, str):
        try:
            dataset = needed().load_dataset(dataset)
        except (FileNotFoundError, ValueError) as error:
            raise ValueError(f"dataset={shown(dataset)} could not be loaded by minari ({error})") from error
    for attribute in ("observation_space", "action_space", "iterate_episodes"):
        if not hasattr(dataset, attribute):
            raise ValueError(f"dataset={shown(dataset)} is not allowed: use a name, or what minari.load_dataset returns")
    seen, actions = dataset.observation_space, dataset.action_space
    to_action, labels = reader_of_actions(actions)
    if not isinstance(seen, spaces.Discrete) and not (isinstance(seen, spaces.Box) and len(seen.shape) == 1):
        images = "; hanq.atari trains on frames" if isinstance(seen, spaces.Box) else ""
        raise ValueError(f"dataset has observations in {shown(seen)}: use a one-dimensional Box, or Discrete{images}")
    episodes = []
    for one in dataset.iterate_episodes():
        observations = np.asarray(one.observations)
        if isinstance(seen, spaces.Discrete):
            observations = np.eye(int(seen.n), dtype=np.float32)[observations.astype(np.int64) - int(seen.start)]
        terminated = bool(np.asarray(one.terminations)[-1])
        episodes.append(dict(observations=observations, actions=to_action(one.actions), rewards=one.rewards, terminated=terminated))
    name = getattr(getattr(dataset, "spec", None), "dataset_id", None) or getattr(dataset, "id", "")
    return episodes, labels, {"minari": str(name)}


def reader_of_actions(space):
    """Return (a function from Minari's actions to integers, labels or None). Raises ValueError for a space without discrete actions."""
    if isinstance(space, spaces.Discrete):
        own = tuple(range(int(space.start), int(space.start) + int(space.n)))
        return np.asarray, own
    one_hot = isinstance(space, spaces.MultiBinary) or (isinstance(space, spaces.Box) and space.dtype.kind in "iu")
    if one_hot and len(space.shape) == 1:
        return from_one_hot, tuple(range(space.shape[0]))
    raise ValueError(f"dataset has actions in {shown(space)}: use one with Discrete actions, or one-hot ones (MultiBinary)")


def from_one_hot(actions):
    """Return the place of the 1 in each one-hot row."""
    found = np.asarray(actions)
    if not (np.isin(found, (0, 1)).all() and (found.sum(-1) == 1).all()):
        raise ValueError("dataset has actions that are not one-hot: use a single 1 in each")
    return found.argmax(-1)


def write(data, name, options):
    """Create a Minari dataset with this name and return it."""
    minari = needed()
    from minari.data_collector import EpisodeBuffer

    buffers = []
    for seed in range(len(data.seeds)):
        for first, stop in runs(data, seed):
            rows = (seed, slice(first, stop))
            ends = np.arange(first, stop) == stop - 1
            terminated = data.terminated[rows] & ends
            buffers.append(
                EpisodeBuffer(
                    id=len(buffers),
                    observations=[*data.observations[rows], data.next_observations[seed, stop - 1]],
                    actions=data.actions[rows].tolist(),
                    rewards=data.rewards[rows].tolist(),
                    terminations=terminated.tolist(),
                    truncations=(ends & ~terminated).tolist(),
                    infos={},
                )
            )
    usual = dict(
        observation_space=spaces.Box(-np.inf, np.inf, (data.obs_dim,), np.float32), action_space=spaces.Discrete(data.action_count)
    )
    return minari.create_dataset_from_buffers(name, buffers, **usual | options)


def runs(data, seed):
    """Return (first, stop) of each stretch of rows of one dataset that follow one another without an end in between."""
    follows = (data.next_observations[seed, :-1] == data.observations[seed, 1:]).all(-1) & ~data.terminated[seed, :-1]
    stops = [*(np.flatnonzero(~follows) + 1).tolist(), data.size]
    return zip([0, *stops[:-1]], stops, strict=True)
