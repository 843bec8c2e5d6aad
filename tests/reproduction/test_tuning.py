"""Promise: tuning searches the whole grid, keeps the best to the end, and loses nothing when stopped."""

import itertools

import numpy as np
import pytest
from tuning_problem import FIRST, SECOND, Trainer

from hanq.algorithm import DQN, DQN_LN, PQN
from hanq.data.foundations.records import load
from hanq.reproduction.tuning import HIGHEST, LOWEST, Tuning
from hanq.training.run import GRID


def tuned(tmp_path, train, algorithms=(PQN,), **settings):
    return Tuning(tmp_path / "tuning.nc", algorithms, settings, FIRST, SECOND, 2, train).best()


def test_the_second_round_decides_among_the_finalists(tmp_path):
    """1e-2 leads while training is short, 1e-3 at full length; 1e-4 would be better still but is no finalist."""
    short, full = {1e-1: 0, 1e-2: 9, 1e-3: 8, 1e-4: 1}, {1e-1: 0, 1e-2: 5, 1e-3: 7, 1e-4: 99}
    train = Trainer(lambda a, round, learning_rate, **_: (short if round.seeds == FIRST.seeds else full)[learning_rate])
    algorithm, settings = tuned(tmp_path, train, learning_rate=list(short))
    assert (algorithm, settings["learning_rate"]) == (PQN, 1e-3)
    assert set(settings) == set(GRID)
    assert len(train.calls) == 1 + 2  # the grid at once, and two finalists


def test_the_mean_over_seeds_counts_not_the_luckiest_seed(tmp_path):
    def score(a, round, learning_rate, seed, **_):
        return 100 * (seed == 100) if learning_rate == 1e-2 else 50

    _, settings = tuned(tmp_path, Trainer(score), learning_rate=[1e-1, 1e-2, 1e-3, 1e-4], target_rate=[1.0])
    assert settings["learning_rate"] != 1e-2


@pytest.mark.parametrize("best", [10**0.5, 10**-5.0])
def test_a_grid_grows_beyond_its_edge_as_long_as_that_is_better(tmp_path, best):
    train = Trainer(lambda a, round, learning_rate, **_: -abs(np.log10(learning_rate / best)))
    _, settings = tuned(tmp_path, train, learning_rate=[1e-1, 1e-2, 1e-3], discount=0.9)
    assert settings["learning_rate"] == pytest.approx(best) and settings["discount"] == 0.9


def test_a_grid_may_grow_for_more_than_the_best_point(tmp_path):
    """Two hills: a low one within the grid, and a high one beyond it, of which the grid has the foot."""
    heights = {1e-1: 0.0, 1e-2: 3.0, 1e-3: 2.0, 10**-3.5: 2.5, 1e-4: 5.0, 10**-4.5: 4.0, 1e-5: 0.0}

    def height(a, round, learning_rate, **_):
        return heights[min(heights, key=lambda rate: abs(np.log10(rate / learning_rate)))]

    chosen = {}
    for growing in (1, 2):
        grid = dict(learning_rate=[1e-1, 1e-2, 1e-3])
        search = Tuning(tmp_path / f"{growing}.nc", (DQN,), grid, SECOND, SECOND, 3, Trainer(height), growing=growing)
        chosen[growing] = search.best()[1]["learning_rate"]
    assert chosen == {1: pytest.approx(1e-2), 2: pytest.approx(1e-4)}


def test_a_grid_grows_at_the_edge_of_what_was_tried_with_the_same_other_settings(tmp_path):
    """One discount grows first, in vain; the other grows too, though the grid has that learning rate by then."""
    heights = {0.99: {1e-2: 0.3, 1e-1: 0.5, 10**-0.5: 0.2}, 0.9: {1e-2: 0.1, 1e-1: 0.4, 10**-0.5: 0.9, 1.0: 0.1}}

    def height(a, round, learning_rate, discount, **_):
        return next(found for rate, found in heights[discount].items() if np.isclose(rate, learning_rate))

    grid = dict(learning_rate=[1e-1, 1e-2], discount=[0.9, 0.99])
    search = Tuning(tmp_path / "tuning.nc", (DQN,), grid, SECOND, SECOND, 3, Trainer(height), growing=2)
    _, settings = search.best()
    assert settings["learning_rate"] == pytest.approx(10**-0.5) and settings["discount"] == 0.9


@pytest.mark.parametrize("sign", [1, -1])
def test_a_grid_does_not_grow_without_end(tmp_path, sign):
    train = Trainer(lambda a, round, learning_rate, **_: sign * learning_rate)
    _, settings = tuned(tmp_path, train, learning_rate=[1e-1, 1e-2])
    assert settings["learning_rate"] == pytest.approx(HIGHEST if sign > 0 else LOWEST)


def test_the_algorithm_is_tuned_where_there_are_two(tmp_path):
    train = Trainer(lambda algorithm, round, learning_rate, **_: (algorithm == DQN_LN) - abs(learning_rate - 1e-2))
    algorithm, _ = tuned(tmp_path, train, (PQN, DQN_LN), learning_rate=[1e-1, 1e-2, 1e-3])
    assert algorithm == DQN_LN


def test_a_stopped_search_goes_on_from_its_file_and_chooses_the_same(tmp_path):
    score = Trainer(lambda a, round, learning_rate, seed, **_: np.sin(1e4 * learning_rate) + seed)
    grid = dict(learning_rate=[1e-1, 1e-2, 1e-3], weight_decay=[0.0, 1e-4])
    _, straight = tuned(tmp_path / "straight", score, **grid)
    for _ in range(len(score.calls) - 1):  # each attempt gets one training further

        def train(*arguments, count=itertools.count()):
            if next(count) == 1:
                raise KeyboardInterrupt
            return score(*arguments)

        with pytest.raises(KeyboardInterrupt):
            tuned(tmp_path / "stopped", train, **grid)
    score.calls.clear()
    _, stopped = tuned(tmp_path / "stopped", score, **grid)
    assert stopped == straight
    assert len(score.calls) == 1  # all but the last were in the file


def test_a_file_of_another_search_is_refused(tmp_path):
    train = Trainer(lambda a, round, learning_rate, **_: -learning_rate)
    tuned(tmp_path, train, learning_rate=[1e-2, 1e-3])
    with pytest.raises(ValueError, match=r"tuning.nc.* holds settings.learning_rate=\[0.001, 0.01\] where .*=\[0.001, 0.01, 0.1\]"):
        tuned(tmp_path, train, learning_rate=[1e-1, 1e-2, 1e-3])


def test_the_file_says_what_was_tried_and_where(tmp_path):
    tuned(tmp_path, Trainer(lambda a, round, learning_rate, **_: -abs(learning_rate - 1e-2)), learning_rate=[1e-1, 1e-2, 1e-3])
    stored = load(tmp_path / "tuning.nc")
    trials = stored.to_dataframe()
    assert len(trials) == 3 * 3 + 2 * 5
    assert set(trials[trials.gradient_steps == 200].seed) == set(SECOND.seeds)
    assert 0 < stored.attrs["wall_seconds"] < 60 and stored.attrs["environment"] == "Pendulum"
    assert '"first": [[100, 101, 102], 50, 10]' in stored.attrs["rounds"]
