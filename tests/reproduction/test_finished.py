"""Promise: a finished file is taken as done only if it holds what is asked for, and else refused, never replaced."""

import json
import re
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

import hanq
from hanq import HANQ, Algorithm
from hanq.data.foundations import records
from hanq.reproduction import ledger, paper, pipeline, protocol, variations
from hanq.reproduction.tuning import Tuning
from hanq.training import segments

ROW = paper.stem("table3", "Pendulum", "w/o LN", "")


def no_training(*_, **__):
    raise AssertionError("something is trained")


def one_job(name, environment=None, jobs=protocol.jobs):
    return [job for job in jobs(name, environment) if name == "fig7" or job.name == ROW]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a quick grid and a quick row that was searched, and their paths."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol, "jobs", one_job)
        (searched,) = pipeline.reproduce("table3", folder, environment="Pendulum", quick=True, engine="torch")
    (grid,) = pipeline.reproduce("fig7", folder, quick=True, engine="torch")
    return grid, searched


@pytest.fixture
def one_row(monkeypatch):
    """Table 3 has one row, and nothing may be trained."""
    monkeypatch.setattr(protocol, "jobs", one_job)
    monkeypatch.setattr(protocol, "train", no_training)


def copied(made, folder):
    there = made[0].parents[1]
    shutil.copytree(there, folder, dirs_exist_ok=True)
    return [folder / path.relative_to(there) for path in made]


def with_attr(name, value):
    return lambda curves: curves.assign_attrs({name: value})


def with_field(name, field, value):
    return lambda curves: curves.assign_attrs({name: json.dumps(json.loads(curves.attrs[name]) | {field: value})})


CHANGES = {  # what a file may hold else, and how the refusal names it
    "algorithm.hidden_features=64 where algorithm.hidden_features=128": with_field("algorithm", "hidden_features", 64),
    "environment='Acrobot' where environment='Pendulum'": with_attr("environment", "Acrobot"),
    "gradient_steps=500 where gradient_steps=1000": with_attr("gradient_steps", 500),
    "eval_every=100 where eval_every=200": with_attr("eval_every", 100),
    "eval_episodes=1 where eval_episodes=10": with_attr("eval_episodes", 1),
    "eval_velocity=1.0 where eval_velocity=8.0": with_attr("eval_velocity", 1.0),
    "batch_size=64 where batch_size=128": with_attr("batch_size", 64),
    "seeds=[0, 1] where seeds=[0, 1, 2]": lambda curves: curves.isel(seed=[0, 1]),
    "data.episode_length=50 where data.episode_length=200": with_field("dataset", "episode_length", 50),
    "data.initial_velocity=1.0 where data.initial_velocity=8.0": with_field("dataset", "initial_velocity", 1.0),
    "data.reward_scale=0.1 where data.reward_scale=1.0": with_field("dataset", "reward_scale", 0.1),
    "settings.discount=[0.9] where settings.discount=[0.99]": lambda curves: curves.assign_coords(discount=[0.9]),
    "dataset_seeds='[7]' where dataset_seeds='[0, 1, 2]'": with_attr("dataset_seeds", "[7]"),
    "protocol='other' where protocol=": with_attr("protocol", "other"),
}


@pytest.mark.parametrize("number", [0, 1], ids=["grid", "searched"])
@pytest.mark.parametrize("named", CHANGES)
def test_a_file_that_holds_something_else_is_refused_by_name_and_left_alone(made, tmp_path, one_row, named, number):
    path = copied(made, tmp_path)[number]
    records.save(CHANGES[named](records.load(path)), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"{path.name}' holds .*{re.escape(named)}.* is asked for: use another folder"):
        pipeline.reproduce(("fig7", "table3")[number], tmp_path, environment="Pendulum", quick=True)
    assert path.read_bytes() == before


def test_finished_files_are_kept_and_what_a_killed_run_left_beside_them_goes(made, tmp_path, one_row):
    paths = copied(made, tmp_path)
    for path in paths:
        path.with_name(f"{path.stem}.0a1b2c3d.checkpoint").write_text("")
    before = [path.read_bytes() for path in paths]
    pipeline.reproduce("fig7", tmp_path, quick=True)
    pipeline.reproduce("table3", tmp_path, quick=True)
    assert [path.read_bytes() for path in paths] == before and not list(tmp_path.rglob("*.checkpoint"))


def test_a_file_from_before_something_was_recorded_is_accepted(made, tmp_path, one_row):
    grid, _ = copied(made, tmp_path)
    curves = records.load(grid)
    del curves.attrs["dataset_seeds"]
    algorithm = json.loads(curves.attrs["algorithm"])
    del algorithm["rate_form"]
    records.save(curves.assign_attrs(algorithm=json.dumps(algorithm | {"predictor_norm": "l2"})), grid)  # which it does not read
    assert pipeline.reproduce("fig7", tmp_path, quick=True) == [grid]


def test_a_result_on_another_shared_dataset_is_refused(tmp_path, monkeypatch):
    rows = variations.VARIATIONS["datasets"]
    for seed in (7, 3):
        monkeypatch.setitem(variations.VARIATIONS, "datasets", {f"DQN-{seed}": rows[f"DQN-{seed}"]})
        if seed == 7:
            (path,) = pipeline.reproduce("datasets", tmp_path, quick=True, engine="torch")
            path.rename(path.with_name("DQN-3-quick.nc"))
    monkeypatch.setattr(protocol, "train", no_training)
    with pytest.raises(ValueError, match=re.escape("dataset_seeds='[7]' where dataset_seeds='[3]' is asked for")):
        pipeline.reproduce("datasets", tmp_path, quick=True)


def test_a_result_without_the_search_that_chose_its_settings_is_refused(made, tmp_path, one_row):
    _, searched = copied(made, tmp_path)
    searched.with_name(f"{searched.stem}-tuning.nc").unlink()
    with pytest.raises(ValueError, match=f"{searched.name}' is finished, but the search that chose its settings is not there"):
        pipeline.reproduce("table3", tmp_path, quick=True)


def test_a_result_that_is_not_what_its_search_chose_is_refused(made, tmp_path, one_row):
    _, searched = copied(made, tmp_path)
    curves = records.load(searched)
    rate = curves.learning_rate.item()
    records.save(curves.assign_coords(learning_rate=[10 * rate]), searched)
    with pytest.raises(ValueError, match=re.escape(f"settings.learning_rate=[{10 * rate!r}] where settings.learning_rate=[{rate!r}]")):
        pipeline.reproduce("table3", tmp_path, quick=True)


def test_an_unfinished_row_whose_search_is_another_is_refused_before_anything_is_trained(made, tmp_path, one_row):
    _, searched = copied(made, tmp_path)
    searched.unlink()
    tuning = searched.with_name(f"{searched.stem}-tuning.nc")
    records.save(records.load(tuning).assign_attrs(environment="Acrobot"), tuning)
    with pytest.raises(ValueError, match="tuning.nc' holds environment='Acrobot' where environment='Pendulum' is asked for"):
        pipeline.reproduce("table3", tmp_path, quick=True)


def unknown(text):
    """A stored algorithm of a later version."""
    return json.dumps(json.loads(text) | {"momentum": 0.9})


def test_an_algorithm_with_a_field_that_is_not_known_is_refused_by_name(made, tmp_path, one_row):
    named = r"holds an algorithm of another version of hanq: momentum=0.9 is no field of Algorithm"
    grid, searched = copied(made, tmp_path)
    tuning = searched.with_name(f"{searched.stem}-tuning.nc")
    curves, search = records.load(grid), records.load(tuning)
    records.save(curves.assign_attrs(algorithm=unknown(curves.attrs["algorithm"])), grid)
    with pytest.raises(ValueError, match=f"{grid.name}' {named}"):
        pipeline.reproduce("fig7", tmp_path, quick=True)
    row = paper.path_of(ROW, tmp_path)
    searched.rename(row)
    result = records.load(row)
    records.save(result.assign_attrs(algorithm=unknown(result.attrs["algorithm"])), row)
    with pytest.raises(ValueError, match=f"{row.name}' {named}"):
        ledger.compare(tmp_path)
    algorithms = json.loads(search.attrs["algorithms"])
    algorithms["0"]["momentum"] = 0.9
    records.save(search.assign_attrs(algorithms=json.dumps(algorithms)), tuning)
    row, (_, first, second, finalists, _) = paper.TABLES["table3"]["w/o LN", ""], protocol.QUICK_TUNED
    with pytest.raises(ValueError, match=f"{tuning.name}' {named}"):
        Tuning(tuning, row.algorithms, row.settings, first, second, finalists, no_training)
    hanq.train(HANQ, hanq.collect("Pendulum", [0], size=20), learning_rate=1e-2, gradient_steps=1, engine="torch").save(tmp_path / "run.nc")
    run = records.load(tmp_path / "run.nc")
    network = json.loads(run.attrs["network"])
    network["algorithm"]["momentum"] = 0.9
    records.save(run.assign_attrs(network=json.dumps(network)), tmp_path / "run.nc")
    with pytest.raises(ValueError, match=f"run.nc' {named}"):
        hanq.load_run(tmp_path / "run.nc")


def test_a_value_of_an_algorithm_that_is_not_known_is_refused_with_the_file():
    with pytest.raises(ValueError, match="path='x.nc' holds an algorithm of another version of hanq: rate_form='cube' is not allowed"):
        Algorithm.stored(asdict(HANQ) | {"rate_form": "cube"}, "x.nc")


def test_a_field_that_is_added_leaves_checkpoints_and_finished_files_valid(monkeypatch):
    before = segments.fingerprint_of({"algorithm": HANQ, "gradient_steps": 1})
    canonical = Algorithm.canonical
    monkeypatch.setattr(Algorithm, "canonical", lambda self: canonical(self) | {"added": False})
    assert segments.fingerprint_of({"algorithm": HANQ, "gradient_steps": 1}) == before
    assert segments.fingerprint_of({"algorithm": replace(HANQ, rate_form="raw"), "gradient_steps": 1}) != before
    assert HANQ.essential() == {"predictor": "meta", "main_norm": "layer", "predictor_norm": "l2"}


PACKAGE = Path(hanq.__file__).parents[1]


@pytest.mark.parametrize(
    ("argument", "recorded"),
    [
        (str(PACKAGE / "book" / "results"), "book/results"),
        (f"--out={PACKAGE}/book", "--out=book"),
        ("/tmp/somebody/out", "out"),
        ("--work=/tmp/somebody/work", "--work=work"),
        ("/tmp/a=b/c", "c"),
        ("~/out", "out"),
        ("--out=~", "--out=~"),
        (str(Path.home()), "~"),
        ("/", "root"),
        ("relative/out", "relative/out"),
        ("1e-4", "1e-4"),
        ("table1", "table1"),
    ],
)
def test_a_recorded_command_has_no_folder_of_the_machine(monkeypatch, argument, recorded):
    monkeypatch.setattr(sys, "argv", ["/usr/lib/hanq/__main__.py", "reproduce", argument])
    assert records.provenance()["command"] == f"python -m hanq reproduce {recorded}"


def test_the_default_of_eval_every_gives_way_to_a_short_run_and_a_given_one_does_not():
    data, short = hanq.collect("Pendulum", [0], size=20), dict(learning_rate=1e-2, eval_episodes=1, engine="torch", progress=False)
    run = hanq.train(HANQ, data, gradient_steps=3, **short)
    assert run.curves.gradient_step.values.tolist() == [3] and run.curves.attrs["eval_every"] == 3
    with pytest.raises(ValueError, match="eval_every=2000 is more than gradient_steps=3"):
        hanq.train(HANQ, data, gradient_steps=3, eval_every=2_000, **short)
    assert np.isfinite(run.curves.score).all()
    for steps, every in ((1_999, 1_999), (2_000, 2_000), (5_000, 2_000)):
        counts = segments.checked_counts(gradient_steps=steps, eval_every=segments.Usual(2_000))
        assert counts == {"gradient_steps": steps, "eval_every": every}
