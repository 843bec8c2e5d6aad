"""Runs environments that may raise, hang or return NaN, so that each failure is reported with the environment and the step."""

import time
from contextlib import contextmanager
from threading import Thread

import numpy as np

from hanq.data.foundations.arguments import warn
from hanq.data.foundations.generator import EVALUATION, integer

STEP_SECONDS = 60.0
"""How long a single step, a reset, or making an environment may take."""


class Stage:
    """Runs one environment, counts its steps, and reports where a failure happened.

    about: what the environment is used for, for messages.
    """

    def __init__(self, simulator, about=""):
        self.simulator, self.about = simulator, about
        self.episode, self.step, self.moves, self.doing, self.stopped = -1, 0, 0, "", False
        self.endless = False  # whether an episode was cut off because it had no end of its own

    @contextmanager
    def open(self, episode_length=None):
        """Make the environment for the block, and close it afterwards."""
        with self.named("making it"):
            self.twin = self.simulator.make(episode_length)
        try:
            yield self
        finally:
            self.twin.close()

    def begin(self, about):
        """Start to count episodes from 0 again. about: what the environment is used for now, for messages."""
        self.about, self.episode = about, -1

    def start(self, seed=None, options=None):
        """Begin the next episode and return its first observation, (obs_dim,) float32."""
        self.episode, self.step = self.episode + 1, 0
        with self.named(f"the start of episode {self.episode}"):
            observation, _ = self.twin.reset(seed=seed, options=options)
            return self.numbers(observation)

    def move(self, action):
        """Take one of the environment's actions and return (observation, reward, terminated, truncated)."""
        self.step += 1
        with self.named("a step"):
            observation, reward, terminated, truncated, _ = self.twin.step(action)
            reward = float(reward)
            with np.errstate(over="ignore"):
                stored = np.float32(reward)
            if not np.isfinite(stored):
                raise ValueError(f"its reward is {reward}, and not a finite number in float32's range")
            return self.numbers(observation), reward, bool(terminated), bool(truncated)

    def numbers(self, observation):
        """Convert an observation to float32. Raises ValueError if it has another shape than declared or is not finite."""
        with np.errstate(all="ignore"):
            found = np.asarray(observation, np.float32)
        if found.shape != (self.simulator.obs_dim,):
            raise ValueError(f"its observation has shape {found.shape}, not {(self.simulator.obs_dim,)}")
        if not np.isfinite(found).all():
            raise ValueError(f"its observation is {found.tolist()}")
        return found

    @contextmanager
    def named(self, doing):
        """Turn any exception in the block into a RuntimeError that says where it happened."""
        self.moves, self.doing = self.moves + 1, doing
        if self.stopped:
            raise RuntimeError("stopped")
        try:
            yield
        except Exception as error:
            raise RuntimeError(f"{self.place()}: {type(error).__name__}: {error}") from error

    def place(self):
        """Describe the current step in words."""
        where = self.doing if self.doing != "a step" else f"step {self.step} of episode {self.episode}"
        return f"environment={self.simulator.name!r} failed at {where}{self.about}"


def watched(stage, play, report=None):
    """Call play() in a thread, and raise RuntimeError if the stage makes no progress for `STEP_SECONDS`.

    report: called now and then with the number of moves so far. Code that hangs cannot be stopped, so its thread is left behind
    and ends with Python. Warns of episodes without an end.
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
    if stage.endless:
        warn(
            f"environment={stage.simulator.name!r}: an episode had not ended after {stage.simulator.horizon:,} steps, and was cut off "
            "there; gymnasium.wrappers.TimeLimit sets another limit"
        )
    return found[0]


def play(stage, choose, played, seed, horizon, options):
    """Play one episode of at most `horizon` steps and return its return.

    choose: a function observation -> index into `played`, the environment's actions.
    """
    observation, total = stage.start(seed, options), 0.0
    for _ in range(horizon):
        observation, reward, terminated, truncated = stage.move(played[choose(observation)])
        total += reward
        if terminated or truncated:
            break
    else:
        stage.endless = True
    return total


def start_seeds(seed, gradient_step, episodes):
    """Return seeds for Gymnasium's reset in the episodes of an evaluation, a function of seed, step and episode."""
    return integer(2**31, seed, EVALUATION, gradient_step, np.arange(episodes)).tolist()
