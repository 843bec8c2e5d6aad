"""Environments for collecting data and evaluating policies: the built-in ones, and any from Gymnasium with discrete actions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from hanq.data import environments, minatar
from hanq.data.foundations.arguments import shown

MOST_STEPS = 10_000  # after which an episode of evaluation is cut off, with a warning, where an environment has no time limit


@dataclass(frozen=True)
class Simulator:
    """A Gymnasium environment with flat observations and numbered actions."""

    name: str
    make: Callable[..., gymnasium.Env]
    """Makes the environment. Its argument `episode_length` is the time limit, or None for the environment's own."""
    obs_dim: int
    actions: int
    first_action: int
    """The environment's number for its first action, usually 0."""
    states: int | None
    """The number of states if the environment numbers them, in which case observations are one-hot; otherwise None."""
    horizon: int
    """The largest number of steps in an episode of evaluation."""
    options: dict[str, Any] | None = None
    """Options of `reset`, which say where Pendulum starts."""
    first_state: int = 0
    """The environment's number for its first state, usually 0."""
    screen: tuple[int, int, int] | None = None
    """Channels, height and width if observations are binary screens, as rows of 0 and 1; otherwise None."""

    @property
    def labels(self):
        """The environment's numbers for its actions, or None if they are 0, 1, ..."""
        return tuple(range(self.first_action, self.first_action + self.actions)) if self.first_action else None

    def played(self, labels, count):
        """Return the environment's action for each action of a policy, (count,) int64. Raises ValueError if they do not match.

        labels: the policy's labels, or None. If all labels are actions of the environment, they are taken as such; otherwise
        they name the environment's actions in order.
        """
        own = range(self.first_action, self.first_action + self.actions)
        if labels is not None and all(label in own for label in labels):
            return np.array(labels, np.int64)
        if count != self.actions:
            which = "" if labels is None else f", labelled {shown(list(labels))}"
            raise ValueError(f"environment={self.name!r} has {self.actions} actions, but there are {count}{which}: use as many, or another")
        return np.array(own, np.int64)

    def starts(self, velocity):
        """Return the options of `reset` with Pendulum's initial velocity drawn from [-velocity, velocity]; None for others."""
        return None if self.options is None else self.options | {"y_init": velocity}

    def check(self, obs_dim, labels, count):
        """Raise ValueError if data or a policy with these sizes do not fit the environment."""
        if obs_dim != self.obs_dim:
            raise ValueError(f"observations has obs_dim {obs_dim}: {self.name} needs {self.obs_dim}")
        self.played(labels, count)


def find(environment):
    """Return the `Simulator` for a built-in name, a game of MinAtar, a Gymnasium id, or a function that makes an environment.

    Raises ValueError naming what is not supported.
    """
    if isinstance(environment, str) and environment in environments.ENVIRONMENTS:
        return of_built_in(environments.find(environment))
    if minatar.is_game(environment):
        return of_game(minatar.find(environment))
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
    """Return a built-in environment with Gymnasium's dynamics."""
    options = {"x_init": np.pi, "y_init": environments.PENDULUM_MAX_SPEED} if known.code == environments.PENDULUM else None
    return Simulator(known.name, known.make, known.obs_dim, known.actions, 0, None, known.horizon, options)


def of_game(game):
    """Return a game of MinAtar. Raises ValueError if MinAtar is not installed."""
    minatar.check_installed(game)
    screen = (minatar.channels_of(game), minatar.SIDE, minatar.SIDE)
    return Simulator(game.name, partial(minatar.make, game), game.obs_dim, game.actions, 0, None, game.horizon, screen=screen)


def known(environment):
    """Return the `Environment` with the scores of a built-in name or a game of MinAtar, or None for any other."""
    name = name_of(environment)
    return minatar.find(name) if minatar.is_game(name) else environments.ENVIRONMENTS.get(name)


def of_gymnasium(name, maker, made):
    """Describe any other environment by an example, `made`, of what its maker makes."""
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
    states, first = (int(seen.n), int(seen.start)) if isinstance(seen, spaces.Discrete) else (None, 0)
    horizon, make = time_limit(made) or MOST_STEPS, partial(_flat, maker)
    return Simulator(name, make, obs_dim, int(action_space.n), int(action_space.start), states, horizon, first_state=first)


def time_limit(made):
    """Return the number of steps after which an environment, or a wrapper around it, cuts an episode off, or None."""
    if made.spec is not None:
        return made.spec.max_episode_steps
    limits = []
    while isinstance(made, gymnasium.Wrapper):
        if isinstance(made, gymnasium.wrappers.TimeLimit):
            limits.append(made._max_episode_steps)
        made = made.env
    return min(limits, default=None)


def _flat(maker, episode_length=None):
    """Make an environment and flatten its observations, which turns numbered states into one-hot vectors."""
    made = maker()
    if episode_length is not None:
        made = gymnasium.wrappers.TimeLimit(made, episode_length)
    plain = isinstance(made.observation_space, spaces.Box) and len(made.observation_space.shape) == 1
    return made if plain else gymnasium.wrappers.FlattenObservation(made)


def name_of(environment):
    """Return the name of an environment for messages and files, or "" for None."""
    if environment is None or isinstance(environment, str):
        return environment or ""
    return f"{getattr(environment, '__module__', '')}.{getattr(environment, '__qualname__', type(environment).__name__)}"
