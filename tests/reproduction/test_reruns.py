"""Promise: a row trained again is the row of the tables, unless its weights were moved, and a stopped experiment goes on."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray

from hanq.__main__ import main
from hanq.data.foundations import records
from hanq.reproduction import paper, pipeline, populations, protocol, reruns

RESULTS = Path(__file__).parents[2] / "book" / "results"
STEM = paper.stem("table1", "Pendulum", "HANQ", "hyper_lr=0.1")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a quick result of one row of Table 1, the only one that the experiment asks for."""
    monkeypatch.setattr(reruns, "ROWS", [STEM])
    row = [job for job in protocol.jobs("table1") if job.name == STEM]
    monkeypatch.setattr(protocol, "jobs", lambda *_: row)
    pipeline.reproduce("table1", tmp_path, quick=True)
    return tmp_path


def scores_of(path, **which):
    found = records.load(path)
    for name, value in which.items():
        found = found.isel(trial=found[name].values == value)
    return found.score.values


def test_a_row_as_it_is_has_the_scores_of_the_table_and_one_with_moved_weights_others(folder):
    path = reruns.reproduce(folder, quick=True)
    as_it_is, moved = scores_of(path)
    table = paper.seed_scores(f"{STEM}-quick", folder)
    np.testing.assert_allclose(as_it_is, table.values, rtol=1e-6)
    np.testing.assert_array_equal(records.load(path).seed, table.seed)
    assert (moved != as_it_is).any() and np.isfinite(moved).all()


def test_an_experiment_goes_on_where_it_was_stopped_to_the_same_scores(folder, monkeypatch):
    measured, evaluate = [], populations.evaluate

    def interrupted(*arguments):
        measured.append(1)
        if len(measured) == 7:  # in the second of two trials of five evaluations
            raise KeyboardInterrupt
        return evaluate(*arguments)

    monkeypatch.setattr(populations, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        reruns.reproduce(folder, quick=True)
    assert len(list(folder.glob("perturbed/*.checkpoint"))) == 1
    stopped = reruns.reproduce(folder, quick=True)
    assert len(measured) == 11 and [one.name for one in stopped.parent.iterdir()] == [stopped.name]
    again, before = scores_of(stopped), stopped.stat().st_mtime_ns
    assert reruns.reproduce(folder, quick=True) == stopped and stopped.stat().st_mtime_ns == before
    stopped.unlink()
    np.testing.assert_array_equal(scores_of(reruns.reproduce(folder, quick=True)), again)


def test_a_file_of_another_length_is_refused_and_kept(folder, monkeypatch):
    path = reruns.reproduce(folder, quick=True)
    before = path.read_bytes()
    monkeypatch.setattr(protocol, "QUICK", protocol.QUICK._replace(gradient_steps=1_200))
    with pytest.raises(ValueError, match="holds gradient_steps=1000 where gradient_steps=1200 is asked for"):
        reruns.reproduce(folder, quick=True)
    assert path.read_bytes() == before


def test_without_table_1_the_command_says_what_to_run_first(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["reproduce", "perturbed", "--quick", "--out", str(tmp_path)])
    assert "run `reproduce table1 --quick` first" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["reproduce", "perturbed", "--env", "LunarLander", "--out", str(tmp_path)])
    assert "environment='LunarLander' is not in perturbed" in capsys.readouterr().err


def test_a_perturbation_moves_each_weight_to_a_float_nearby_and_either_way():
    weights = np.random.default_rng(0).uniform(-1, 1, (3, 4_000)).astype(np.float32)
    moved = reruns.perturbed(weights, [0, 1, 5], reruns.PERTURBATION)
    steps = np.round((moved.astype(float) - weights) / np.spacing(np.abs(weights)).astype(float))
    assert moved.dtype == np.float32 and set(np.unique(np.abs(steps))) == {1.0, 2.0}
    assert 0.45 < (moved > weights).mean() < 0.55 and (np.sign(steps[0]) != np.sign(steps[1])).any()
    np.testing.assert_array_equal(reruns.perturbed(weights, [0, 1, 5], 0.0), weights)


def test_chance_is_all_of_the_spread_between_twins_that_share_nothing_and_none_between_equal_ones():
    draws = np.random.default_rng(0).normal(size=(2, 4_000))
    one, other = (xarray.DataArray(values, dims="seed") for values in draws)
    assert reruns.share_of_chance(one, other) == pytest.approx(1, abs=0.05)
    assert reruns.share_of_chance(one, one) == 0
    common = xarray.DataArray(3**0.5 * np.random.default_rng(1).normal(size=4_000), dims="seed")
    assert reruns.share_of_chance(common + one, common + other) == pytest.approx(1 / 4, abs=0.05)


def test_the_committed_file_holds_every_row_of_the_experiment_and_says_where_it_comes_from():
    path = reruns.path_of(RESULTS)
    found, held = records.load(path), reruns._held(path, protocol.FULL)
    assert len(set(held)) == len(held) and set(held) == set(reruns.trials(RESULTS))
    assert json.loads(found.attrs["seeds"]) == found.seed.values.tolist() == list(paper.SEEDS)
    assert found.attrs["gradient_steps"] == paper.STEPS and re.fullmatch("[0-9a-f]{12}", found.attrs["commit"])
    assert np.isfinite(found.score).all() and (found.score > -100).all() and (found.score < 130).all()
