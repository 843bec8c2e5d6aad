"""Offline datasets, collected or the user's own: checked, saved and loaded.

A `Dataset` holds one dataset of logged transitions a seed, all of one size. What its makers check is in `transitions`, how
they find next observations in `episodes`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any, Self

import gymnasium
import numpy as np
import xarray
from numpy.typing import ArrayLike

from hanq.data import episodes, records, simulators, transitions
from hanq.data.arguments import check_seeds, shown, warn
from hanq.data.makers import Label, Makers
from hanq.data.settings import set_aside
from hanq.data.transitions import DIMS, TYPES

Maker = Callable[[], gymnasium.Env]


@dataclass(frozen=True, eq=False)
class Dataset(Makers):
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
    environment: str | Maker | None
    """Where policies are evaluated: one of hanq's own environments, a Gymnasium id, a function that makes one, or None."""
    action_count: int
    """How many actions there are to choose from."""
    action_labels: tuple[Label, ...] | None = None
    """What the actions 0, 1, ... are called in the log, or None where that is what they are called."""
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
        """A dataset of a user's own logged transitions.

        - observations, next_observations: (size, obs_dim), or (seeds, size, obs_dim) for several datasets. next_observations may be
          None for one dataset whose rows follow each other: they are then built from terminated and truncated, and the last step
          of an episode that was cut off, which has no successor, is left out.
        - actions (integers from 0, or labels), rewards, terminated (0 or 1): the same shape without obs_dim, or with a last axis of 1.
          All of these may be anything that NumPy, PyTorch, pandas or xarray makes of numbers, on any device.
        - terminated: only where the episode really ended. A time limit is no termination: a policy could have gone on there, and
          passed as one it teaches that nothing more can be had, so that Q-values come out far too small.
        - truncated: where episodes were cut off; only needed where next_observations is None, else it is compared with them.
        - environment: where to evaluate: "Pendulum", "Acrobot", "CartPole", the id of any Gymnasium environment with discrete
          actions, or a function that makes one. Without one, scores are NaN.
        - action_count: how many actions there are; by default the environment's, or else the largest seen plus one.
        - action_labels: what the actions are called, all integers or all texts: action 0 is the first of these. Policies choose
          among them only, and `Policy.act` gives them back. Integers that an environment knows are its own actions.
        - seeds: one integer for each dataset; by default 0, 1, ...
        - provenance: where the data come from, as anything that JSON can hold.

        Raises ValueError naming the argument for wrong shapes, NaN, masked or missing numbers, actions out of range, images, and
        integers that float32 cannot tell apart. Warns of those that it rounds, of actions that are never logged, and of rows that
        follow each other but not as episodes do.
        """
        simulator = None if environment is None else simulators.find(environment)
        labels = None if action_labels is None else transitions.check_labels(action_labels)
        if labels is None and simulator is not None:
            labels = simulator.labels
        given = dict(observations=observations, rewards=rewards, next_observations=next_observations, terminated=terminated)
        provenance = _plain({} if provenance is None else provenance)
        if next_observations is None and truncated is not None:
            given = episodes.of_rows(observations, actions, rewards, terminated, truncated)
            provenance, actions, truncated = provenance | {"left_out": given.pop("left_out")}, given.pop("actions"), given.pop("truncated")
        arrays = {name: transitions.checked(name, value) for name, value in given.items()}
        arrays["actions"] = transitions.numbered("actions", actions, labels)
        if truncated is not None:
            arrays["truncated"] = transitions.checked("terminated", truncated, "truncated")
        if simulator is not None and simulator.states is not None:
            arrays = transitions.one_hot(arrays, simulator.states)
        arrays = transitions.shaped(arrays)
        action_count = transitions.count_actions(arrays["actions"], action_count, labels, simulator)
        if simulator is not None:
            simulator.check(arrays["observations"].shape[2], labels, action_count)
        seeds = check_seeds(np.arange(len(arrays["actions"])) if seeds is None else seeds, len(arrays["actions"]))
        transitions.say(arrays, action_count, labels)
        return cls._made(arrays, seeds, environment, action_count, labels, provenance)

    @classmethod
    def _made(cls, arrays, seeds, environment, action_count, labels, provenance):
        """The dataset of arrays that are known to be good; copies them."""
        arrays = {name: np.array(arrays[name], TYPES[name], order="C") for name in DIMS}
        labels = None if labels == tuple(range(action_count)) else labels
        return cls(**arrays, seeds=seeds, environment=environment, action_count=action_count, action_labels=labels, provenance=provenance)

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
            "environment": simulators.name_of(self.environment),
            "action_count": self.action_count,
            "provenance": json.dumps(self.provenance),
        } | ({} if self.action_labels is None else {"action_labels": json.dumps(self.action_labels)})
        return xarray.Dataset(variables, {"seed": self.seeds}, attrs)

    def save(self, path: str | PathLike) -> None:
        """Write everything to one file, atomically, in place of what is there.

        No file holds a function: an environment that is one is left out, with a warning; give it to `hanq.train` again.
        """
        stored = self.to_xarray()
        if callable(self.environment):
            warn(f"environment={stored.attrs['environment']} is a function, which no file holds: give it to hanq.train after loading")
            stored.attrs["environment"] = ""
        records.save(stored, path)


def load_dataset(path: str | PathLike) -> Dataset:
    """Load what `Dataset.save` wrote; ValueError names a file that is truncated, edited or of another kind."""
    stored = records.load(path)
    if stored.attrs.get("kind") != "dataset":
        raise ValueError(f"path={str(path)!r} holds no dataset but a {stored.attrs.get('kind', 'file of another kind')}")
    labels = json.loads(stored.attrs.get("action_labels", "null"))
    arrays = transitions.shaped({name: transitions.checked(name, stored[name].values) for name in DIMS})
    count, environment = int(stored.attrs["action_count"]), stored.attrs["environment"] or None
    transitions.count_actions(arrays["actions"], count, labels)
    return Dataset._made(
        arrays, check_seeds(stored["seed"].values), environment, count, labels and tuple(labels), json.loads(stored.attrs["provenance"])
    )


def _plain(provenance):
    """A provenance as it can be saved; ValueError for what is no dict, or holds what JSON has not."""
    try:
        if not isinstance(provenance, Mapping):
            raise TypeError("it is no dict")
        json.dumps(dict(provenance))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"provenance={shown(provenance)} is not plain data: use a dict of what JSON has ({error})") from error
    return dict(provenance)
