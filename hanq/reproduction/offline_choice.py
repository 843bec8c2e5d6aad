"""Can the learning rate be chosen without a simulator? Measured where the truth is known, with what `Run.estimate` gives.

Each log has twice the transitions of the paper's data; the first half, which is those data, is learned from, the second is
held out. DQN, DQN-LN and HANQ learn at the paper's seven learning rates, with the other settings of `variations.BASELINES`; each agent
has every estimate, and the scores that the simulator gives. HANQ learns besides from rewards multiplied by `FACTORS`, with
reward_scale=1 and "auto"; these agents have scores alone.

Predicted before anything was run (what was found instead is in the book's chapter *Your own data*):

1. On Pendulum fitted Q evaluation ranks the seven rates of one seed with a mean rank correlation above 0.5 for HANQ and 0.3
   for DQN, and the regret of choosing by it is at most half of that of choosing at random. On CartPole the correlation is
   above 0.3. On Acrobot, where uniformly random actions nearly never reach the goal, no estimate is told from chance.
2. Importance sampling is told from chance nowhere but, perhaps, on CartPole: it reaches a few steps of an episode.
3. The agents' own Q-values rank the rates worse than fitted Q evaluation everywhere, and for DQN not better than chance.
4. The Bellman error has correlations of about 0.3 for DQN and DQN-LN and less for HANQ; drift has less than it; the scale,
   which only HANQ has, is not told from chance.
5. With reward_scale="auto", HANQ's scores at each learning rate agree within their intervals for rewards times 0.01, 0.1, 1
   and 10, since but for rounding it sees the same rewards; with reward_scale=1 they do not. At HANQ's best rate on Pendulum,
   10^-1.5, auto (there about 0.55 times the rewards) is not told from reward_scale=1 on the rewards as they are.
"""

import json
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray

from hanq.data import environments
from hanq.data.collection import collect
from hanq.data.dataset import DIMS, Dataset
from hanq.data.foundations.files import as_path, clear_locks, locked
from hanq.data.foundations.records import load, provenance, save
from hanq.engines.evaluation import evaluate
from hanq.engines.population import initial_state
from hanq.reproduction.finished import check_same
from hanq.reproduction.paper import LEARNING_RATES
from hanq.reproduction.tuning import Round
from hanq.reproduction.variations import BASELINES
from hanq.training.run import GRID, Run
from hanq.training.scores import average_over_training
from hanq.training.train import agents_of, train

NAME = "offline-choice"
FACTORS = (0.01, 0.1, 1.0, 10.0)
# The estimates of `Run.estimate`; and scores: of the last parameters, and averaged over training as in the paper's tables.
QUANTITIES = ("fqe", "fqe_low", "fqe_high", "wis", "wis_steps", "own_q", "bellman_error", "drift", "scale", "score", "average_score")
FULL, QUICK = Round(range(30), 20_000, 5_000), Round(range(2), 200, 100)
EPISODES = 100  # that the last parameters are scored on; 10 during training


class Job(NamedTuple):
    """Agents of one algorithm, one for each learning rate and seed."""

    environment: str
    algorithm: str  # its name in `variations.BASELINES`
    factor: float = 1.0  # of the rewards
    reward_scale: str = "1"  # as in `hanq.train`

    @property
    def is_choice(self) -> bool:
        """Whether its agents are to be chosen among, and so have estimates."""
        return self.factor == 1 and self.reward_scale == "1"


CHOICES = [Job(environment, algorithm) for environment in environments.ENVIRONMENTS for algorithm in BASELINES]
UNITS = [
    Job(environment, "HANQ", factor, reward_scale)
    for environment in ("Pendulum", "CartPole")
    for reward_scale in ("auto", "1")
    for factor in sorted(FACTORS, key=lambda factor: factor != 1)
]
# One environment after another, so that the log of each is collected once.
JOBS = sorted(dict.fromkeys(CHOICES + UNITS), key=lambda job: list(environments.ENVIRONMENTS).index(job.environment))


def reproduce(out: str | PathLike, *, environment: str | None = None, quick: bool = False, engine: str = "auto") -> Path:
    """Measure what the file lacks, one job after another, and add each as it is done; returns the file's path.

    out: folder of the result files. environment: only that one's jobs. quick: two seeds and few steps, in a file that ends in
    -quick.nc. engine: as in `hanq.train`. Raises ValueError for an unknown environment, or a file of something else.
    """
    if environment is not None:
        environments.find(environment)
    ending, round = ("-quick", QUICK) if quick else ("", FULL)
    path = as_path("out", out) / NAME / f"agents{ending}.nc"
    wanted = [job for job in JOBS if environment in (None, job.environment)]
    for wait in (False, True):  # what another process measures is left to it, and looked at again at the end
        for job in wanted:
            checkpoint = path.with_name(f"{path.stem}-{'-'.join(map(str, job))}.checkpoint")
            with ExitStack() as stack:
                try:
                    stack.enter_context(locked("path", path.with_name(checkpoint.stem), wait=wait))
                except ValueError:
                    continue
                _add(path, job, round, engine, checkpoint)
    clear_locks(path.parent)
    return path


def result(folder: str | PathLike = "results") -> xarray.Dataset:
    """The committed measurements, checked against their checksum, a variable each: (job, learning_rate, seed)."""
    found = load(as_path("folder", folder) / NAME / "agents.nc")
    return found["measured"].to_dataset("quantity").assign_attrs(found.attrs)


def _held(path, job, round):
    """(what the file holds or None, whether the job is in it); ValueError where it is of something else."""
    if not path.exists():
        return None, False
    held, asked = load(path), _about(round)
    check_same(path, {name: held.attrs.get(name) for name in asked}, asked, "use another folder, or move it away")
    return held, job in [Job(*one) for one in zip(*(held[name].values.tolist() for name in Job._fields), strict=True)]


def _about(round):
    return {"seeds": json.dumps(list(round.seeds)), "gradient_steps": round.gradient_steps, "eval_every": round.eval_every}


def _add(path, job, round, engine, checkpoint):
    """Add a job's measurements to the file, unless it has them; other processes may add others meanwhile."""
    if _held(path, job, round)[1]:
        return
    start = time.monotonic()
    measured = _measured(job, round, engine, checkpoint)
    seconds = time.monotonic() - start
    coords = {name: ("job", [value]) for name, value in (job._asdict() | {"dataset_digest": measured.attrs["dataset_digest"]}).items()}
    new = measured.drop_attrs().expand_dims("job").assign_coords(coords).to_dataset(name="measured")
    with locked("path", path, wait=True):
        held, _ = _held(path, job, round)
        found = new if held is None else xarray.concat([held.drop_attrs(), new], "job")
        seconds_before = 0.0 if held is None else held.attrs["wall_seconds"]
        about = _about(round) | {"final_episodes": EPISODES, "engine": measured.attrs["engine"], "protocol": "grid"}
        save(found.assign_attrs(provenance() | about | {"wall_seconds": seconds_before + seconds}), path)
    checkpoint.unlink(missing_ok=True)
    print(f"{path}: {' '.join(map(str, job))} added after {seconds:.0f} s", flush=True)


def _measured(job, round, engine, checkpoint):
    """What is measured of one job's agents, (learning_rate, seed, quantity), as float32 of 12 binary digits to take less space."""
    learned, held_out = _halves(job.environment, round.seeds)
    data = replace(learned, rewards=(job.factor * learned.rewards).astype(np.float32))
    row = BASELINES[job.algorithm]
    run = train(
        row.algorithms[0],
        data,
        **row.settings | {"learning_rate": LEARNING_RATES},
        gradient_steps=round.gradient_steps,
        eval_every=round.eval_every,
        reward_scale=1 if job.reward_scale == "1" else job.reward_scale,
        engine=engine,
        checkpoint=checkpoint,
    )
    found = {"score": _final_score(run, data), "average_score": average_over_training(run.curves.score)}
    found |= run.estimate(held_out).data_vars if job.is_choice else {}
    unknown = xarray.full_like(found["score"], np.nan)
    columns = [found.get(name, unknown).astype(np.float32) for name in QUANTITIES]
    measured = xarray.concat(columns, xarray.Variable("quantity", list(QUANTITIES))).transpose(..., "quantity").rename(None)
    digits, exponents = np.frexp(measured.squeeze([axis for axis in GRID if axis != "learning_rate"], drop=True))
    attrs = {name: run.curves.attrs[name] for name in ("engine", "dataset_digest")}
    return np.ldexp(np.round(digits * 2**12) / 2**12, exponents).assign_attrs(attrs)


@lru_cache(maxsize=1)
def _halves(environment, seeds):
    """What is learned from, the paper's data, and as many transitions of the same log that are held out."""
    size = environments.find(environment).dataset_size
    log = collect(environment, seeds, size=2 * size)
    return [_rows(log, slice(0, size)), _rows(log, slice(size, None))]


def _rows(data: Dataset, rows: slice) -> Dataset:
    arrays: dict[str, Any] = {name: np.ascontiguousarray(getattr(data, name)[:, rows]) for name in DIMS}
    return replace(data, **arrays)


def _final_score(run: Run, data: Dataset) -> xarray.DataArray:
    """The last parameters' score over `EPISODES` episodes, from starts that training did not use."""
    axes = {name: run.parameters[name].values for name in (*GRID, "seed")}
    agents = agents_of(axes, len(data.seeds))
    params = run.parameters.values.reshape(-1, run.network.size)
    state = initial_state(run.network, agents)._replace(params=params, gradient_step=run.curves.attrs["gradient_steps"] + 1)
    returns = evaluate(run.network, agents, data, state, EPISODES, run.curves.attrs["eval_velocity"])["return_"]
    shape = [len(values) for values in axes.values()]
    return xarray.DataArray(environments.find(data.environment).score(returns).reshape(shape), axes)
