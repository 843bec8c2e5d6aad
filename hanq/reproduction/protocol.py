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

from dataclasses import replace
from functools import lru_cache
from inspect import signature
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hanq.data import environments, simulators
from hanq.data.collection import collect
from hanq.data.returns import ends
from hanq.reproduction import minatar, paper, variations
from hanq.reproduction.tuning import Round
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
BY_VARIATION = {"datasets": CROSSED, "starts": HALVED, "beyond": BEYOND, "selection": SELECTION}
BY_VARIATION |= dict.fromkeys(("limit", "ends", "target"), LONG)
QUICK = Round(range(3), 1_000, 200)
QUICK_TUNED = Protocol(QUICK, Round(range(100, 102), 200, 100), Round(range(100, 102), 500, 100), finalists=1)
QUICK_SELECTION = Protocol(QUICK, QUICK, QUICK, finalists=1)
EVAL_EPISODES = 10
UNCHANGED = {"reward_scale": 1.0, "reward_level": 1.0, "time_limit_terminates": False}  # data as collected, see `collected`
USUAL = {name: signature(train).parameters[name].default for name in (*GRID[1:], "batch_size")}  # where a row says nothing else
EXPERIMENTS = (*paper.FIGURES, *paper.TABLES, *variations.VARIATIONS, minatar.NAME)


class Job(NamedTuple):
    """One result file to make."""

    name: str  # for `paper.result`
    environment: str
    row: paper.Row
    protocol: Protocol
    path: Path | None = None  # of its file, once the folder is known


def in_small(protocol):
    """Return a protocol with a few seeds and steps, to try a command."""
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
        protocol = ALL if name in paper.FIGURES else BY_VARIATION.get(name, SHORT)
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


@lru_cache(maxsize=4)
def collected(environment, seeds, reward_scale=1.0, reward_level=1.0, time_limit_terminates=False, **options):
    """Collect a job's data and change them as its row asks; what was changed goes into their provenance.

    time_limit_terminates: whether the last step of an episode that reached its time limit counts as terminated.
    """
    data = collect(environment, seeds, **options)
    if time_limit_terminates:
        terminated = data.terminated | (_steps(data) == data.provenance["episode_length"])
        data = replace(data, terminated=terminated, provenance=data.provenance | {"time_limit_terminates": True})
    if reward_scale == reward_level == 1:
        return data
    rewards = np.float32(reward_scale) * variations.rewards_at_level(data, reward_level, USUAL["discount"])
    return replace(data, rewards=rewards, provenance=data.provenance | {"reward_scale": reward_scale, "reward_level": reward_level})


def _steps(data):
    """Count each transition's place in its episode, from 1: (seeds, size)."""
    first = np.concatenate([np.ones((len(data.seeds), 1), bool), ends(data)[:, :-1]], axis=1)
    row = np.arange(data.size)
    return row + 1 - np.maximum.accumulate(np.where(first, row, 0), axis=1)
