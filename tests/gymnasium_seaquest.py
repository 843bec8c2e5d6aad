"""Seaquest through Gymnasium's own wrappers, with CleanRL's two for lives and FIRE written out.

Gymnasium's AtariPreprocessing resizes with OpenCV, which the project does not need otherwise: where it is
absent, averaging over areas by NumPy stands in for it.
"""

import sys
from importlib.util import find_spec
from types import ModuleType

import ale_py
import gymnasium
import numpy as np


def area_weights(pixels, size):
    """(size, pixels): which share each pixel has in each of the larger ones, in OpenCV's precision."""
    edges = np.arange(size + 1) * (pixels / size)
    left, right = np.arange(pixels), np.arange(1, pixels + 1)
    shared = np.minimum(edges[1:, None], right) - np.maximum(edges[:-1, None], left)
    return np.maximum(shared, 0) * size / pixels


def resize(image, size, interpolation):
    """cv2.resize with INTER_AREA of a grey image, (height, width) -> (size[1], size[0]) uint8."""
    rows, columns = area_weights(image.shape[0], size[1]), area_weights(image.shape[1], size[0])
    return np.rint(rows @ image.astype(np.float64) @ columns.T).astype(np.uint8)


def stand_in_for_opencv(monkeypatch):
    if find_spec("cv2") is None:
        module = ModuleType("cv2")
        module.resize, module.INTER_AREA = resize, 3
        monkeypatch.setitem(sys.modules, "cv2", module)


class NoOps(gymnasium.Wrapper):
    """Begin each game with the next of the given numbers of no-ops."""

    def __init__(self, env, counts):
        super().__init__(env)
        self.counts = iter(counts)

    def reset(self, **options):
        result = self.env.reset(**options)
        for _ in range(next(self.counts)):
            self.env.step(0)
        return result


class Lives(gymnasium.Wrapper):
    """CleanRL's EpisodicLifeEnv and FireResetEnv: a lost life ends the episode, not the game."""

    lives, over = 0, True

    def step(self, action):
        observation, reward, self.over, truncated, info = self.env.step(action)
        left = self.env.unwrapped.ale.lives()
        lost, self.lives = 0 < left < self.lives, left
        return observation, np.sign(reward), self.over or lost, truncated, info

    def reset(self, **options):
        if self.over:
            self.env.reset(**options)
        else:
            self.env.step(0)
        for action in (1, 2):
            observation, *_, info = self.env.step(action)
        self.over, self.lives = False, self.env.unwrapped.ale.lives()
        return observation, info


def make(no_ops):
    """Stacks (4, 84, 84) of games that begin with these numbers of no-ops."""
    gymnasium.register_envs(ale_py)
    env = gymnasium.make("SeaquestNoFrameskip-v4", repeat_action_probability=0.0)
    env = gymnasium.wrappers.AtariPreprocessing(NoOps(env, no_ops), noop_max=0, frame_skip=4)
    return gymnasium.wrappers.FrameStackObservation(Lives(env), 4, padding_type="reset")
