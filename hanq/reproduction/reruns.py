"""Rows of Table 1 trained again on the seeds of the report, of which only the scores are kept.

Ten rows with the settings that the table chose, as they are and with every initial weight moved by one part in ten million,
which is about as little as float32 allows. What differs afterwards is chance that no seed controls.

What was predicted before the runs is in `book/open-points-predictions.md`.
"""

import json
import time
from functools import cache
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray

from hanq.algorithm import State
from hanq.data import environments
from hanq.data.foundations.arguments import shown
from hanq.data.foundations.files import as_path, clear_locks, locked
from hanq.data.foundations.generator import INITIAL_WEIGHTS, uniform
from hanq.data.foundations.records import load, provenance, save
from hanq.reproduction import paper, protocol
from hanq.reproduction.finished import check_same
from hanq.reproduction.populations import population
from hanq.training.run import GRID
from hanq.training.segments import Checkpoint, progress_bar, segments
from hanq.training.train import CHECKPOINT_SECONDS, ENGINES

PERTURBATION = 1e-7  # relative; neighbouring float32 differ by 0.6e-7 to 1.2e-7
WITHOUT_TARGET, TARGET, LEARNED = "target_rate=1", paper.BEST, "hyper_lr=0.1"
NAME = "perturbed"
ROWS = [
    paper.stem("table1", *row)
    for row in (
        ("Pendulum", "HANQ", LEARNED),
        ("Pendulum", "DQN", TARGET),
        ("Pendulum", "DQN-LN", WITHOUT_TARGET),
        ("Pendulum", "DQN-l2N", TARGET),
        ("Acrobot", "HANQ", LEARNED),
        ("Acrobot", "DQN-LN", WITHOUT_TARGET),
        ("Acrobot", "DQN-l2N", WITHOUT_TARGET),
        ("CartPole", "HANQ", LEARNED),
        ("CartPole", "DQN", TARGET),
        ("CartPole", "DQN-l2N", TARGET),
    )
]


class Trial(NamedTuple):
    """One agent for each seed: which result of `paper` it belongs to, its settings, and the change of its initial weights."""

    result: str
    learning_rate: float
    hyper_lr: float
    target_rate: float
    discount: float
    weight_decay: float
    perturbation: float = 0.0


def reproduce(out: str | PathLike, *, environment: str | None = None, quick: bool = False, engine: str = "auto") -> Path:
    """Train what the file lacks, one trial after another, and add each as it is done. Returns the file's path.

    out: the folder of the result files, which must hold those of the rows. environment: only rows of this one. quick: few seeds
    and steps, from quick results of the rows, in a file that ends in -quick.nc. engine: as in `hanq.train`. Raises ValueError
    for an unknown environment, for a file of something else, or where a result is missing.
    """
    known = sorted({_job(result).environment for result in ROWS})
    if environment is not None and environment not in known:
        raise ValueError(f"environment={shown(environment)} is not in {NAME}: use one of {known}")
    ending, round = ("-quick", protocol.QUICK) if quick else ("", protocol.FULL)
    path = path_of(out, ending)
    clear_locks(path.parent)
    wanted = [trial for trial in trials(out, ending) if environment in (None, _job(trial.result).environment)]
    for done, trial in enumerate(wanted, start=1):
        with locked("path", path, wait=True):
            if trial not in _held(path, round):
                _add(path, trial, round, engine)
                print(f"{path}: {done} of {len(wanted)}, {trial.result}", flush=True)
    return path


def path_of(folder, ending=""):
    return as_path("out", folder) / NAME / f"scores{ending}.nc"


def trials(folder: str | PathLike, ending: str = "") -> list[Trial]:
    """List what is trained. Raises ValueError if the result of one of the rows is not in the folder."""
    found = []
    for result in ROWS:
        path = paper.path_of(result + ending, folder)
        if not path.exists():
            first = f"`reproduce table1{' --quick' if ending else ''}`"
            raise ValueError(f"path={str(path)!r} is not there, and {NAME} needs its settings: run {first} first")
        curves = load(path)
        as_it_is = Trial(result, *[curves[axis].item() for axis in GRID])
        found += [as_it_is, as_it_is._replace(perturbation=PERTURBATION)]
    return found


def perturbed(params, seeds, size):
    """Move each parameter, (agents, parameters), up or down by this share of it; which way is a function of its agent's seed."""
    up = uniform(np.asarray(seeds)[:, None], INITIAL_WEIGHTS, 1, np.arange(params.shape[1])) < 0.5
    return (params * np.where(up, 1 + size, 1 - size)).astype(params.dtype)


@cache
def _job(result):
    return next(job for job in protocol.jobs("table1") if job.name == result)


def _about(round):
    return {"seeds": json.dumps(list(round.seeds)), "gradient_steps": round.gradient_steps, "eval_every": round.eval_every}


def _held(path, round):
    """List the trials in a file. Raises ValueError if they are of another length or of other seeds."""
    if not path.exists():
        return []
    held, asked = load(path), _about(round)
    check_same(path, {name: held.attrs.get(name) for name in asked}, asked, "use another folder, or move it away")
    return [Trial(*one) for one in zip(*(held[name].values.tolist() for name in Trial._fields), strict=True)]


def _add(path, trial, round, engine):
    """Train a trial, continuing from a checkpoint if there is one, and add its scores to the file."""
    start = time.monotonic()
    checkpoint = path.with_name(f"{path.stem}.{sha256(repr((trial, round)).encode()).hexdigest()[:8]}.checkpoint")
    engine = ENGINES["fused" if engine == "auto" else engine]
    scores = xarray.DataArray(_scores(trial, round, engine, checkpoint)[None], dims=("trial", "seed"), coords={"seed": list(round.seeds)})
    new = scores.astype(np.float32).assign_coords({name: ("trial", [value]) for name, value in trial._asdict().items()})
    found, seconds = new.to_dataset(name="score"), time.monotonic() - start
    if path.exists():
        held = load(path)
        found, seconds = xarray.concat([held.drop_attrs(), found], "trial"), seconds + held.attrs["wall_seconds"]
    about = _about(round) | {"eval_episodes": protocol.EVAL_EPISODES, "batch_size": protocol.USUAL["batch_size"], "protocol": "grid"}
    save(found.assign_attrs(provenance() | about | {"engine": engine.name, "wall_seconds": seconds}), path)
    checkpoint.unlink(missing_ok=True)


def _scores(trial: Trial, round, engine, checkpoint):
    """Return the scores of a trial's agents, averaged over training, (seeds,), as `hanq.train` would give them."""
    job = _job(trial.result)
    agents = population(job.row.algorithms[0], protocol.collected(job.environment, round.seeds, **job.row.data), trial._asdict(), engine)
    velocity = protocol.conditions(job)["eval_velocity"]

    def measure(state: State):
        return agents.evaluated(state, velocity)

    state = agents.initial()
    moved = perturbed(state.params, round.seeds, trial.perturbation)
    state = state._replace(params=moved, target_params=moved)
    described = dict(trial=list(trial), dataset=agents.data.digest, engine=agents.engine.name) | _about(round)
    counts = {"gradient_steps": round.gradient_steps, "eval_every": round.eval_every}
    with progress_bar(round.gradient_steps, True) as bar:
        _, history, _ = segments(agents.engine, state, measure, counts, bar, Checkpoint(checkpoint, described, CHECKPOINT_SECONDS))
    return environments.find(job.environment).score(history["return_"]).mean(0)


def twins(folder: str | PathLike = "results") -> dict[str, tuple[xarray.DataArray, xarray.DataArray]]:
    """Return by result the scores, each (seed,): of the agents as they are, and with their weights moved."""
    found = load(path_of(folder))
    return {
        str(result): (rows.score.isel(trial=rows.perturbation.values == 0)[0], rows.score.isel(trial=rows.perturbation.values > 0)[0])
        for result, rows in found.groupby("result")
    }


def share_of_chance(one: xarray.DataArray, other: xarray.DataArray) -> float:
    """Return the share of the variance between seeds that two trainings of the same agents do not share, from (seed,) each.

    The square of an interval's width is proportional to this variance. With few seeds the share may come out above 1.
    """
    within = ((one - other).astype(float) ** 2).mean().item() / 2
    return within / np.mean([values.astype(float).var(ddof=1).item() for values in (one, other)]).item()
