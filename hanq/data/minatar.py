"""MinAtar's games (Young and Tian, 2019): small versions of Atari games, whose screens are 10x10 binary pixels in several channels.

They are played as the package MinAtar registers them in Gymnasium under "-v1", each with the actions that it needs. As usual there,
an action is replaced by the one before it with probability 0.1 (sticky actions), and games become harder as they go on (difficulty
ramping). Differences from the package:
1. A game is cut off after 2,500 actions, the length of Freeway. In Seaquest, a submarine that stays at the surface lives for ever.
2. Before the first action of a game, the action to repeat is none. In the package it is the last one of the game before.
3. Screens have their channels first, as convolutions take them.
"""

from importlib.metadata import version
from importlib.util import find_spec

import gymnasium
import numpy as np

from hanq.data.environments import Environment
from hanq.data.foundations.arguments import shown

PREFIX, SIDE, HORIZON, DATASET_SIZE = "MinAtar/", 10, 2_500, 100_000
STICKY, RAMPING = 0.1, True  # the package's defaults
NO_DYNAMICS = -1  # no compiled dynamics
REQUIREMENT = "MinAtar==1.0.15"


def _game(name, channels, actions, low, high):
    return Environment(name, NO_DYNAMICS, name, channels * SIDE**2, actions, HORIZON, low, high, DATASET_SIZE)


GAMES = {  # channels, actions; the returns that score 0 and 100, from `python -m hanq reproduce minatar-scale`
    game.name: game
    for game in (
        _game("MinAtar/Seaquest-v1", 10, 6, 0.1, 1.2),
        _game("MinAtar/Breakout-v1", 4, 3, 0.39, 5.65),
        _game("MinAtar/Asterix-v1", 4, 5, 0.48, 5.6),
        _game("MinAtar/Freeway-v1", 7, 3, 0.28, 22.3),
        _game("MinAtar/SpaceInvaders-v1", 6, 4, 4.11, 30.1),
    )
}


def is_game(name: object) -> bool:
    """Return whether a name is one of MinAtar's, known or not."""
    return isinstance(name, str) and name.startswith(PREFIX)


def find(name: object) -> Environment:
    """Return a game by name, such as "MinAtar/Seaquest-v1" or "MinAtar/Seaquest". Raises ValueError naming the known ones."""
    found = GAMES.get(name) or GAMES.get(f"{name}-v1") if isinstance(name, str) else None
    if found is None:
        raise ValueError(f"environment={shown(name)} is no game of MinAtar: use one of {tuple(GAMES)}")
    return found


def channels_of(game: Environment) -> int:
    """Return the number of channels of a game's screens."""
    return game.obs_dim // SIDE**2


def conditions() -> dict[str, object]:
    """Return what a collection's provenance says of the game."""
    return {"sticky_actions": STICKY, "difficulty_ramping": RAMPING, "minatar": version("minatar")}


def check_installed(game: Environment) -> None:
    """Raise ValueError if MinAtar is not installed."""
    if find_spec("minatar") is None:
        raise ValueError(f"environment={game.name!r} needs a package that is not installed: pip install {REQUIREMENT}")


def make(game: Environment, episode_length: int | None = None) -> gymnasium.Env:
    """Make a game in Gymnasium, whose observations are rows of 0 and 1, channels first. Raises the errors of gymnasium.make."""
    if game.gymnasium_id not in gymnasium.registry:  # where Gymnasium was imported before MinAtar could be found
        from minatar.gym import register_envs

        register_envs()
    length = episode_length or game.horizon
    made = gymnasium.make(game.gymnasium_id, length, disable_env_checker=True, sticky_action_prob=STICKY, difficulty_ramping=RAMPING)
    return Game(made)


class Game(gymnasium.Wrapper):
    """A game whose observations are rows of 0 and 1, (channels * 100,) float32, and which does not remember the game before."""

    def reset(self, *, seed=None, options=None):
        self.unwrapped.game.last_action = 0
        screen, info = self.env.reset(seed=seed, options=options)
        return row(screen), info

    def step(self, action):
        screen, *rest = self.env.step(action)
        return row(screen), *rest


def row(screen):
    """Convert a screen as MinAtar shows it, (10, 10, channels) of bool, to (channels * 100,) float32, channels first."""
    return np.moveaxis(screen, -1, 0).astype(np.float32).ravel()
