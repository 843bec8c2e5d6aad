"""Chooses settings by a grid search on seeds that the report does not use."""

import json
from typing import NamedTuple

import numpy as np
import pandas
import xarray

from hanq.algorithm import Algorithm
from hanq.data.foundations.files import locked
from hanq.data.foundations.records import load, provenance, save
from hanq.reproduction.finished import BEFORE, check_same
from hanq.training import scores
from hanq.training.run import GRID

POINT = ["algorithm", *GRID]
COLUMNS = [*POINT, "round", "gradient_steps", "seed", "score"]
LOWEST, HIGHEST = 1e-6, 10.0  # the range of learning rates in which a grid may grow
SEARCH = ("algorithms", "number", "settings", "rounds", "finalists", "growing", "data")  # attributes stored as JSON
ELSE = "it is of another search, so move it away or use another folder"


class Round(NamedTuple):
    """One round of training: which seeds, how many gradient steps, and how many steps between evaluations."""

    seeds: range
    gradient_steps: int
    eval_every: int


class Tuning:
    """A grid search whose results are kept in a file, so that it can be stopped at any time.

    The whole grid is trained for the first round and only the `finalists` best points for the second. As long as one of the
    `growing` best points has the lowest or highest learning rate tried with its other settings, the grid grows by half a
    decade in that direction (section 11).

    train: a function (algorithm, settings, round) -> curves. conditions: what else must agree between the search and its
    file: environment, batch_size, eval_episodes, eval_velocity and, as a dict, data. The file has one line per trained
    agent: which algorithm, its coordinates on the grid, the round, its gradient steps, its seed, and its score averaged
    over training.

    Raises ValueError if the file belongs to another search, naming the differences.
    """

    def __init__(self, path, algorithms, settings, first, second, finalists, train, conditions=None, growing=1):
        self.path, self.algorithms, self.settings = path, algorithms, settings
        self.first, self.second, self.finalists, self.train, self.growing = first, second, finalists, train, growing
        self.rounds = [first] if first == second else [first, second]
        self.asked = {
            "algorithms": {str(place): algorithm.canonical() for place, algorithm in enumerate(algorithms)},
            "number": len(algorithms),
            "settings": {axis: np.unique(values).tolist() for axis, values in settings.items()},
            "rounds": {name: [list(one.seeds), *one[1:]] for name, one in (("first", first), ("second", second))},
            "finalists": finalists,
            "growing": growing,
        } | (conditions or {})
        self.trials, self.wall_seconds = pandas.DataFrame(columns=COLUMNS), 0.0
        self._read()

    def best(self):
        """Return the (algorithm, settings) of the best finalist. Raises ValueError if another run is using the file."""
        for place in range(len(self.algorithms)):
            self._try(place, self.settings, self.first)
        for place, settings in self._ranking(self.first)[: self.finalists]:
            self._try(place, settings, self.second)
        while True:
            best = self._ranking(self.second)[: self.growing]
            beyond = [(place, settings | {"learning_rate": rate}) for place, settings in best for rate in self._beyond(place, settings)]
            if not beyond:
                return self.algorithms[best[0][0]], best[0][1]
            self._try(*beyond[0], self.second)

    def _read(self):
        """Read the trials in the file."""
        if not self.path.exists():
            return
        stored = load(self.path)
        held = BEFORE | {name: json.loads(value) if name in SEARCH else value for name, value in stored.attrs.items()}
        if "rounds" not in held:
            raise ValueError(f"path={str(self.path)!r} is no file of a search: move it away or use another folder")
        for place, fields in held.get("algorithms", {}).items():
            held["algorithms"][place] = Algorithm.stored(fields, self.path).canonical()
        check_same(self.path, held, {name: value for name, value in self.asked.items() if name in held}, ELSE)
        trials = stored.to_dataframe()
        if "round" not in trials:  # a file from before rounds of equal length were possible
            lengths = [one.gradient_steps for one in self.rounds]
            trials["round"] = [lengths.index(steps) for steps in trials.gradient_steps]
        self.trials, self.wall_seconds = trials[COLUMNS], stored.attrs["wall_seconds"]
        self._check_trials()

    def _check_trials(self):
        """Raise ValueError unless the file's trials are this grid and, at most, learning rates beyond its edges."""
        grid, tried = self.asked["settings"], self.trials
        strange = [place for place in tried.algorithm.unique() if not self._known(place, self.settings, self.first)]
        outside = ~tried.learning_rate.between(min(grid["learning_rate"]), max(grid["learning_rate"]))
        for axis, values in grid.items():
            strange += tried[~tried[axis].isin(values) & ~(outside & (axis == "learning_rate"))].index.tolist()
        if strange or tried.algorithm.max() >= len(self.algorithms):
            held = {axis: tried[axis].unique().tolist() for axis in grid}
            raise ValueError(f"path={str(self.path)!r} holds trials at {held}, where the grid {grid} is asked for: {ELSE}")

    def _known(self, place, settings, round):
        """Check whether a whole grid of one algorithm has been trained for a round."""
        known = self.trials[(self.trials.algorithm == place) & (self.trials["round"] == self.rounds.index(round))]
        for axis, values in settings.items():
            known = known[known[axis].isin(np.atleast_1d(values))]
        return len(known) == len(round.seeds) * int(np.prod([np.size(values) for values in settings.values()]))

    def _try(self, place, settings, round):
        """Train a grid of one algorithm and add it to the file, unless it is there already."""
        if self._known(place, settings, round):
            return
        with locked("path", self.path):
            self._read()  # another run may have added trials
            if self._known(place, settings, round):
                return
            curves = self.train(self.algorithms[place], settings, round)
            averaged = scores.average_over_training(curves.score).to_dataframe().reset_index()
            new = averaged.assign(algorithm=place, round=self.rounds.index(round), gradient_steps=round.gradient_steps)[COLUMNS]
            self.trials = pandas.concat([self.trials, new], ignore_index=True) if len(self.trials) else new
            self.wall_seconds += curves.attrs["wall_seconds"]
            self._save(curves.attrs)

    def _save(self, attrs):
        kept = {name: attrs[name] for name in ("environment", "engine", "threads", "batch_size", "eval_episodes", "eval_velocity")}
        search = {name: json.dumps(self.asked[name]) for name in SEARCH if name in self.asked}
        columns = {name: ("trial", self.trials[name].to_numpy()) for name in COLUMNS}
        attrs = provenance() | kept | search | {"wall_seconds": self.wall_seconds}
        save(xarray.Dataset(columns, attrs=attrs), self.path)

    def _ranking(self, round):
        """List the (place, settings) of everything trained for a round, in descending order of their mean score over seeds."""
        trials = self.trials[self.trials["round"] == self.rounds.index(round)]
        means = trials.groupby(POINT).score.mean().sort_values(ascending=False, kind="stable")
        return [(int(place), dict(zip(GRID, point, strict=True))) for place, *point in means.index]

    def _beyond(self, place, settings):
        """List the next learning rate beyond those tried with these other settings, or nothing if this one is not at the edge."""
        tried = self.trials[self.trials.algorithm == place]
        for axis in GRID[1:]:
            tried = tried[tried[axis] == settings[axis]]
        tried, rate = tried.learning_rate, settings["learning_rate"]
        if tried.nunique() == 1 or tried.min() < rate < tried.max():
            return []
        beyond = 10 ** (np.log10(rate) + (0.5 if rate == tried.max() else -0.5))
        return [beyond] if LOWEST <= beyond <= HIGHEST else []
