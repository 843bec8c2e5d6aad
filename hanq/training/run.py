"""The result of training: labelled curves, policies, and a file format for both."""

import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import inf
from os import PathLike

import numpy as np
import xarray

from hanq.algorithm import Algorithm, Convolution, Network
from hanq.data import records
from hanq.data.arguments import number, shown
from hanq.data.settings import set_aside
from hanq.training.policy import Policy

GRID = ("learning_rate", "hyper_lr", "target_rate", "discount", "weight_decay")


@dataclass(frozen=True, eq=False)
class Run:
    """The result of training one population.

    curves: xarray.Dataset with dimensions `GRID`, seed, gradient_step and variables score (0 to
    100 between Table 10's returns, NaN in other environments), return_ (undiscounted), msbe, effective_learning_rate, scale;
    its attributes say where it comes from.
    parameters: the last ones, (*grid, seed, parameter).
    """

    network: Network
    curves: xarray.Dataset
    parameters: xarray.DataArray

    @property
    def algorithm(self) -> Algorithm:
        return self.network.algorithm

    @set_aside()
    def policy(self, **which: float) -> Policy:
        """One agent's Q-network as a torch.nn.Module: observations (..., obs_dim) -> (..., actions).

        which: seed and grid coordinates; an axis of length 1 may be left out. Rates match within
        a relative error of 1e-6. Raises ValueError naming a missing or unknown one, or what is no number.
        """
        labels = json.loads(self.curves.attrs.get("action_labels", "null"))
        return Policy(self.network, self.parameters.isel(_index(self.parameters, which)).values, labels and tuple(labels))

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
