"""Choose settings by successive halving, on seeds that a report does not use."""

import json
from typing import NamedTuple

import numpy as np
import pandas
import xarray

from hanq import scores
from hanq.records import load, provenance, save
from hanq.run import GRID

POINT = ["algorithm", *GRID]
LOWEST, HIGHEST = 1e-6, 10.0  # learning rates: how far a grid may grow


class Round(NamedTuple):
    """Agents of these seeds, trained so long, evaluated so often."""

    seeds: range
    gradient_steps: int
    eval_every: int


class Tuning:
    """The search of one grid, kept in a file so that it can be stopped at any time.

    Everything is trained for the first round, only the `finalists` best for the second; while
    the best of them has the lowest or the highest learning rate tried, half a decade beyond it
    is tried too (section 11).

    train: a function (algorithm, settings, round) -> curves. The file has a line a trained agent:
    which of the algorithms, coordinates on the grid, gradient steps, seed, score averaged over
    training.
    """

    def __init__(self, path, algorithms, settings, first, second, finalists, train):
        self.path, self.algorithms, self.settings = path, algorithms, settings
        self.first, self.second, self.finalists, self.train = first, second, finalists, train
        self.trials, self.wall_seconds = pandas.DataFrame(columns=[*POINT, "gradient_steps", "seed", "score"]), 0.0
        if path.exists():
            stored = load(path)
            self.trials, self.wall_seconds = stored.to_dataframe(), stored.attrs["wall_seconds"]

    def best(self):
        """(algorithm, settings) of the best finalist."""
        for place in range(len(self.algorithms)):
            self._try(place, self.settings, self.first)
        for place, settings in self._ranking(self.first)[: self.finalists]:
            self._try(place, settings, self.second)
        while True:
            place, settings = self._ranking(self.second)[0]
            beyond = self._beyond(settings["learning_rate"])
            if beyond is None:
                return self.algorithms[place], settings
            self._try(place, settings | {"learning_rate": beyond}, self.second)

    def _try(self, place, settings, round):
        """Train a grid of one algorithm, unless the file has it, and add it to the file."""
        known = self.trials[(self.trials.algorithm == place) & (self.trials.gradient_steps == round.gradient_steps)]
        for axis, values in settings.items():
            known = known[known[axis].isin(np.atleast_1d(values))]
        known = known[known.seed.isin(round.seeds)]
        if len(known) == len(round.seeds) * int(np.prod([np.size(values) for values in settings.values()])):
            return
        if len(known) > 0:
            raise ValueError(f"path={str(self.path)!r} holds a part of this grid only: it is of another search, delete it")
        curves = self.train(self.algorithms[place], settings, round)
        averaged = scores.average_over_training(curves.score).to_dataframe().reset_index()
        averaged = averaged.assign(algorithm=place, gradient_steps=round.gradient_steps)
        new = averaged[[*POINT, "gradient_steps", "seed", "score"]]
        self.trials = pandas.concat([self.trials, new], ignore_index=True) if len(self.trials) else new
        self.wall_seconds += curves.attrs["wall_seconds"]
        self._save(curves.attrs)

    def _save(self, attrs):
        kept = {name: attrs[name] for name in ("environment", "engine", "threads", "batch_size", "eval_episodes", "eval_velocity")}
        rounds = {"first": self.first, "second": self.second}
        described = {name: [list(one.seeds), one.gradient_steps, one.eval_every] for name, one in rounds.items()}
        columns = {name: ("trial", self.trials[name].to_numpy()) for name in self.trials.columns}
        attrs = provenance() | kept | {"rounds": json.dumps(described), "wall_seconds": self.wall_seconds}
        save(xarray.Dataset(columns, attrs=attrs), self.path)

    def _ranking(self, round):
        """(place, settings) of everything trained for a round, the best mean over seeds first."""
        trials = self.trials[self.trials.gradient_steps == round.gradient_steps]
        means = trials.groupby(POINT).score.mean().sort_values(ascending=False, kind="stable")
        return [(int(place), dict(zip(GRID, point, strict=True))) for place, *point in means.index]

    def _beyond(self, rate):
        """The next learning rate outside of those tried, where this one is the last; else None."""
        tried = self.trials.learning_rate
        if tried.nunique() == 1 or tried.min() < rate < tried.max():
            return None
        beyond = 10 ** (np.log10(rate) + (0.5 if rate == tried.max() else -0.5))
        return beyond if LOWEST <= beyond <= HIGHEST else None
