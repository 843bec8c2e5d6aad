"""Steps in an environment that may raise, hang or return what is no number: each failure is named by environment and step."""

import time
from contextlib import contextmanager
from threading import Thread

import numpy as np

from hanq.data.generator import EVALUATION, integer

STEP_SECONDS = 60.0
"""How long one step, one start or the making of an environment may take."""


class Stage:
    """One environment at work: steps are counted, and their failures are told with their place.

    about: what is going on, for messages.
    """

    def __init__(self, simulator, about=""):
        self.simulator, self.about = simulator, about
        self.episode, self.step, self.moves, self.doing, self.stopped = -1, 0, 0, "", False

    @contextmanager
    def open(self, episode_length=None):
        """The environment, made here and closed at the end."""
        with self.named("making it"):
            self.twin = self.simulator.make(episode_length)
        try:
            yield self
        finally:
            self.twin.close()

    def begin(self, about):
        """Count episodes from 0 again; about: what is going on now, for messages."""
        self.about, self.episode = about, -1

    def start(self, seed=None, options=None):
        """Begin the next episode: its first observation, (obs_dim,) float32."""
        self.episode, self.step = self.episode + 1, 0
        with self.named(f"the start of episode {self.episode}"):
            observation, _ = self.twin.reset(seed=seed, options=options)
            return self.numbers(observation)

    def move(self, action):
        """(observation, reward, terminated, truncated) after one of the environment's actions."""
        self.step += 1
        with self.named("a step"):
            observation, reward, terminated, truncated, _ = self.twin.step(action)
            reward = float(reward)
            if not np.isfinite(reward):
                raise ValueError(f"its reward is {reward}")
            return self.numbers(observation), reward, bool(terminated), bool(truncated)

    def numbers(self, observation):
        """An observation as float32; ValueError where it is not what the environment said, or not finite."""
        with np.errstate(all="ignore"):
            found = np.asarray(observation, np.float32)
        if found.shape != (self.simulator.obs_dim,):
            raise ValueError(f"its observation has shape {found.shape}, not {(self.simulator.obs_dim,)}")
        if not np.isfinite(found).all():
            raise ValueError(f"its observation is {found.tolist()}")
        return found

    @contextmanager
    def named(self, doing):
        """Whatever is raised becomes a RuntimeError that says where."""
        self.moves, self.doing = self.moves + 1, doing
        if self.stopped:
            raise RuntimeError("stopped")
        try:
            yield
        except Exception as error:
            raise RuntimeError(f"{self.place()}: {type(error).__name__}: {error}") from error

    def place(self):
        """Where it is now, in words."""
        where = self.doing if self.doing != "a step" else f"step {self.step} of episode {self.episode}"
        return f"environment={self.simulator.name!r} failed at {where}{self.about}"


def watched(stage, play, report=None):
    """play(), in a thread of its own; RuntimeError where the stage stands still for `STEP_SECONDS`.

    report: called now and then with the moves so far. Code that hangs cannot be stopped: its thread is left behind, and ends with Python.
    """
    found, failed = [], []

    def work():
        try:
            found.append(play())
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    moves, since = stage.moves, time.monotonic()
    try:
        while thread.is_alive():
            thread.join(min(STEP_SECONDS, 1.0))
            if report is not None:
                report(stage.moves)
            if stage.moves != moves:
                moves, since = stage.moves, time.monotonic()
            elif thread.is_alive() and time.monotonic() - since > STEP_SECONDS:
                raise RuntimeError(f"{stage.place()}: no answer for {STEP_SECONDS:g} seconds (hanq.data.playing.STEP_SECONDS allows more)")
    finally:
        stage.stopped = True
    if failed:
        raise failed[0]
    return found[0]


def play(stage, choose, played, seed, horizon, options):
    """The return of one episode; choose: an observation -> a place in `played`, the environment's actions."""
    observation, total = stage.start(seed, options), 0.0
    for _ in range(horizon):
        observation, reward, terminated, truncated = stage.move(played[choose(observation)])
        total += reward
        if terminated or truncated:
            break
    return total


def start_seeds(seed, gradient_step, episodes):
    """Seeds of evaluation's episodes for Gymnasium's reset: (episodes,) integers, a function of seed, step and episode."""
    return integer(2**31, seed, EVALUATION, gradient_step, np.arange(episodes)).tolist()
