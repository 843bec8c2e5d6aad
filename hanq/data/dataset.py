"""Offline datasets, collected by hanq or brought by the user: checked, saved and loaded.

A `Dataset` holds one dataset of logged transitions for each seed, all of the same size. The module `transitions` has the
checks, and `episodes` finds next observations.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Self

import gymnasium
import numpy as np
import xarray
from numpy.typing import ArrayLike

from hanq.data import episodes, simulators, transitions
from hanq.data.foundations import records
from hanq.data.foundations.arguments import check_seeds, plain, warn
from hanq.data.foundations.settings import set_aside
from hanq.data.makers import Label, Makers
from hanq.data.screens import KIND, ScreenDataset
from hanq.data.transitions import DIMS, TYPES

Maker = Callable[[], gymnasium.Env]


@dataclass(frozen=True, eq=False)
class Dataset(Makers):
    """Logged transitions, one dataset for each seed, all of the same size.

    `terminated` is true only where an episode really ended. Reaching a time limit is not a termination, and bootstrapping
    continues across it.
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
    environment: str | Maker | None
    """Where policies are evaluated: a built-in environment, a Gymnasium id, a function that makes an environment, or None."""
    action_count: int
    """The number of actions to choose from."""
    action_labels: tuple[Label, ...] | None = None
    """The names of actions 0, 1, ... in the log, or None if they have no other names."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Where the data come from."""

    @property
    def size(self) -> int:
        """The number of transitions of each seed."""
        return self.observations.shape[1]

    @property
    def obs_dim(self) -> int:
        return self.observations.shape[2]

    @property
    def digest(self) -> str:
        """A checksum of the transitions, without their provenance."""
        return records.digest(self.to_xarray().drop_attrs())

    @classmethod
    @set_aside()
    def from_arrays(
        cls,
        observations: ArrayLike,
        actions: ArrayLike,
        rewards: ArrayLike,
        next_observations: ArrayLike | None,
        terminated: ArrayLike,
        *,
        truncated: ArrayLike | None = None,
        environment: str | Maker | None = None,
        action_count: int | None = None,
        action_labels: Sequence[Label] | None = None,
        seeds: ArrayLike | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Self:
        """Make a dataset from your own logged transitions.

        - observations, next_observations: (size, obs_dim), or (seeds, size, obs_dim) for several datasets. If the rows of a single
          dataset are in order of time, next_observations may be None: they are then built from terminated and truncated, and the
          last step of an episode that was cut off is left out, because nothing is known of what followed.
        - actions (integers from 0, or labels), rewards, terminated (0 or 1): the same shape without obs_dim, or with a last axis of
          length 1. All of these may be NumPy arrays, PyTorch tensors on any device, pandas or xarray objects, or lists.
        - terminated: true only where an episode really ended. Do not pass time limits here. An episode that was cut off could have
          continued. If it is marked as terminated, agents learn that neither reward nor cost would have followed, and their Q-values
          are far too close to 0.
        - truncated: true where an episode was cut off. Needed only if next_observations is None; otherwise it is checked against them.
        - environment: where policies are evaluated: "Pendulum", "Acrobot", "CartPole", the id of any Gymnasium environment with
          discrete actions, or a function that makes one. Without an environment, scores are NaN.
        - action_count: the number of actions. By default the environment's, or the largest logged action plus one.
        - action_labels: the names of the actions, all integers or all strings, starting with that of action 0. Policies choose only
          among these, and `Policy.act` returns them. Integers that the environment has as actions refer to those.
        - seeds: one integer for each dataset, by default 0, 1, ...
        - provenance: a description of where the data come from, as a dict that JSON can represent.

        Raises ValueError naming the argument for wrong shapes, NaN, masked or missing numbers, actions out of range, images, and
        integers that float32 cannot tell apart. Warns of integers that float32 rounds, of actions that are never logged, and of
        consecutive rows that do not fit together.
        """
        simulator = None if environment is None else simulators.find(environment)
        labels = None if action_labels is None else transitions.check_labels(action_labels)
        if labels is None and simulator is not None:
            labels = simulator.labels
        given = dict(observations=observations, rewards=rewards, next_observations=next_observations, terminated=terminated)
        provenance = plain("provenance", {} if provenance is None else provenance)
        if next_observations is None and truncated is None:
            raise ValueError(
                "next_observations is a NoneType: use an array of numbers, or give truncated, which is true where an episode was cut off"
            )
        if next_observations is None:
            given = episodes.of_rows(observations, actions, rewards, terminated, truncated)
            provenance, actions, truncated = provenance | {"left_out": given.pop("left_out")}, given.pop("actions"), given.pop("truncated")
        arrays = {name: transitions.checked(name, value) for name, value in given.items()}
        arrays["actions"] = transitions.numbered("actions", actions, labels)
        if truncated is not None:
            arrays["truncated"] = transitions.checked("terminated", truncated, "truncated")
        if simulator is not None and simulator.states is not None:
            arrays = transitions.one_hot(arrays, simulator.states, simulator.first_state)
        arrays = transitions.shaped(arrays)
        action_count = transitions.count_actions(arrays["actions"], action_count, labels, simulator)
        if simulator is not None:
            simulator.check(arrays["observations"].shape[2], labels, action_count)
        seeds = check_seeds(np.arange(len(arrays["actions"])) if seeds is None else seeds, len(arrays["actions"]))
        transitions.say(arrays, action_count, labels)
        return cls._made(arrays, seeds, environment, action_count, labels, provenance)

    @classmethod
    def _made(cls, arrays, seeds, environment, action_count, labels, provenance):
        """Make a dataset from copies of arrays that have been checked."""
        arrays = {name: np.array(arrays[name], TYPES[name], order="C") for name in DIMS}
        labels = None if labels == tuple(range(action_count)) else labels
        return cls(**arrays, seeds=seeds, environment=environment, action_count=action_count, action_labels=labels, provenance=provenance)

    def sel(self, seeds: ArrayLike) -> Self:
        """Select the datasets of these seeds, in this order.

        Raises KeyError for a seed that is not in the dataset, and ValueError unless the seeds are distinct integers.
        """
        return transitions.select(self, seeds)

    def to_xarray(self) -> xarray.Dataset:
        """Convert to labelled arrays, with the provenance in the attributes."""
        variables = {name: (dims, getattr(self, name)) for name, dims in DIMS.items()}
        attrs = {
            "kind": "dataset",
            "environment": simulators.name_of(self.environment),
            "action_count": self.action_count,
            "provenance": json.dumps(self.provenance),
        } | ({} if self.action_labels is None else {"action_labels": json.dumps(self.action_labels)})
        return xarray.Dataset(variables, {"seed": self.seeds}, attrs)

    def save(self, path: str | PathLike) -> None:
        """Write the dataset to one file, atomically, replacing what is there.

        A function that makes an environment cannot be saved. It is left out with a warning; pass it to `hanq.train` again.
        """
        stored = self.to_xarray()
        if callable(self.environment):
            warn(f"environment={stored.attrs['environment']} is a function, which no file holds: give it to hanq.train after loading")
            stored.attrs["environment"] = ""
        records.save(stored, path)


def load_dataset(path: str | PathLike) -> Dataset | ScreenDataset:
    """Load a file written by `Dataset.save`, or that of a `ScreenDataset`. Raises ValueError if it is truncated, was edited, or
    holds something else."""
    stored = records.load(path)
    if stored.attrs.get("kind") == KIND:
        return ScreenDataset._stored(stored, path)
    if stored.attrs.get("kind") != "dataset":
        raise ValueError(f"path={str(path)!r} holds no dataset but a {stored.attrs.get('kind', 'file of another kind')}")
    labels = json.loads(stored.attrs.get("action_labels", "null"))
    arrays = transitions.shaped({name: transitions.checked(name, stored[name].values) for name in DIMS})
    count, environment = int(stored.attrs["action_count"]), stored.attrs["environment"] or None
    transitions.count_actions(arrays["actions"], count, labels)
    return Dataset._made(
        arrays, check_seeds(stored["seed"].values), environment, count, labels and tuple(labels), json.loads(stored.attrs["provenance"])
    )
