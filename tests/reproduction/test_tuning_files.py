"""Promise: the file of a search says what was searched, and a search of anything else leaves it alone."""

import re
from dataclasses import replace

import numpy as np
import pytest
import xarray
from tuning_problem import FIRST, SECOND, Trainer

from hanq.algorithm import DQN, HANQ
from hanq.data.foundations.records import load, save
from hanq.reproduction.tuning import Tuning

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
