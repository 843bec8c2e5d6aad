"""Promise: tuning searches the whole grid, keeps the best to the end, and loses nothing when stopped."""

import itertools

import numpy as np
import pytest
import xarray

from hanq.algorithm import DQN_LN, PQN
from hanq.run import GRID
from hanq.tuning import HIGHEST, LOWEST, Round, Tuning

FIRST, SECOND = Round(range(100, 103), 50, 10), Round(range(100, 105), 200, 50)
NUMBERS = dict(hyper_lr=0.0, target_rate=1.0, discount=0.99, weight_decay=0.0)


class Trainer:
    """A stand-in for training whose score is a function of the point and of the length."""

    def __init__(self, score):
        self.score, self.calls = score, []

    def __call__(self, algorithm, settings, round):
        self.calls.append((algorithm, settings, round))
        axes = {axis: np.atleast_1d((NUMBERS | settings)[axis]).astype(float) for axis in GRID}
        coords = axes | {"seed": list(round.seeds), "gradient_step": [round.gradient_steps]}
        values = np.empty([len(values) for values in coords.values()], np.float32)
        for index, point in zip(np.ndindex(values.shape), itertools.product(*coords.values()), strict=True):
            values[index] = self.score(algorithm, round, **dict(zip(coords, point, strict=True)))
        attrs = dict(environment="Pendulum", engine="fused", threads=2, batch_size=8, eval_episodes=1, eval_velocity=1.0, wall_seconds=1.5)
        return xarray.Dataset({"score": (tuple(coords), values)}, coords, attrs)


def tuned(tmp_path, train, algorithms=(PQN,), **settings):
    tuning = Tuning(tmp_path / "tuning.nc", algorithms, settings, FIRST, SECOND, 2, train)
    return tuning, *tuning.best()


def test_the_second_round_decides_among_the_finalists(tmp_path):
    """1e-2 leads while training is short, 1e-3 at full length; 1e-4 would be better still but is no finalist."""
    short, full = {1e-1: 0, 1e-2: 9, 1e-3: 8, 1e-4: 1}, {1e-1: 0, 1e-2: 5, 1e-3: 7, 1e-4: 99}
    train = Trainer(lambda a, round, learning_rate, **_: (short if round is FIRST else full)[learning_rate])
    tuning, algorithm, settings = tuned(tmp_path, train, learning_rate=list(short))
    assert (algorithm, settings["learning_rate"]) == (PQN, 1e-3)
    assert set(settings) == set(GRID)
    assert tuning.wall_seconds == 1.5 * 3  # the grid at once, and two finalists


def test_the_mean_over_seeds_counts_not_the_luckiest_seed(tmp_path):
    def score(a, round, learning_rate, seed, **_):
        return 100 * (seed == 100) if learning_rate == 1e-2 else 50

    _, _, settings = tuned(tmp_path, Trainer(score), learning_rate=[1e-1, 1e-2, 1e-3, 1e-4], target_rate=[1.0])
    assert settings["learning_rate"] != 1e-2


@pytest.mark.parametrize("best", [10**0.5, 10**-5.0])
def test_a_grid_grows_beyond_its_edge_as_long_as_that_is_better(tmp_path, best):
    train = Trainer(lambda a, round, learning_rate, **_: -abs(np.log10(learning_rate / best)))
    _, _, settings = tuned(tmp_path, train, learning_rate=[1e-1, 1e-2, 1e-3], discount=0.9)
    assert settings["learning_rate"] == pytest.approx(best) and settings["discount"] == 0.9


@pytest.mark.parametrize("sign", [1, -1])
def test_a_grid_does_not_grow_without_end(tmp_path, sign):
    train = Trainer(lambda a, round, learning_rate, **_: sign * learning_rate)
    _, _, settings = tuned(tmp_path, train, learning_rate=[1e-1, 1e-2])
    assert settings["learning_rate"] == pytest.approx(HIGHEST if sign > 0 else LOWEST)


def test_the_algorithm_is_tuned_where_there_are_two(tmp_path):
    train = Trainer(lambda algorithm, round, learning_rate, **_: (algorithm == DQN_LN) - abs(learning_rate - 1e-2))
    _, algorithm, _ = tuned(tmp_path, train, (PQN, DQN_LN), learning_rate=[1e-1, 1e-2, 1e-3])
    assert algorithm == DQN_LN


def test_a_stopped_search_goes_on_from_its_file_and_chooses_the_same(tmp_path):
    score = Trainer(lambda a, round, learning_rate, seed, **_: np.sin(1e4 * learning_rate) + seed)
    grid = dict(learning_rate=[1e-1, 1e-2, 1e-3], weight_decay=[0.0, 1e-4])
    _, _, straight = tuned(tmp_path / "straight", score, **grid)
    for _ in range(len(score.calls) - 1):  # each attempt gets one training further

        def train(*arguments, count=itertools.count()):
            if next(count) == 1:
                raise KeyboardInterrupt
            return score(*arguments)

        with pytest.raises(KeyboardInterrupt):
            tuned(tmp_path / "stopped", train, **grid)
    score.calls.clear()
    _, _, stopped = tuned(tmp_path / "stopped", score, **grid)
    assert stopped == straight
    assert len(score.calls) == 1  # all but the last were in the file


def test_a_file_of_another_search_is_refused(tmp_path):
    train = Trainer(lambda a, round, learning_rate, **_: -learning_rate)
    tuned(tmp_path, train, learning_rate=[1e-2, 1e-3])
    with pytest.raises(ValueError, match=r"tuning.nc.* holds settings.learning_rate=\[0.001, 0.01\] where .*=\[0.001, 0.01, 0.1\] is asked for"):
        tuned(tmp_path, train, learning_rate=[1e-1, 1e-2, 1e-3])


def test_the_file_says_what_was_tried_and_where(tmp_path):
    from hanq.records import load

    tuned(tmp_path, Trainer(lambda a, round, learning_rate, **_: -abs(learning_rate - 1e-2)), learning_rate=[1e-1, 1e-2, 1e-3])
    stored = load(tmp_path / "tuning.nc")
    trials = stored.to_dataframe()
    assert len(trials) == 3 * 3 + 2 * 5
    assert set(trials[trials.gradient_steps == 200].seed) == set(SECOND.seeds)
    assert stored.attrs["wall_seconds"] == 4.5 and stored.attrs["environment"] == "Pendulum"
    assert '"first": [[100, 101, 102], 50, 10]' in stored.attrs["rounds"]
