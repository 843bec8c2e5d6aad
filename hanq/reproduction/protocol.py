"""How results are produced: what is searched and on which seeds, what is reported, and in which files.

long: the whole grid of a row is searched at full length on eight seeds that the report does not use, apart from points that
can no longer be among the best (see `tuning`). As long as one of the three best points is at the edge of the grid, the grid
grows there (section 11). Only the chosen point is trained on the seeds of the report.
halved: the same by successive halving, with most of the grid at a quarter of the length and growth for the best point only.
The tables were first searched this way, which is unfair to small learning rates, whose merits show late.
short: the same at 60,000 steps, for most of what the paper leaves open.
grid: every point of the grid is trained on the seeds of the report. Reporting the best of them, as the paper does, is
optimistic.
selection: the same without what can no longer be the best, for rows of the tables, to see how much the paper's rule gains.
"""

import json
import time
from dataclasses import replace
from functools import lru_cache, partial
from hashlib import sha256
from inspect import signature
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hanq.data import environments, simulators
from hanq.data.collection import collect
from hanq.data.foundations.files import as_path, clear_locks, locked
from hanq.data.foundations.records import load, save
from hanq.reproduction import minatar, paper, variations
from hanq.reproduction.finished import check_same, held
from hanq.reproduction.tuning import Round, Tuning
from hanq.training.run import GRID
from hanq.training.train import train


class Protocol(NamedTuple):
    """The report, and, unless there is nothing to tune, two rounds of search before it, the second for finalists only."""

    report: Round
    first: Round | None = None
    second: Round | None = None
    finalists: int = 3
    growing: int = 1  # how many of the best points make the grid grow if they are at its edge

    @property
    def chosen(self):
        """How settings are chosen, for the files: "tuned" on other seeds than the report's, or "grid", on the same or not at all."""
        return "tuned" if self.first and self.first.seeds != self.report.seeds else "grid"


FULL = Round(paper.SEEDS, paper.STEPS, 2_000)
ALL = Protocol(FULL)
HALVED = Protocol(FULL, Round(range(100, 103), 50_000, 5_000), Round(range(100, 105), 200_000, 4_000))
SHORT = Protocol(Round(paper.SEEDS, 60_000, 2_000), Round(range(100, 105), 60_000, 2_000), Round(range(100, 105), 60_000, 2_000))
LONG = HALVED._replace(first=Round(range(100, 108), 200_000, 5_000), second=Round(range(100, 108), 200_000, 5_000), growing=3)
SELECTION = Protocol(FULL, FULL, FULL, finalists=1)
CROSSED = Protocol(Round(range(10), 60_000, 2_000))
BEYOND = Protocol(Round(paper.SEEDS, 20_000, 4_000))  # by then a learned rate is so small that little changes
PROTOCOLS = {"datasets": CROSSED, "starts": HALVED, "beyond": BEYOND, "target": LONG, "selection": SELECTION}  # other variations: SHORT
QUICK = Round(range(3), 1_000, 200)
QUICK_TUNED = Protocol(QUICK, Round(range(100, 102), 200, 100), Round(range(100, 102), 500, 100), finalists=1)
QUICK_SELECTION = Protocol(QUICK, QUICK, QUICK, finalists=1)
EVAL_EPISODES = 10
USUAL = {name: signature(train).parameters[name].default for name in (*GRID[1:], "batch_size")}  # where a row says nothing else
EXPERIMENTS = (*paper.FIGURES, *paper.TABLES, *variations.VARIATIONS, minatar.NAME)


class Job(NamedTuple):
    """One result file to make."""

    name: str  # for `paper.result`
    environment: str
    row: paper.Row
    protocol: Protocol
    path: Path | None = None  # of its file, once the folder is known


def reproduce(name: str, out: str | PathLike, *, environment: str | None = None, quick: bool = False, engine: str = "auto") -> list[Path]:
    """Run one table, figure or variation and return the paths of its result files.

    name: one of `EXPERIMENTS`. out: a folder. Finished files in it are kept, unfinished ones continue where they stopped,
    and the command waits for files that another run is making. environment: restricts a table to one environment.
    quick: use few seeds and steps, to try the command; the names of such files end in -quick.nc. engine: as in `hanq.train`.
    Raises ValueError for an unknown name and, before anything is trained, for a file that does not hold what its name says.
    """
    ending, out = "-quick" if quick else "", as_path("out", out)
    wanted = [job._replace(path=paper.path_of(f"{job.name}{ending}", out)) for job in jobs(name, environment)]
    if quick:
        wanted = [minatar.in_small(job)._replace(protocol=_in_small(job.protocol)) for job in wanted]
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


def _in_small(protocol):
    return QUICK_SELECTION if protocol == SELECTION else QUICK_TUNED if protocol.first else Protocol(QUICK)


def jobs(name, environment=None):
    """List the jobs of a table, figure or variation, each result once. Raises ValueError for an unknown name."""
    if name in paper.TABLES:
        columns = paper.scores_of(name)[["environment", "algorithm", "setting"]]
        found = [
            Job(paper.stem(name, *score), score[0], paper.TABLES[name][score[1:]], LONG)
            for score in columns.itertuples(index=False, name=None)
        ]
    elif name == minatar.NAME:
        found = [Job(f"{name}-{label}", game, row, Protocol(*rounds)) for label, game, row, rounds in minatar.jobs()]
    elif name in EXPERIMENTS:
        protocol = ALL if name in paper.FIGURES else PROTOCOLS.get(name, SHORT)
        rows = (paper.FIGURES | variations.VARIATIONS)[name]
        found = [Job(f"{name}-{label}", environment_of(label), row, protocol) for label, row in rows.items()]
    else:
        raise ValueError(f"experiment={name!r} is unknown: use one of {EXPERIMENTS}")
    known, named = sorted({job.environment for job in found}), simulators.known(environment)
    wanted = named.name if named else environment  # "MinAtar/Seaquest" is "MinAtar/Seaquest-v1"
    if wanted not in (None, *known):
        raise ValueError(f"environment={environment!r} is not in {name}: use one of {known}")
    return [job for job in found if wanted in (None, job.environment)]


def environment_of(label):
    """The environment that a variation's label names; Pendulum if it names none."""
    return next((known for known in environments.ENVIRONMENTS if known in label.split("-")), "Pendulum")


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
    if job.protocol == LONG and job.path.exists() and path.exists():
        (_, steps, _), _ = json.loads(load(path).attrs["rounds"]).values()
        return job if steps == LONG.first.gradient_steps else job._replace(protocol=HALVED)
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
    found |= {"data": {"reward_scale": 1.0, "reward_level": 1.0} | json.loads(found.get("dataset", "{}"))}
    asked = conditions(job) | {
        "protocol": job.protocol.chosen,
        "algorithm": algorithm.canonical(),
        "settings": {axis: np.atleast_1d(settings.get(axis, USUAL.get(axis))).tolist() for axis in GRID},
        "seeds": list(job.protocol.report.seeds),
        "gradient_steps": job.protocol.report.gradient_steps,
        "eval_every": job.protocol.report.eval_every,
    }
    asked["data"] = {"reward_level": 1.0} | asked["data"]
    if "dataset_seeds" in found:
        shared = job.row.shared_dataset
        asked["dataset_seeds"] = json.dumps(asked["seeds"] if shared is None else [shared])
    check_same(job.path, found, asked, "use another folder, or move the file away")
    return True


def conditions(job):
    """Describe the data and the evaluation of a job, which its search and its report have in common."""
    on_pendulum, known = job.environment == "Pendulum", simulators.known(job.environment)
    data = {
        "episode_length": known.horizon,
        "initial_velocity": environments.PENDULUM_MAX_SPEED if on_pendulum else None,
        "reward_scale": 1.0,
    }
    return {
        "environment": job.environment,
        "batch_size": USUAL["batch_size"],
        "eval_episodes": EVAL_EPISODES,
        "eval_velocity": environments.PENDULUM_MAX_SPEED if on_pendulum else 1.0,
        "data": data | minatar.conditions(job.environment) | job.row.data,
    } | job.row.evaluation


def _search(job, trained):
    """Return the `Tuning` that chooses a job's settings, or None. Raises ValueError if its file belongs to another search."""
    row, (_, first, second, finalists, growing) = job.row, job.protocol
    path = job.path.with_name(f"{job.path.stem}-tuning.nc")
    known = simulators.known(job.environment)
    highest = known.score(known.best_return)
    return first and Tuning(path, row.algorithms, row.settings, first, second, finalists, trained, conditions(job), growing, highest)


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
    point = [np.atleast_1d(settings.get(axis, USUAL.get(axis))).tolist() for axis in GRID]
    this = sha256(repr((algorithm.essential(), point, round.seeds, round.eval_every)).encode()).hexdigest()[:8]
    checkpoint = job.path.with_name(f"{job.path.stem}.{this}.checkpoint")
    shared = job.row.shared_dataset
    data = collected(job.environment, round.seeds if shared is None else (shared,), **job.row.data)
    run = train(
        algorithm,
        data,
        **settings,
        seeds=None if shared is None else round.seeds,
        gradient_steps=round.gradient_steps,
        eval_every=round.eval_every,
        eval_episodes=EVAL_EPISODES,
        **job.row.evaluation,
        engine=engine,
        checkpoint=checkpoint,
    )
    return run.curves


@lru_cache(maxsize=4)
def collected(environment, seeds, reward_scale=1.0, reward_level=1.0, **options):
    data = collect(environment, seeds, **options)
    if reward_scale == reward_level == 1:
        return data
    rewards = np.float32(reward_scale) * variations.rewards_at_level(data, reward_level, USUAL["discount"])
    return replace(data, rewards=rewards, provenance=data.provenance | {"reward_scale": reward_scale, "reward_level": reward_level})
