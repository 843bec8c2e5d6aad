"""What the ledger would say if scores were averaged over other evaluations: the paper does not say how often it evaluates."""

import json
from functools import cache

import numpy as np
import xarray

from hanq.algorithm import Algorithm, Network
from hanq.data import environments
from hanq.data.collection import collect
from hanq.engines.evaluation import evaluate
from hanq.engines.population import initial_state
from hanq.reproduction import paper, protocol
from hanq.training import scores
from hanq.training.run import GRID
from hanq.training.train import agents_of


@cache
def untrained(environment: str, algorithm: Algorithm, velocity: float) -> np.ndarray:
    """Return the scores of agents before their first step, (seeds,) for the seeds of the report.

    velocity: the highest initial speed in evaluation, as `eval_velocity` of `hanq.train`.
    """
    data = collect(environment, paper.SEEDS, size=1)
    agents = agents_of({name: np.ones(1) for name in GRID} | {"seed": data.seeds}, len(data.seeds))
    network = Network(algorithm, data.obs_dim, data.action_count)
    found = evaluate(network, agents, data, initial_state(network, agents), protocol.EVAL_EPISODES, velocity)
    return environments.find(environment).score(found["return_"])


def averaged(curves: xarray.Dataset, every: int, from_start: bool) -> xarray.DataArray:
    """Return a tuned result's scores, (seed,), averaged over the evaluations after each `every` steps.

    from_start: whether an evaluation before the first step counts too.
    """
    used = curves.score.squeeze([*GRID]).reset_coords(drop=True).where(curves.gradient_step % every == 0, drop=True)
    if not from_start:
        return used.mean("gradient_step")
    algorithm = Algorithm.stored(json.loads(curves.attrs["algorithm"]), "curves")
    first = untrained(curves.attrs["environment"], algorithm, float(curves.attrs.get("eval_velocity", 1.0)))
    return (used.sum("gradient_step") + first) / (used.sizes["gradient_step"] + 1)


def overlaps(line, folder: str, every: int, from_start: bool) -> bool:
    """Check whether one line of the ledger would overlap the paper's interval if its scores were averaged like this."""
    ours = scores.interval(averaged(paper.result(line.result, folder), every, from_start))
    return bool(ours.low <= line.paper_high and ours.high >= line.paper_low)
