"""Does HANQ's learning rate have to listen to the errors, or would a fixed schedule of the same shape do?

On Pendulum the learning rates of all HANQ's agents fall along much the same path. Here that path, the median over thirty agents of
other seeds, is laid down beforehand, and agents follow it without a hypergradient: HANQ itself, and algorithms that have less.

What was predicted before the runs is in `book/open-points-predictions.md`.
"""

import json
import time
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray

from hanq.algorithm import DQN, DQN_LN, HANQ, SSAQ, Algorithm
from hanq.data import environments
from hanq.data.foundations.arguments import shown
from hanq.data.foundations.files import as_path, clear_locks, locked
from hanq.data.foundations.records import load, provenance, save
from hanq.reproduction import protocol
from hanq.reproduction.finished import check_same
from hanq.reproduction.populations import population
from hanq.training.run import GRID
from hanq.training.train import ENGINES

NAME, ENVIRONMENT = "schedule", "Pendulum"
START, KAPPA = 10**-1.5, 0.1  # HANQ's learning rate and kappa in Table 1
PIECE = 50  # gradient steps between one change of the rate and the next
ROWS = {"HANQ": (HANQ, 1.0), "SSAQ": (SSAQ, 1.0), "DQN-LN": (DQN_LN, 1.0), "DQN": (DQN, 1e-3)}  # algorithm, target rate


class Size(NamedTuple):
    """The size of the experiment."""

    seeds: range  # of the report
    path_seeds: range
    gradient_steps: int
    eval_every: int


FULL, QUICK = Size(range(30), range(100, 130), 200_000, 2_000), Size(range(2), range(100, 102), 200, 100)


def reproduce(out: str | PathLike, *, environment: str | None = None, quick: bool = False, engine: str = "auto") -> Path:
    """Train what the file lacks, one row after another, and return its path. A row that was stopped starts anew.

    out, quick, engine: as in `pipeline.reproduce`. environment: None or "Pendulum". Raises ValueError for any other, or for a file
    of something else.
    """
    if environment not in (None, ENVIRONMENT):
        raise ValueError(f"environment={shown(environment)} is not in {NAME}: use {ENVIRONMENT!r}")
    size = QUICK if quick else FULL
    path = path_of(out, "-quick" if quick else "")
    clear_locks(path.parent)
    for done, row in enumerate(ROWS, start=1):
        with locked("path", path, wait=True):
            if row not in _held(path, size):
                _add(path, row, size, ENGINES["fused" if engine == "auto" else engine])
                print(f"{path}: {done} of {len(ROWS)}, {row}", flush=True)
    return path


def path_of(folder, ending=""):
    return as_path("out", folder) / NAME / f"curves{ending}.nc"


def _about(size):
    return {
        "seeds": json.dumps(list(size.seeds)),
        "path_seeds": json.dumps(list(size.path_seeds)),
        "gradient_steps": size.gradient_steps,
        "eval_every": size.eval_every,
    }


def _held(path, size):
    """List the rows in a file. Raises ValueError if they are of another size."""
    if not path.exists():
        return []
    held, asked = load(path), _about(size)
    check_same(path, {name: held.attrs.get(name) for name in asked}, asked, "use another folder, or move it away")
    return held.row.values.tolist()


def _add(path, row, size, engine):
    """Train a row and add its scores to the file, which gets the schedule with its first row."""
    start = time.monotonic()
    held = load(path) if path.exists() else None
    schedule = median_path(size, engine) if held is None else held.schedule.values
    steps = np.arange(size.eval_every, size.gradient_steps + 1, size.eval_every)
    scores = xarray.DataArray(
        _scores(row, schedule, size, engine)[None],
        {"row": [row], "gradient_step": steps, "seed": list(size.seeds)},
        ("row", "gradient_step", "seed"),
    )
    seconds = time.monotonic() - start
    if held is not None:
        scores, seconds = xarray.concat([held.score, scores], "row"), seconds + held.attrs["wall_seconds"]
    new = xarray.Dataset({"score": scores, "schedule": ("piece", schedule)}).drop_attrs()
    about = {"eval_episodes": protocol.EVAL_EPISODES, "batch_size": protocol.USUAL["batch_size"], "protocol": "grid"}
    save(new.assign_attrs(provenance() | _about(size) | about | {"engine": engine.name, "wall_seconds": seconds}), path)


def _agents(algorithm: Algorithm, target_rate, hyper_lr, seeds, engine):
    settings = (START, hyper_lr, target_rate, protocol.USUAL["discount"], 0.0)
    return population(algorithm, protocol.collected(ENVIRONMENT, seeds), dict(zip(GRID, settings, strict=True)), engine)


def median_path(size: Size, engine) -> np.ndarray:
    """Return the median of HANQ's learning rates over agents at the beginning of each piece, (pieces,)."""
    agents = _agents(HANQ, 1.0, KAPPA, size.path_seeds, engine)
    state, found = agents.initial(), []
    for _ in range(0, size.gradient_steps, PIECE):
        found.append(np.median(state.learning_rate))
        state = agents.advanced(state, PIECE)
    return np.array(found)


def _scores(row, schedule, size, engine):
    """Return the scores of agents that follow the schedule, (evaluations, seeds)."""
    algorithm, target_rate = ROWS[row]
    agents = _agents(algorithm, target_rate, 0.0, size.seeds, engine)
    state, found = agents.initial(), []
    for rate in schedule:
        state = agents.advanced(state._replace(learning_rate=np.full_like(state.learning_rate, rate)), PIECE)
        if state.gradient_step % size.eval_every == 0:
            returns = agents.evaluated(state, environments.PENDULUM_MAX_SPEED)["return_"]
            found.append(environments.find(ENVIRONMENT).score(returns))
    return np.array(found, np.float32)
