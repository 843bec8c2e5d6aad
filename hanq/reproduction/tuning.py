"""Chooses settings by a grid search on seeds that the report does not use."""

import itertools
import json
import time
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
PIECE = 20_000  # gradient steps after which it is asked whether a point is still in the race
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

    A round is a race: its points are trained piece by piece, and a point is given up as soon as not even the highest score
    that its environment allows, for all the rest of the round, could bring its mean among the best. So the choice is the one
    that training everything to the end would make.

    train: a function (algorithm, settings, round) -> curves, which goes on where a shorter round of the same seeds ended.
    conditions: what else must agree between the search and its file: environment, batch_size, eval_episodes, eval_velocity
    and, as a dict, data. highest: the highest score there can be; if infinite, nothing is given up. The file has one line per
    trained agent: which algorithm, its coordinates on the grid, the round, the gradient steps it was trained for, its seed,
    and its score averaged over these.

    Raises ValueError if the file belongs to another search, naming the differences.
    """

    def __init__(self, path, algorithms, settings, first, second, finalists, train, conditions=None, growing=1, highest=np.inf):
        self.path, self.algorithms, self.settings, self.highest = path, algorithms, settings, highest
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
        self._race(self._grid(self.first), self.first)
        entrants = self._ranking(self.first)[: self.finalists]
        while entrants:
            self._race(entrants, self.second)
            best = self._ranking(self.second)[: self.growing]
            beyond = [(place, settings | {"learning_rate": rate}) for place, settings in best for rate in self._beyond(place, settings)]
            entrants = beyond[:1]
        return self.algorithms[best[0][0]], best[0][1]

    def _grid(self, round):
        """List the (place, settings) of every algorithm at every point of the grid; at all points at once if none can be given up."""
        points = [self.settings]
        if self._piece(round) < round.gradient_steps:
            values = itertools.product(*(np.atleast_1d(values).tolist() for values in self.settings.values()))
            points = [dict(zip(self.settings, point, strict=True)) for point in values]
        return [(place, settings) for place in range(len(self.algorithms)) for settings in points]

    def _piece(self, round):
        """The gradient steps between one look at the standings and the next, a multiple of those between evaluations."""
        return max(1, PIECE // round.eval_every) * round.eval_every if np.isfinite(self.highest) else round.gradient_steps

    def _race(self, entrants, round):
        """Train entrants until it is certain which points are the best of a round; whoever leads goes on first."""
        certain = max(self.finalists, self.growing)
        standings = [self._standing(*entrant, round) for entrant in entrants]
        while True:
            ranked = self._ranking(round)
            last = self._standing(*ranked[certain - 1], round)[1] if len(ranked) >= certain else -np.inf
            racing = [which for which, standing in enumerate(standings) if self._can_reach(last, *standing, round.gradient_steps)]
            if not racing:
                return
            which = max(racing, key=lambda which: standings[which][1])
            self._train(*entrants[which], round, standings[which][0])
            standings[which] = self._standing(*entrants[which], round)

    def _can_reach(self, score, steps, mean, all_steps):
        """Check whether more training could bring a point of that mean after `steps` to at least a score."""
        ahead = all_steps - steps
        return ahead > 0 and (steps == 0 or (steps * mean + ahead * self.highest) / all_steps >= score)

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
        self._check_trials("settings" in held)

    def _check_trials(self, settings_known):
        """Raise ValueError unless the file's trials are of this grid, or beyond its learning rates, each point with all its seeds.

        settings_known: whether the file says what its grid is; of an earlier file, all of it must be there.
        """
        grid, tried = self.asked["settings"], self.trials
        outside = ~tried.learning_rate.between(min(grid["learning_rate"]), max(grid["learning_rate"]))
        strange = (tried.algorithm >= len(self.algorithms)) | ~tried["round"].isin(range(len(self.rounds)))
        for axis, values in grid.items():
            strange |= ~tried[axis].isin(values) & ~(outside & (axis == "learning_rate"))
        seeds = {number: list(round.seeds) for number, round in enumerate(self.rounds)}
        for number, allowed in seeds.items():
            strange |= (tried["round"] == number) & ~tried.seed.isin(allowed)
        points = tried.groupby([*POINT, "round"])
        strange |= points.seed.transform("nunique") != tried["round"].map({number: len(allowed) for number, allowed in seeds.items()})
        strange |= points.gradient_steps.transform("nunique") > 1
        missing = not settings_known and any(not self._standing(*point, self.first)[0] for point in self._grid(self.first))
        if strange.any() or missing:
            held = {axis: tried[axis].unique().tolist() for axis in grid}
            raise ValueError(f"path={str(self.path)!r} holds trials at {held}, where the grid {grid} is asked for: {ELSE}")

    def _tried(self, place, settings, round):
        """Select the trials of some points in a round, as a truth value for each trial."""
        found = (self.trials.algorithm.to_numpy() == place) & (self.trials["round"].to_numpy() == self.rounds.index(round))
        for axis, values in settings.items():
            found &= np.isin(self.trials[axis].to_numpy(), values)
        return found

    def _standing(self, place, settings, round):
        """Return the gradient steps that points have been trained for in a round and their mean score; (0, infinity) before."""
        tried = self._tried(place, settings, round)
        if tried.sum() < len(round.seeds) * np.prod([np.size(values) for values in settings.values()]):
            return 0, np.inf
        return int(self.trials.gradient_steps.to_numpy()[tried].min()), self.trials.score.to_numpy()[tried].mean()

    def _train(self, place, settings, round, steps):
        """Train points for a piece more than `steps` and write them to the file, unless another run has."""
        with locked("path", self.path):
            self._read()
            if self._standing(place, settings, round)[0] > steps:
                return
            steps, start = min(steps + self._piece(round), round.gradient_steps), time.monotonic()
            curves = self.train(self.algorithms[place], settings, round._replace(gradient_steps=steps))
            averaged = scores.average_over_training(curves.score).to_dataframe().reset_index()
            new = averaged.assign(algorithm=place, round=self.rounds.index(round), gradient_steps=steps)[COLUMNS]
            others = self.trials[~self._tried(place, settings, round)]
            self.trials = pandas.concat([others, new], ignore_index=True) if len(others) else new
            self.wall_seconds += time.monotonic() - start
            self._save(curves.attrs)

    def _save(self, attrs):
        kept = {name: attrs[name] for name in ("environment", "engine", "threads", "batch_size", "eval_episodes", "eval_velocity")}
        search = {name: json.dumps(self.asked[name]) for name in SEARCH if name in self.asked}
        columns = {name: ("trial", self.trials[name].to_numpy()) for name in COLUMNS}
        attrs = provenance() | kept | search | {"wall_seconds": self.wall_seconds}
        save(xarray.Dataset(columns, attrs=attrs), self.path)

    def _ranking(self, round):
        """List the (place, settings) of everything trained for a whole round, in descending order of their mean score over seeds."""
        trials = self.trials[(self.trials["round"] == self.rounds.index(round)) & (self.trials.gradient_steps == round.gradient_steps)]
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
