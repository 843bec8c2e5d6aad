"""How results are made: what is tuned, on which seeds, what is reported, and in which files.

long: a row's whole grid is searched at full length on eight seeds that the report does not use; where the best learning
rate lies at the grid's edge, the grid grows (section 11). The chosen point alone is trained on the report's seeds.
halved: the same by successive halving, most of the grid at a quarter of the length, as the tables were first searched; but
small learning rates show late what they are worth.
short: the same at 60,000 steps, for most points that the paper leaves open.
broad: halved with more finalists on more seeds, to see how much the choice matters.
grid: every grid point is trained on the report's seeds; whoever then picks the best of them, as
the paper does, is optimistic.
"""

import time
from dataclasses import replace
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hanq import paper, variations
from hanq.dataset import collect
from hanq.records import save
from hanq.training import train
from hanq.tuning import Round, Tuning


class Protocol(NamedTuple):
    """Two rounds of tuning, the second for the finalists only, and the report; or the report alone."""

    report: Round
    first: Round | None = None
    second: Round | None = None
    finalists: int = 3


FULL = Round(paper.SEEDS, paper.STEPS, 2_000)
ALL = Protocol(FULL)
HALVED = Protocol(FULL, Round(range(100, 103), 50_000, 5_000), Round(range(100, 105), 200_000, 4_000))
SHORT = Protocol(Round(paper.SEEDS, 60_000, 2_000), Round(range(100, 105), 60_000, 2_000), Round(range(100, 105), 60_000, 2_000))
BROAD = HALVED._replace(second=Round(range(100, 112), 60_000, 3_000), finalists=6)
LONG = HALVED._replace(first=Round(range(100, 108), 200_000, 5_000), second=Round(range(100, 108), 200_000, 5_000))
CROSSED = Protocol(Round(range(10), 60_000, 2_000))
PROTOCOLS = {"datasets": CROSSED, "starts": HALVED, "choice": BROAD, "cartpole": LONG}  # of variations; else short
QUICK = Round(range(3), 1_000, 200)
QUICK_TUNED = Protocol(QUICK, Round(range(100, 102), 200, 100), Round(range(100, 102), 500, 100), finalists=1)
EXPERIMENTS = (*paper.FIGURES, *paper.TABLES, *variations.VARIATIONS)


class Job(NamedTuple):
    """One result file to make."""

    path: Path
    environment: str
    row: paper.Row
    protocol: Protocol


def reproduce(name, out, *, environment=None, quick=False, engine="auto"):
    """Run one table or figure; returns the paths of its result files.

    name: one of `EXPERIMENTS`. out: folder; a finished file is kept, an unfinished one goes on
    where it stopped. environment: only that one's rows. quick: few seeds and steps, to try the
    command; such files end in -quick.nc. engine: as in `hanq.train`. Raises ValueError for an unknown name.
    """
    ending = "-quick.nc" if quick else ".nc"
    wanted = [job._replace(path=Path(out) / f"{job.path}{ending}") for job in jobs(name, environment)]
    if quick:
        wanted = [job._replace(protocol=QUICK_TUNED if job.protocol.first else Protocol(QUICK)) for job in wanted]
    left = [job for job in wanted if not job.path.exists()]
    if not left:
        print(f"{name}: all of its {len(wanted)} results are in {out}")
    work = [_agent_steps(job) for job in left]
    start = time.monotonic()
    for done, job in enumerate(left, start=1):
        curves = _run(job, engine)
        minutes = (time.monotonic() - start) / 60 * sum(work[done:]) / sum(work[:done])
        print(f"{job.path} written after {curves.attrs['wall_seconds']:.0f} s of training; "
              f"{len(left) - done} more, about {minutes:.0f} min", flush=True)  # fmt: skip
    return [job.path for job in wanted]


def jobs(name, environment=None):
    """What a table or figure consists of, each result once; ValueError for an unknown name."""
    if name in paper.TABLES:
        columns = paper.scores_of(name)[["environment", "algorithm", "setting"]]
        found = [
            Job(Path(paper.stem(name, *score)), score[0], paper.TABLES[name][score[1:]], LONG)
            for score in columns.itertuples(index=False, name=None)
        ]
    elif name in EXPERIMENTS:
        protocol = ALL if name in paper.FIGURES else PROTOCOLS.get(name, SHORT)
        rows = (paper.FIGURES | variations.VARIATIONS)[name]
        on = "CartPole" if name == "cartpole" else "Pendulum"
        found = [Job(Path(f"{name}-{label}"), on, row, protocol) for label, row in rows.items()]
    else:
        raise ValueError(f"experiment={name!r} is unknown: use one of {EXPERIMENTS}")
    known = sorted({job.environment for job in found})
    if environment is not None and environment not in known:
        raise ValueError(f"environment={environment!r} is not in {name}: use one of {known}")
    return [job for job in found if environment in (None, job.environment)]


def _agent_steps(job):
    """How much a job has to train, without what a growing grid adds."""

    def steps(points, round):
        return points * len(round.seeds) * round.gradient_steps

    points = len(job.row.algorithms) * int(np.prod([np.size(value) for value in job.row.settings.values()]))
    report, first, second, finalists = job.protocol
    return steps(points, first) + steps(finalists, second) + steps(1, report) if first else steps(points, report)


def _run(job, engine):
    """Train what a job asks for and write its file; returns the curves."""
    trained = partial(_trained, job, engine)
    algorithm, settings = job.row.algorithms[0], job.row.settings
    report, first, second, finalists = job.protocol
    if first:
        path = job.path.with_name(f"{job.path.stem}-tuning.nc")
        algorithm, settings = Tuning(path, job.row.algorithms, settings, first, second, finalists, trained).best()
    curves = trained(algorithm, settings, report)
    save(curves.assign_attrs(protocol="tuned" if first else "grid"), job.path)
    for checkpoint in job.path.parent.glob(f"{job.path.stem}.*.checkpoint"):
        checkpoint.unlink()
    return curves


def _trained(job, engine, algorithm, settings, round):
    """Curves of one training, from its checkpoint where it was stopped."""
    job.path.parent.mkdir(parents=True, exist_ok=True)
    this = sha256(repr((algorithm, settings, round)).encode()).hexdigest()[:8]
    checkpoint = job.path.with_name(f"{job.path.stem}.{this}.checkpoint")
    shared = job.row.shared_dataset
    data = _collected(job.environment, round.seeds if shared is None else (shared,), **job.row.data)
    run = train(algorithm, data, **settings, seeds=None if shared is None else round.seeds,
                gradient_steps=round.gradient_steps, eval_every=round.eval_every,
                eval_episodes=10, **job.row.evaluation, engine=engine, checkpoint=checkpoint)  # fmt: skip
    return run.curves


@lru_cache(maxsize=4)
def _collected(environment, seeds, reward_scale=1.0, **options):
    data = collect(environment, seeds, **options)
    provenance = data.provenance | {"reward_scale": reward_scale}
    return data if reward_scale == 1 else replace(data, rewards=np.float32(reward_scale) * data.rewards, provenance=provenance)
