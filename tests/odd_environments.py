"""Small environments for tests: a walk whose every number is known, and walks that fail."""

import time

import gymnasium
import numpy as np
from gymnasium import spaces


class Walk(gymnasium.Env):
    """Walk from place 0 to `goal` by actions that add what they are called; the reward is the place, and no limit ends it."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def __init__(self, goal=5, start=0, fault=None, at=7):
        self.goal, self.fault, self.at = goal, fault, at
        self.action_space = spaces.Discrete(3, start=start)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = 0, 0
        return self.seen(), {}

    def seen(self):
        return np.array([self.place, self.steps], np.float32)

    def step(self, action):
        assert self.action_space.contains(action)
        self.place, self.steps = self.place + int(action), self.steps + 1
        reward, seen = float(self.place), self.seen()
        if self.steps == self.at:
            if self.fault == "raises":
                raise KeyError("a wheel came off")
            if self.fault == "hangs":
                time.sleep(30)
            if self.fault == "NaN observation":
                seen[1] = np.nan
            if self.fault == "NaN reward":
                reward = np.nan
            if self.fault == "other shape":
                seen = seen[:1]
        return seen, reward, self.place >= self.goal, False, {}


class Numbered(Walk):
    """The same with its places as numbered states."""

    observation_space = spaces.Discrete(8)

    def seen(self):
        return min(self.place, 7)


def make_walk():
    return Walk()


def limited():
    """A walk that takes no more than 20 steps."""
    return gymnasium.wrappers.TimeLimit(Walk(), 20)
