"""Offline datasets, collected or the user's own: checked, saved and loaded.

A `Dataset` holds one dataset of logged transitions a seed, all of one size.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any, Self

import numpy as np
import xarray
from numpy.typing import ArrayLike

from hanq.data import environments, records
from hanq.data.arguments import array, check_seeds, lost_digits, positive_integer, shown
from hanq.data.settings import set_aside

DIMS = {
    "observations": ("seed", "transition", "observation"),
    "actions": ("seed", "transition"),
    "rewards": ("seed", "transition"),
    "next_observations": ("seed", "transition", "observation"),
    "terminated": ("seed", "transition"),
}
MOST_ACTIONS = 2**24  # the fused engine keeps an action beside its observations, in float32
TYPES = {"observations": "float32", "actions": "int64", "rewards": "float32", "next_observations": "float32", "terminated": "bool"}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Logged transitions, one dataset for each seed, all of the same size.

    `terminated` is true only where the episode really ended: a time limit is no termination,
    and bootstrapping goes on across it.
    """

    observations: np.ndarray
    """(seeds, size, obs_dim) float32"""
    actions: np.ndarray
    """(seeds, size) int64, from 0"""
    rewards: np.ndarray
    """(seeds, size) float32"""
    next_observations: np.ndarray
    """(seeds, size, obs_dim) float32"""
    terminated: np.ndarray
    """(seeds, size) bool"""
    seeds: np.ndarray
    """(seeds,) int64"""
    environment: str | None
    """Name of the environment in which policies are evaluated, or None."""
    action_count: int
    """How many actions there are to choose from."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Where the data come from."""

    @property
    def size(self) -> int:
        """Transitions a seed."""
        return self.observations.shape[1]

    @property
    def obs_dim(self) -> int:
        return self.observations.shape[2]

    @property
    def digest(self) -> str:
        """Checksum of the transitions, whatever their provenance says."""
        return records.digest(self.to_xarray().drop_attrs())

    @classmethod
    @set_aside()
    def from_arrays(
        cls,
        observations: ArrayLike,
        actions: ArrayLike,
        rewards: ArrayLike,
        next_observations: ArrayLike,
        terminated: ArrayLike,
        *,
        environment: str | None = None,
        action_count: int | None = None,
        seeds: ArrayLike | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Self:
        """A dataset of a user's own logged transitions.

        - observations, next_observations: (size, obs_dim), or (seeds, size, obs_dim) for several datasets.
        - actions (integers from 0), rewards, terminated (0 or 1): the same shape without obs_dim. All of these may be anything that
          NumPy, PyTorch, pandas or xarray makes of numbers, on any device.
        - environment: the name of the environment to evaluate in ("Pendulum", ...); without one, scores are NaN.
        - action_count: how many actions there are; by default the environment's, or else the largest seen plus one.
        - seeds: one integer for each dataset; by default 0, 1, ...
        - provenance: where the data come from, as anything that JSON can hold.

        Raises ValueError naming the argument for wrong shapes, NaN, masked or missing numbers, actions out of
        range, and integers that float32 cannot tell apart; warns of those that it rounds.
        """
        given = dict(
            observations=observations, actions=actions, rewards=rewards, next_observations=next_observations, terminated=terminated
        )
        arrays = {name: _checked(name, value) for name, value in given.items()}
        if arrays["observations"].ndim == 2:
            arrays = {name: value[None] for name, value in arrays.items()}
        _check_shapes(arrays)
        action_count = _check_actions(arrays, environment, action_count)
        _check_digits(arrays)
        provenance = _plain({} if provenance is None else provenance)
        seeds = check_seeds(np.arange(len(arrays["actions"])) if seeds is None else seeds, len(arrays["actions"]))
        arrays = {name: np.array(value, TYPES[name], order="C") for name, value in arrays.items()}  # copies
        return cls(**arrays, seeds=seeds, environment=environment, action_count=action_count, provenance=provenance)

    def sel(self, seeds: ArrayLike) -> Self:
        """The datasets of these seeds, in this order.

        KeyError names a seed that is not here, ValueError what is no list of distinct seeds.
        """
        known = {int(seed): i for i, seed in enumerate(self.seeds)}
        wanted = check_seeds(seeds).tolist()
        missing = [seed for seed in wanted if seed not in known]
        if missing:
            raise KeyError(f"seeds={missing} are not in this dataset: use some of {list(known)}")
        index = [known[seed] for seed in wanted]
        return replace(self, seeds=self.seeds[index], **{name: getattr(self, name)[index] for name in DIMS})

    def to_xarray(self) -> xarray.Dataset:
        """The same as labelled arrays, with the provenance in the attributes."""
        variables = {name: (dims, getattr(self, name)) for name, dims in DIMS.items()}
        attrs = {
            "kind": "dataset",
            "environment": self.environment or "",
            "action_count": self.action_count,
            "provenance": json.dumps(self.provenance),
        }
        return xarray.Dataset(variables, {"seed": self.seeds}, attrs)

    def save(self, path: str | PathLike) -> None:
        """Write everything to one file, atomically, in place of what is there."""
        records.save(self.to_xarray(), path)


def load_dataset(path: str | PathLike) -> Dataset:
    """Load what `Dataset.save` wrote; ValueError names a file that is truncated, edited or of another kind."""
    stored = records.load(path)
    if stored.attrs.get("kind") != "dataset":
        raise ValueError(f"path={str(path)!r} holds no dataset but a {stored.attrs.get('kind', 'file of another kind')}")
    arrays = {name: stored[name].values for name in DIMS}
    return Dataset.from_arrays(
        **arrays,
        seeds=stored["seed"].values,
        environment=stored.attrs["environment"] or None,
        action_count=int(stored.attrs["action_count"]),
        provenance=json.loads(stored.attrs["provenance"]),
    )


def _checked(name, value):
    """A user's values of one kind; ValueError where one of them is none that it may be."""
    found = array(name, value)
    limit = np.finfo(np.float32).max if TYPES[name] == "float32" else np.inf
    bad = ~np.isfinite(found) | (np.abs(found.astype(np.float64)) > limit)
    _refuse(name, found, bad, "finite numbers, in float32's range")
    if name == "actions" and found.dtype.kind == "f":
        _refuse(name, found, found != np.floor(found), "integers from 0")
    if name == "terminated":
        _refuse(name, found, ~np.isin(found, (0, 1)), "booleans, or 0 and 1")
    return found


def _refuse(name, values, bad, allowed):
    """ValueError with the first of the values where `bad` is true."""
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} holds {values[where]} at index {where}: use {allowed}")


def _plain(provenance):
    """A provenance as it can be saved; ValueError for what is no dict, or holds what JSON has not."""
    try:
        if not isinstance(provenance, Mapping):
            raise TypeError("it is no dict")
        json.dumps(dict(provenance))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"provenance={shown(provenance)} is not plain data: use a dict of what JSON has ({error})") from error
    return dict(provenance)


def _check_digits(arrays):
    """Warn, once, where float32 does not hold a whole number's digits."""
    for name in ("observations", "next_observations", "rewards"):
        values = arrays[name] if name != "rewards" else arrays[name][..., None]
        lost = lost_digits(name, values)
        if lost is not None:
            warnings.warn(f"{name} holds {lost}, which float32 rounds to {int(np.float32(lost))}", stacklevel=4)
            return


def _check_shapes(arrays):
    shape = arrays["observations"].shape
    if len(shape) != 3 or 0 in shape:
        raise ValueError(f"observations has shape {shape}: use (size, obs_dim) or (seeds, size, obs_dim), none of them 0")
    for name, dims in DIMS.items():
        expected = shape[: len(dims)]
        if arrays[name].shape != expected:
            raise ValueError(f"{name} has shape {arrays[name].shape}: observations of shape {shape} need {expected}")


def _check_actions(arrays, environment, action_count):
    """The number of actions, once every logged action and observation is known to fit."""
    actions = arrays["actions"]
    if action_count is not None:
        action_count = positive_integer("action_count", action_count, MOST_ACTIONS + 1)
    if environment is not None:
        known = environments.find(environment)
        if arrays["observations"].shape[2] != known.obs_dim:
            raise ValueError(f"observations has obs_dim {arrays['observations'].shape[2]}: {environment} needs {known.obs_dim}")
        if action_count not in (None, known.actions):
            raise ValueError(f"action_count={action_count} contradicts {environment}: it has {known.actions} actions")
        action_count = known.actions
    least, most = int(actions.min()), int(actions.max())
    count = action_count or min(max(0, most) + 1, MOST_ACTIONS)
    if least < 0 or most >= count:
        raise ValueError(f"actions holds {shown(least if least < 0 else most)}: use integers from 0 to {count - 1}")
    return count
