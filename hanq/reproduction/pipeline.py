"""A table or figure from search to file: settings chosen, the report trained, its files written and checked."""

import json
import time
from functools import partial
from hashlib import sha256
from os import PathLike
from pathlib import Path

import numpy as np

from hanq.data import simulators
from hanq.data.foundations.files import as_path, clear_locks, locked
from hanq.data.foundations.records import load, save
from hanq.reproduction import minatar, paper, protocol
from hanq.reproduction.finished import check_same, held
from hanq.reproduction.tuning import Tuning
from hanq.training.run import GRID
from hanq.training.train import train


def reproduce(name: str, out: str | PathLike, *, environment: str | None = None, quick: bool = False, engine: str = "auto") -> list[Path]:
    """Run one table, figure or variation and return the paths of its result files.

    name: one of `protocol.EXPERIMENTS`. out: a folder. Finished files in it are kept, unfinished ones continue where they stopped,
    and the command waits for files that another run is making. environment: only the results on this one.
    quick: use few seeds and steps, to try the command; the names of such files end in -quick.nc. engine: as in `hanq.train`.
    Raises ValueError for an unknown name and, before anything is trained, for a file that does not hold what its name says.
    """
    ending, out = "-quick" if quick else "", as_path("out", out)
    wanted = [job._replace(path=paper.path_of(f"{job.name}{ending}", out)) for job in protocol.jobs(name, environment)]
    if quick:
        wanted = [minatar.in_small(job)._replace(protocol=protocol.in_small(job.protocol)) for job in wanted]
    left = [job for job in wanted if not is_done(job)]
    for job in wanted:
        if job.path.exists():
            _clear(job)  # in case an earlier run was killed before it could
    for folder in {job.path.parent for job in wanted}:
        clear_locks(folder)
    if not left:
        print(f"{name}: all of its {len(wanted)} results are in {out}")
    work = [_agent_steps(job) for job in left]
    start = time.monotonic()
    for done, job in enumerate(left, start=1):
        with locked("path", job.path, wait=True):
            if not is_done(job):
                _run(job, engine)
            _clear(job)
        minutes = (time.monotonic() - start) / 60 * sum(work[done:]) / sum(work[:done])
        print(
            f"{job.path} written after {load(job.path).attrs['wall_seconds']:.0f} s of training; "
            f"{len(left) - done} more, about {minutes:.0f} min",
            flush=True,
        )
    return [job.path for job in wanted]


def _agent_steps(job):
    """Count the agent-steps of a job, apart from what a growing grid adds."""

    def steps(points, round):
        return points * len(round.seeds) * round.gradient_steps

    points = len(job.row.algorithms) * int(np.prod([np.size(value) for value in job.row.settings.values()]))
    report, first, second, finalists, _ = job.protocol
    return steps(points, first) + steps(finalists, second) + steps(1, report) if first else steps(points, report)


def as_searched(job):
    """Return a job with the protocol by which it was searched: results of the earlier halved search count until they are replaced."""
    path = job.path.with_name(f"{job.path.stem}-tuning.nc")
    if job.protocol == protocol.LONG and job.path.exists() and path.exists():
        (_, steps, _), _ = json.loads(load(path).attrs["rounds"]).values()
        return job if steps == protocol.LONG.first.gradient_steps else job._replace(protocol=protocol.HALVED)
    return job


def is_done(job):
    """Check whether a job's files exist and are complete. Raises ValueError if one of them holds something else."""

    def is_unfinished(*_):
        raise ValueError(
            f"path={str(job.path)!r} is finished, but the search that chose its settings is not there, or not "
            "whole: put its -tuning.nc back, or move the finished file away"
        )

    job = as_searched(job)
    search = _search(job, is_unfinished)
    if not job.path.exists():
        return False
    algorithm, settings = search.best() if search else (job.row.algorithms[0], job.row.settings)
    found = held(load(job.path), job.path)
    found |= {"data": protocol.UNCHANGED | json.loads(found.get("dataset", "{}"))}
    asked = protocol.conditions(job) | {
        "protocol": job.protocol.chosen,
        "algorithm": algorithm.canonical(),
        "settings": {axis: np.atleast_1d(settings.get(axis, protocol.USUAL.get(axis))).tolist() for axis in GRID},
        "seeds": list(job.protocol.report.seeds),
        "gradient_steps": job.protocol.report.gradient_steps,
        "eval_every": job.protocol.report.eval_every,
    }
    asked["data"] = protocol.UNCHANGED | asked["data"]
    if "dataset_seeds" in found:
        shared = job.row.shared_dataset
        asked["dataset_seeds"] = json.dumps(asked["seeds"] if shared is None else [shared])
    check_same(job.path, found, asked, "use another folder, or move the file away")
    return True


def _search(job, trained):
    """Return the `Tuning` that chooses a job's settings, or None. Raises ValueError if its file belongs to another search."""
    row, (_, first, second, finalists, growing) = job.row, job.protocol
    path = job.path.with_name(f"{job.path.stem}-tuning.nc")
    asked, known = protocol.conditions(job), simulators.known(job.environment)
    highest = known.score(known.best_return)
    return first and Tuning(path, row.algorithms, row.settings, first, second, finalists, trained, asked, growing, highest)


def _run(job, engine):
    """Search, train the report and write its file."""
    trained = partial(_trained, job, engine)
    search = _search(job, trained)
    algorithm, settings = search.best() if search else (job.row.algorithms[0], job.row.settings)
    curves = trained(algorithm, settings, job.protocol.report)
    save(curves.assign_attrs(protocol=job.protocol.chosen), job.path)


def _clear(job):
    """Remove the checkpoints of a finished job."""
    for checkpoint in job.path.parent.glob(f"{job.path.stem}.*.checkpoint"):
        checkpoint.unlink(missing_ok=True)


def _trained(job, engine, algorithm, settings, round):
    """Train, continuing from a checkpoint if there is one, and return the curves."""
    point = [np.atleast_1d(settings.get(axis, protocol.USUAL.get(axis))).tolist() for axis in GRID]
    this = sha256(repr((algorithm.essential(), point, round.seeds, round.eval_every)).encode()).hexdigest()[:8]
    checkpoint = job.path.with_name(f"{job.path.stem}.{this}.checkpoint")
    shared = job.row.shared_dataset
    data = protocol.collected(job.environment, round.seeds if shared is None else (shared,), **job.row.data)
    run = train(
        algorithm,
        data,
        **settings,
        seeds=None if shared is None else round.seeds,
        gradient_steps=round.gradient_steps,
        eval_every=round.eval_every,
        eval_episodes=protocol.EVAL_EPISODES,
        **job.row.evaluation,
        engine=engine,
        checkpoint=checkpoint,
    )
    return run.curves
