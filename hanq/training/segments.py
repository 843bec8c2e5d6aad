"""Trains in segments, advancing, evaluating and saving in turn, so that a run can be stopped at any time."""

import json
import os
import time
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Timer
from typing import Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from hanq.algorithm import Algorithm
from hanq.data.foundations.arguments import positive_integer, shown
from hanq.engines import checkpoint as checkpoints
from hanq.engines import torch_engine

VARIABLES = ("return_", "msbe", "effective_learning_rate", "scale")
PROGRESS_DELAY = 3  # seconds before a progress bar appears


class Usual(int):
    """A default value that adapts to other arguments, unlike the same number passed by a user."""


def checked_counts(**counts):
    """Return the counts as integers by name. Raises ValueError naming one that is not allowed."""
    adapts = isinstance(counts["eval_every"], Usual)
    counts = {name: positive_integer(name, value) for name, value in counts.items()}
    every, steps = counts["eval_every"], counts["gradient_steps"]
    if adapts:
        return counts | {"eval_every": min(every, steps)}
    if every > steps:
        raise ValueError(f"eval_every={every} is more than gradient_steps={steps}: nothing would be evaluated")
    return counts


def progress_bar(steps, progress):
    """Return a progress bar that appears after a few seconds. Raises ValueError if `progress` is neither True nor False."""
    if not isinstance(progress, (bool, np.bool_)):
        raise ValueError(f"progress={shown(progress)} is not allowed: use True or False")
    hidden = not progress or bool(os.environ.get("TQDM_DISABLE"))  # the notebook's bar does not ask
    return tqdm(total=steps, unit="step", delay=PROGRESS_DELAY, disable=hidden)


@contextmanager
def compiling(bar):
    """Wrap the first call of an engine, which may compile it: if that takes long, say so. The bar's clock starts afterwards."""
    notice = Timer(PROGRESS_DELAY, bar.set_description, ["compiling the engine, once"])
    notice.start()
    try:
        yield
    finally:
        notice.cancel()
        bar.set_description(refresh=False)
        bar.unpause()


class Checkpoint(NamedTuple):
    """A file for unfinished training."""

    path: Path | None  # None: no file
    described: dict[str, Any]  # what identifies the run, by name
    seconds: float  # between writes

    def load(self, gradient_steps):
        """Load (state, history, wall_seconds), or None if there is no file. Raises ValueError if it belongs to another or longer run."""
        if self.path is None or not self.path.exists():
            return None
        state, history, wall_seconds = checkpoints.load(self.path, fingerprint_of(self.described))
        if state.gradient_step > gradient_steps:
            raise ValueError(
                f"checkpoint={str(self.path)!r} is at gradient step {state.gradient_step}: "
                f"use at least as many gradient_steps, not {gradient_steps}"
            )
        return state, history, wall_seconds

    def save(self, state, history, wall_seconds):
        if self.path is not None:
            checkpoints.save(self.path, torch_engine.to_numpy(state), history, wall_seconds, fingerprint_of(self.described))


def segments(engine, state, measure, counts, bar, checkpoint, report=None):
    """Advance, evaluate and save in turn. Returns (state, history, wall_seconds).

    state: of NumPy arrays, also in the result. measure: a function from such a state to return_, msbe and scale, each (agents,).
    checkpoint: a `Checkpoint`. report: called with the history, each (evaluations, agents), after each evaluation.
    """
    nothing = {name: np.empty((0, len(state.params))) for name in VARIABLES}
    state, history, wall_seconds = checkpoint.load(counts["gradient_steps"]) or (state, nothing, 0.0)
    bar.update(state.gradient_step)
    every, last_save, segment = counts["eval_every"], time.monotonic(), 10
    if state.gradient_step < counts["gradient_steps"]:
        with compiling(bar):
            engine.advance(state, 0)
    try:
        while state.gradient_step < counts["gradient_steps"]:
            start = time.monotonic()
            ends = (every - state.gradient_step % every, counts["gradient_steps"] - state.gradient_step)
            steps = min(segment, *ends)
            state_after = engine.advance(state, steps)  # where the engine holds it: moving it may take longer than the steps
            segment = max(1, int(steps * engine.segment_seconds / (time.monotonic() - start + 1e-9)))
            history_after = history
            if state_after.gradient_step % every == 0:
                arrays = torch_engine.to_numpy(state_after)
                measured = measure(arrays)
                measured["effective_learning_rate"] = arrays.learning_rate
                history_after = {name: np.vstack([history[name], measured[name]]) for name in VARIABLES}
            seconds_after = wall_seconds + time.monotonic() - start
            state, history, wall_seconds = state_after, history_after, seconds_after  # together: Ctrl-C saves these
            bar.update(steps)
            if report is not None and state.gradient_step % every == 0:
                report(history)
            if time.monotonic() - last_save > checkpoint.seconds:
                checkpoint.save(state, history, wall_seconds)
                last_save = time.monotonic()
    finally:
        checkpoint.save(state, history, wall_seconds)
    return torch_engine.to_numpy(state), history, wall_seconds


def fingerprint_of(described):
    """Return a checksum for each name except gradient_steps, because a longer training counts as the same run."""
    kinds = {np.ndarray: np.ndarray.tolist, Algorithm: Algorithm.essential}
    plain = {name: kinds.get(type(value), lambda value: value)(value) for name, value in described.items()}
    plain.pop("gradient_steps")
    return {name: sha256(json.dumps(value).encode()).hexdigest()[:16] for name, value in plain.items()}
