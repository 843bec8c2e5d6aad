"""Promise: tuning searches the whole grid, keeps the best to the end, and loses nothing when stopped."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
import xarray

from hanq.algorithm import DQN, DQN_LN, HANQ, PQN
from hanq.data.foundations.records import load, save
from hanq.reproduction.tuning import HIGHEST, LOWEST, Round, Tuning
from hanq.training.run import GRID

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


GRID_OF = dict(learning_rate=[1e-1, 1e-2, 1e-3], hyper_lr=0.5)
CONDITIONS = dict(environment="Pendulum", batch_size=8, eval_episodes=1, eval_velocity=1.0, data={"episode_length": 200})


def search(tmp_path, train, algorithms=(DQN,), settings=GRID_OF, first=FIRST, second=SECOND, finalists=2, conditions=CONDITIONS):
    return Tuning(tmp_path / "tuning.nc", algorithms, settings, first, second, finalists, train, conditions).best()


def searched(tmp_path):
    train = Trainer(lambda a, round, learning_rate, **_: -abs(learning_rate - 1e-2))
    return search(tmp_path, train)


def nothing(*_):
    raise AssertionError("something is trained")


OTHERS = {  # what is asked for of a finished file, and how the refusal names it
    "algorithms.0.predictor='none' where algorithms.0.predictor='meta'": dict(algorithms=(HANQ,)),
    "number=1 where number=2": dict(algorithms=(DQN, HANQ)),
    "settings.learning_rate=[0.001, 0.01, 0.1] where settings.learning_rate=[0.01, 0.1]": dict(
        settings=GRID_OF | dict(learning_rate=[1e-1, 1e-2])
    ),
    "settings.hyper_lr=[0.5] where settings.hyper_lr=[0.5, 0.6]": dict(settings=GRID_OF | dict(hyper_lr=[0.5, 0.6])),
    "rounds.first=[[100, 101, 102], 50, 10] where rounds.first=[[100, 101, 102], 50, 5]": dict(first=FIRST._replace(eval_every=5)),
    "rounds.second=[[100, 101, 102, 103, 104], 200, 50] where rounds.second=[[100, 101], 200, 50]": dict(
        second=SECOND._replace(seeds=range(100, 102))
    ),
    "finalists=2 where finalists=1": dict(finalists=1),
    "environment='Pendulum' where environment='Acrobot'": dict(conditions=CONDITIONS | dict(environment="Acrobot")),
    "batch_size=8 where batch_size=128": dict(conditions=CONDITIONS | dict(batch_size=128)),
    "eval_episodes=1 where eval_episodes=10": dict(conditions=CONDITIONS | dict(eval_episodes=10)),
    "eval_velocity=1.0 where eval_velocity=8.0": dict(conditions=CONDITIONS | dict(eval_velocity=8.0)),
    "data.episode_length=200 where data.episode_length=50": dict(conditions=CONDITIONS | dict(data={"episode_length": 50})),
}


@pytest.mark.parametrize("named", OTHERS)
def test_a_search_that_differs_in_anything_is_refused_by_name_and_the_file_left_alone(tmp_path, named):
    searched(tmp_path)
    before = (tmp_path / "tuning.nc").read_bytes()
    with pytest.raises(ValueError, match=rf"tuning.nc' holds .*{re.escape(named)} is asked for"):
        search(tmp_path, nothing, **OTHERS[named])
    assert (tmp_path / "tuning.nc").read_bytes() == before
    assert search(tmp_path, nothing) == searched(tmp_path / "again")


def test_fields_without_effect_and_values_in_another_order_are_no_other_search(tmp_path):
    found = searched(tmp_path)
    same = replace(DQN, predictor_norm="l2", symmetric=True)
    assert search(tmp_path, nothing, algorithms=(same,), settings=dict(hyper_lr=[0.5], learning_rate=[1e-3, 1e-2, 1e-1])) == found


@pytest.fixture
def earlier(tmp_path):
    """A file as they were before they said what was searched."""
    found, path = searched(tmp_path), tmp_path / "tuning.nc"
    stored = load(path).drop_vars("round", errors="ignore")
    for name in ("algorithms", "number", "settings", "finalists", "data"):
        stored.attrs.pop(name, None)
    save(stored, path)
    return found


def test_an_earlier_file_is_accepted_for_what_it_cannot_say(tmp_path, earlier):
    assert search(tmp_path, nothing) == earlier


@pytest.mark.parametrize(
    "changed",
    [
        dict(settings=GRID_OF | dict(learning_rate=[1e-1, 1e-3])),
        dict(settings=GRID_OF | dict(learning_rate=[1e-1, 1e-2, 1e-3, 1e-4])),
        dict(settings=GRID_OF | dict(learning_rate=[3.0, 2.0])),
        dict(settings=GRID_OF | dict(hyper_lr=0.6)),
        dict(first=FIRST._replace(gradient_steps=60)),
        dict(conditions=CONDITIONS | dict(environment="Acrobot")),
    ],
    ids=str,
)
def test_an_earlier_file_is_refused_for_all_that_it_does_say(tmp_path, earlier, changed):
    with pytest.raises(ValueError, match="tuning.nc.* it is of another search"):
        search(tmp_path, nothing, **changed)


def test_an_earlier_file_of_an_algorithm_more_is_refused(tmp_path):
    train = Trainer(lambda a, round, learning_rate, **_: -abs(learning_rate - 1e-2))
    search(tmp_path, train, algorithms=(DQN, HANQ))
    stored = load(tmp_path / "tuning.nc")
    for name in ("algorithms", "number", "settings", "finalists", "data"):
        stored.attrs.pop(name, None)
    save(stored, tmp_path / "tuning.nc")
    with pytest.raises(ValueError, match="it is of another search"):
        search(tmp_path, nothing)


def test_rounds_of_one_length_may_have_other_seeds(tmp_path):
    """By the second, 1e-3 is best: were rounds told apart by length alone, the search would stop or mix them."""
    second = FIRST._replace(seeds=range(200, 205))
    train = Trainer(lambda a, round, learning_rate, seed, **_: -abs(np.log10(learning_rate) + (3 if seed >= 200 else 2)))
    _, settings = search(tmp_path, train, settings=dict(learning_rate=[1e-1, 1e-2, 1e-3, 1e-4]), second=second)
    assert settings["learning_rate"] == 1e-3
    trials = load(tmp_path / "tuning.nc").to_dataframe()
    assert set(trials[trials["round"] == 1].seed) == set(second.seeds) and set(trials[trials["round"] == 0].seed) == set(FIRST.seeds)


def test_equal_rounds_train_nothing_twice(tmp_path):
    train = Trainer(lambda a, round, learning_rate, **_: -abs(learning_rate - 1e-2))
    search(tmp_path, train, first=SECOND)
    assert len(train.calls) == 1


def test_what_another_run_has_added_meanwhile_is_taken_up(tmp_path):
    settings = GRID_OF | dict(learning_rate=[1e-1, 1e-2, 1e-3])
    behind = Tuning(tmp_path / "tuning.nc", (DQN,), settings, FIRST, SECOND, 2, nothing, CONDITIONS)
    assert searched(tmp_path) == behind.best()


def test_a_file_that_is_no_search_is_refused_by_name(tmp_path):
    save(xarray.Dataset({"x": ("i", [1.0])}), tmp_path / "tuning.nc")
    with pytest.raises(ValueError, match="tuning.nc' is no file of a search"):
        search(tmp_path, nothing)
