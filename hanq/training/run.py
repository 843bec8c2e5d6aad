"""The result of training: labelled curves, policies, and a file format for both."""

import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import inf
from os import PathLike

import numpy as np
import xarray

from hanq.algorithm import Algorithm, Convolution, Network
from hanq.data.dataset import Dataset
from hanq.data.foundations import records
from hanq.data.foundations.arguments import number, shown
from hanq.data.foundations.settings import set_aside
from hanq.training import estimates
from hanq.training.policy import Policy

GRID = ("learning_rate", "hyper_lr", "target_rate", "discount", "weight_decay")


@dataclass(frozen=True, eq=False)
class Run:
    """The result of training one population.

    curves: xarray.Dataset with dimensions `GRID`, seed, gradient_step and variables score (0 to
    100 between Table 10's returns, NaN in other environments), return_ (undiscounted), msbe, effective_learning_rate, scale;
    its attributes say where it comes from.
    parameters: the last ones, (*grid, seed, parameter), of Q-values on the scale of the rewards as logged.
    """

    network: Network
    curves: xarray.Dataset
    parameters: xarray.DataArray

    @property
    def algorithm(self) -> Algorithm:
        return self.network.algorithm

    @set_aside()
    def policy(self, **which: float) -> Policy:
        """Return one agent's Q-network as a torch.nn.Module: observations (..., obs_dim) -> Q-values (..., actions).

        which: the seed and the coordinates on the grid. An axis of length 1 may be left out. Numbers match within a relative
        error of 1e-6. Raises ValueError naming a coordinate that is missing, unknown or not a number.
        """
        labels = json.loads(self.curves.attrs.get("action_labels", "null"))
        return Policy(self.network, self.parameters.isel(_index(self.parameters, which)).values, labels and tuple(labels))

    @set_aside()
    def estimate(
        self, held_out: Dataset, *, uniform_behaviour: bool | None = None, gradient_steps: int = 10_000, progress: bool = True
    ) -> xarray.Dataset:
        """Estimate the value of each agent's final greedy policy from held-out data, without a simulator.

        - held_out: a `Dataset` of transitions from which no agent learned, with the observations and actions of the run, by the
          same action_labels: one dataset for all agents, or one for each of the run's seeds.
        - uniform_behaviour: whether the logged actions are uniformly random. By default, whether the provenance says so.
        - gradient_steps: the length of fitted Q evaluation, each step of which takes 10 to 40 microseconds per agent on the CPU.
        - progress: whether to show a progress bar if it takes more than a few seconds.

        Returns an xarray.Dataset with dimensions `GRID` and seed. Each of these estimates has a 95% interval, such as `fqe_low` to
        `fqe_high`:

        - fqe: the policy's discounted return from the starts of the held-out episodes, by fitted Q evaluation (Le et al., 2019).
          The interval reflects the choice of these starts, but not the error of the fit. With little data the fit may diverge,
          which shows in values outside the range of reward / (1 - discount). After `hanq.train(..., standardise=True)` the
          evaluator learns from standardised observations too.
        - wis: the same by per-decision weighted importance sampling (Precup et al., 2000); NaN unless behaviour is uniform.
          Random actions rarely follow a policy for long: `wis_steps` is the number of steps after which no rewards are left.
        - own_q: the same according to the agent's own Q-values: the mean of max_a Q(s, a) over these starts.
        - bellman_error: the mean squared Bellman error without the predictor, like `curves.msbe` on the agent's own data.
        - drift: the mean of r + discount * max_a Q(s', a) - Q(s, a), by which the next backup would move Q.
        - scale: the mean scale of the predictor, 1 without a predictor.

        The book's chapter *Your own data* measures how good a choice by each of these is. Raises TypeError or ValueError naming
        the argument, its value and what is allowed.
        """
        return estimates.estimate(self.network, self.parameters, self.curves.attrs, held_out, uniform_behaviour, gradient_steps, progress)

    def save(self, path: str | PathLike) -> None:
        """Write curves, parameters and provenance to one file, atomically, in place of what is there."""
        network = json.dumps(asdict(self.network))
        data = self.curves.assign(parameters=self.parameters)
        records.save(data.assign_attrs(kind="run", network=network), path)


def load_run(path: str | PathLike) -> Run:
    """Load what `Run.save` wrote; ValueError names a file that is truncated, edited or of another kind."""
    data = records.load(path)
    if data.attrs.get("kind") != "run":
        raise ValueError(f"path={str(path)!r} holds no run but a {data.attrs.get('kind', 'file of another kind')}")
    fields = json.loads(data.attrs["network"])
    convolutions = tuple(Convolution(*one) for one in fields.pop("convolutions"))
    network = Network(Algorithm.stored(fields.pop("algorithm"), path), convolutions=convolutions, **fields)
    attrs = {key: value for key, value in data.attrs.items() if key not in ("kind", "network")}
    curves = data.drop_vars("parameters")
    curves.attrs = attrs
    return Run(network, curves, data["parameters"])


def _index(parameters, which):
    """Position along each of (*grid, seed) that the coordinates in `which` name."""
    unknown = set(which) - {*GRID, "seed"}
    if unknown:
        raise ValueError(f"{sorted(unknown)} is unknown: use {(*GRID, 'seed')}")
    index = {}
    for axis in (*GRID, "seed"):
        values = parameters[axis].values
        if axis not in which and len(values) > 1:
            raise ValueError(f"{axis} is missing: use one of {shown(values.tolist())}")
        given = which.get(axis, values[0])
        wanted = number(given)
        if wanted is None:
            raise ValueError(f"{axis}={shown(given)} is not allowed: use one number of {shown(values.tolist())}")
        distances = [abs(Fraction(value) - Fraction(wanted)) for value in values.tolist()] if abs(wanted) < inf else [inf]
        nearest = int(np.argmin(distances))
        tolerance = 0 if axis == "seed" else 1e-6 * abs(float(values[nearest]))
        if not distances[nearest] <= tolerance:
            raise ValueError(f"{axis}={shown(given)} is not in this run: use one of {shown(values.tolist())}")
        index[axis] = nearest
    return index
