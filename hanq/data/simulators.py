"""Environments in which data are collected and policies played: hanq's own, and any of Gymnasium's with discrete actions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from hanq.data import environments
from hanq.data.arguments import shown

MOST_STEPS = 10_000  # of an episode, in environments that have no limit of their own


@dataclass(frozen=True)
class Simulator:
    """A Gymnasium environment whose observations are flat, and whose actions are counted."""

    name: str
    make: Callable[..., gymnasium.Env]
    """Makes one; takes `episode_length`, the steps after which an episode is cut off, or None for the environment's own."""
    obs_dim: int
    actions: int
    first_action: int
    """What the environment calls its first action, mostly 0."""
    states: int | None
    """How many states there are where the environment numbers them: observations are then one-hot."""
    horizon: int
    """Steps after which an episode of evaluation is cut off, at the latest."""
    options: dict[str, Any] | None = None
    """For `reset`: how hanq's own environments start."""

    @property
    def labels(self):
        """What the environment calls its actions, where that is not 0, 1, ..."""
        return tuple(range(self.first_action, self.first_action + self.actions)) if self.first_action else None

    def played(self, labels, count):
        """The environment's action for each of a policy's, (count,) int64; ValueError where they are not its own.

        labels: the policy's, or None. Integers that the environment knows are its actions; all others name them in order.
        """
        own = range(self.first_action, self.first_action + self.actions)
        if labels is not None and all(label in own for label in labels):
            return np.array(labels, np.int64)
        if count != self.actions:
            which = "" if labels is None else f", labelled {shown(list(labels))}"
            raise ValueError(f"environment={self.name!r} has {self.actions} actions, but there are {count}{which}: use as many, or another")
        return np.array(own, np.int64)

    def check(self, obs_dim, labels, count):
        """ValueError where data or a policy of this many numbers and actions do not fit."""
        if obs_dim != self.obs_dim:
            raise ValueError(f"observations has obs_dim {obs_dim}: {self.name} needs {self.obs_dim}")
        self.played(labels, count)


def find(environment):
    """The `Simulator` of a name, a Gymnasium id, or a function that makes an environment; ValueError names what is none."""
    if isinstance(environment, str) and environment in environments.ENVIRONMENTS:
        return of_built_in(environments.find(environment))
    allowed = (
        f"use one of {tuple(environments.ENVIRONMENTS)}, a Gymnasium id such as 'MountainCar-v0', "
        "or a function without arguments that makes an environment"
    )
    if isinstance(environment, gymnasium.Env | gymnasium.vector.VectorEnv) or not (isinstance(environment, str) or callable(environment)):
        raise ValueError(f"environment={shown(environment)} is unknown: {allowed}")
    maker = partial(gymnasium.make, environment, disable_env_checker=True) if isinstance(environment, str) else environment
    name = name_of(environment)
    try:
        made = maker()
    except Exception as error:
        unknown = isinstance(error, gymnasium.error.UnregisteredEnv)
        what = "unknown" if unknown else f"not allowed, for making it failed with {type(error).__name__}: {shown(str(error))}"
        raise ValueError(f"environment={shown(environment)} is {what}: {allowed}") from error
    if not isinstance(made, gymnasium.Env):
        raise ValueError(f"environment={shown(environment)} makes a {type(made).__name__}, not a gymnasium.Env: {allowed}")
    with made:
        return of_gymnasium(name, maker, made)


def of_built_in(known):
    """One of hanq's own, by Gymnasium's own dynamics."""
    options = {"x_init": np.pi, "y_init": environments.PENDULUM_MAX_SPEED} if known.code == environments.PENDULUM else None
    return Simulator(known.name, known.make, known.obs_dim, known.actions, 0, None, known.horizon, options)


def of_gymnasium(name, maker, made):
    """Any other: `made` is one that the maker made."""
    action_space, seen = made.action_space, made.observation_space
    if not isinstance(action_space, spaces.Discrete):
        raise ValueError(f"environment={name!r} has actions in {action_space}: use one with discrete actions, such as a wrapper makes")
    if isinstance(seen, spaces.Box) and seen.dtype == np.uint8 and len(seen.shape) > 1:
        raise ValueError(
            f"environment={name!r} shows images of shape {seen.shape}: hanq.atari trains on frames; use one that shows numbers"
        )
    try:
        obs_dim = spaces.flatdim(seen)
    except (NotImplementedError, ValueError) as error:
        raise ValueError(f"environment={name!r} shows {seen}, which has no fixed count of numbers: use one that has") from error
    states = int(seen.n) if isinstance(seen, spaces.Discrete) else None
    limit = made.spec.max_episode_steps if made.spec is not None else None
    make = partial(_flat, maker)
    return Simulator(name, make, obs_dim, int(action_space.n), int(action_space.start), states, limit or MOST_STEPS)


def _flat(maker, episode_length=None):
    """One that the maker makes, with flat observations; numbered states become one-hot."""
    made = maker()
    if episode_length is not None:
        made = gymnasium.wrappers.TimeLimit(made, episode_length)
    plain = isinstance(made.observation_space, spaces.Box) and len(made.observation_space.shape) == 1
    return made if plain else gymnasium.wrappers.FlattenObservation(made)


def name_of(environment):
    """What an environment is called in messages and files; "" for None."""
    if environment is None or isinstance(environment, str):
        return environment or ""
    return f"{getattr(environment, '__module__', '')}.{getattr(environment, '__qualname__', type(environment).__name__)}"
