"""Promise: one command does Table 5 in stretches, and each row's file says what it holds."""

import json

import numpy as np
import pytest
from small_table5 import RATES, arguments

from hanq import load_run
from hanq.__main__ import main
from hanq.algorithm import HANQ, Algorithm
from hanq.atari import evaluation, table5, training
from hanq.atari.network import seaquest_network
from hanq.data.foundations import records
from hanq.reproduction import paper


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("table5")


@pytest.fixture(autouse=True)
def small_sample(monkeypatch):
    monkeypatch.setattr(evaluation, "SAMPLE", 16)


@pytest.fixture(scope="module")
def result(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "SAMPLE", 16)
        main(arguments(folder))
    return records.load(folder / "out" / "seaquest" / "HANQ.nc")


def test_a_row_is_one_file_of_its_grid_that_says_where_each_part_comes_from(result, folder):
    assert dict(result.score.sizes) == dict(learning_rate=2, hyper_lr=1, target_rate=1, discount=1, weight_decay=1, seed=2, gradient_step=2)
    assert result.learning_rate.values.tolist() == RATES and result.seed.values.tolist() == [5, 3]
    assert Algorithm(**json.loads(result.attrs["algorithm"])) == HANQ
    trainings = json.loads(result.attrs["trainings"])
    assert [training["learning_rate"] for training in trainings] == RATES
    assert {(training["frames"], training["cuda_graph"]) for training in trainings} == {("on disk", "none")}
    assert result.attrs["wall_seconds"] == pytest.approx(sum(training["wall_seconds"] for training in trainings), abs=1e-3)
    assert result.attrs["protocol"] == "grid" and result.attrs["gradient_steps"] == 2 and result.attrs["device"] == "cpu"
    alone = load_run(next(folder.glob("HANQ-learning_rate=0.001-*.nc")))
    np.testing.assert_array_equal(result.msbe.sel(learning_rate=[1e-3]), alone.curves.msbe)


def test_the_policy_is_the_best_agents_in_half_precision(result, folder):
    where = json.loads(result.attrs["policy"])
    means = result.score.mean(["seed", "gradient_step"]).squeeze()
    assert where["learning_rate"] == means.idxmax("learning_rate").item() and where["seed"] == 5
    run = load_run(next(folder.glob(f"HANQ-learning_rate={where['learning_rate']:g}-*.nc")))
    exact = run.parameters.sel(seed=5).values.ravel()
    assert result.policy.dtype == np.float32 and len(exact) == seaquest_network(HANQ, 18).size
    np.testing.assert_allclose(result.policy, exact, rtol=2**-10, atol=2**-25)
    assert not np.array_equal(result.policy, exact)  # or the file would be twice as large


def test_the_best_learning_rate_is_that_of_the_scores(result, folder):
    runs = [load_run(next(folder.glob(f"HANQ-learning_rate={rate:g}-*.nc"))) for rate in RATES]
    for best in range(2):
        for number, run in enumerate(runs):
            run.curves["score"] = 0 * run.curves.score + (number == best)
        found = table5.with_policy(table5.combined(runs), runs)
        assert json.loads(found.attrs["policy"])["learning_rate"] == RATES[best]
        np.testing.assert_allclose(found.policy, runs[best].parameters.isel(seed=0).values.ravel(), rtol=2**-10, atol=2**-25)


def test_only_the_agents_that_the_book_shows_are_kept(result, folder):
    main(arguments(folder, row="w-o-metapredictor", rates=[1e-4], seeds=[5]))
    assert "policy" not in records.load(folder / "out" / "seaquest" / "w-o-metapredictor.nc")
    assert "policy" in result and set(table5.SHOWN) < set(table5.ROWS)


def test_another_precision_has_a_result_of_its_own_without_an_agent(result, folder):
    main([*arguments(folder, rates=[1e-4], seeds=[5]), "--precision", "bfloat16"])
    found = records.load(folder / "out" / "seaquest" / "HANQ-bfloat16.nc")
    assert found.attrs["precision"] == "bfloat16" and "policy" not in found
    assert records.load(folder / "out" / "seaquest" / "HANQ.nc").equals(result)


def test_dqn_can_be_given_fewer_target_rates(folder):
    main([*arguments(folder, row="DQN", steps=1, rates=[1e-4], seeds=[5]), "--target-rate", "1e-5"])
    assert records.load(folder / "out" / "seaquest" / "DQN.nc").target_rate.values.tolist() == [1e-5]


def test_a_file_of_another_training_under_its_name_is_neither_taken_for_it_nor_replaced(result, folder, tmp_path, monkeypatch, capsys):
    """1e-3 and a learning rate that is written the same."""
    (path,) = folder.glob("HANQ-learning_rate=0.001-*.nc")
    (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(training, "train_on_frames", lambda *_, **settings: 1 / 0)
    with pytest.raises(SystemExit, match="2"):
        main(arguments(tmp_path, rates=[1.0000001e-3]))
    assert "settings.learning_rate=[0.001] where settings.learning_rate=[0.0010000001] is asked for" in capsys.readouterr().err


def test_what_is_finished_is_not_trained_again_and_what_is_not_is(result, folder, monkeypatch):
    called = []
    monkeypatch.setattr(training, "train_on_frames", lambda *_, **settings: called.append(settings["learning_rate"]) or 1 / 0)
    main(arguments(folder))
    assert not called
    for changed in (dict(rates=[*RATES, 1e-5]), dict(steps=3), dict(seeds=[5, 3, 2]), dict(row="DQN-LN")):
        called.clear()
        with pytest.raises(ZeroDivisionError):
            main(arguments(folder, **changed))
        assert len(called) == 1, changed
    assert records.load(folder / "out" / "seaquest" / "HANQ.nc").equals(result)


@pytest.mark.parametrize(
    ("changed", "extra", "named"),
    [
        (dict(rates=[1e-3]), [], "settings.learning_rate=[0.001, 0.0001] where settings.learning_rate=[0.001]"),
        (dict(rates=[1e-3, 1e-5]), [], "settings.learning_rate=[0.001, 0.0001] where settings.learning_rate=[0.001, 1e-05]"),
        (dict(seeds=[5]), [], "seeds=[5, 3] where seeds=[5]"),
        (dict(steps=1), [], "gradient_steps=2 where gradient_steps=1"),
        (dict(steps=3, rates=[*RATES, 1e-5]), ["--eval-every", "2"], "eval_every=1 where eval_every=2"),  # fewer evaluations
        (dict(rates=[*RATES, 1e-5]), ["--batch-size", "3"], "batch_size=2 where batch_size=3"),
        (dict(rates=[*RATES, 1e-5]), ["--transitions", "61"], "transitions=60 where transitions=61"),
        (dict(row="DQN-LN"), ["--row", "DQN-LN", "HANQ", "--eval-steps", "6"], "eval_steps=5 where eval_steps=6"),  # of the second
    ],
)
def test_a_result_that_would_lose_something_is_kept(result, folder, tmp_path, monkeypatch, capsys, changed, extra, named):
    monkeypatch.setattr(training, "train_on_frames", lambda *_, **settings: 1 / 0)
    with pytest.raises(SystemExit, match="2"):
        main([*arguments(folder, **changed), *extra, "--work", str(tmp_path)])
    assert f"seaquest/HANQ.nc' holds {named} is asked for: ask for all that it holds" in capsys.readouterr().err
    assert records.load(folder / "out" / "seaquest" / "HANQ.nc").identical(result)


def test_a_result_of_another_algorithm_is_kept(result, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "train_on_frames", lambda *_, **settings: 1 / 0)
    records.save(result, tmp_path / "out" / "seaquest" / "DQN-LN.nc")
    with pytest.raises(SystemExit, match="2"):
        main(arguments(tmp_path, row="DQN-LN"))
    assert "algorithm.predictor='meta' where algorithm.predictor='none' is asked for" in capsys.readouterr().err


def test_the_checkpoint_of_a_longer_training_is_kept(result, folder, tmp_path, monkeypatch):
    """A row of 2 steps was finished, and its extension to 4 stopped at 3."""
    (tmp_path / "frames").symlink_to(folder / "frames")
    for path in folder.glob("HANQ-*.nc"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    trained = training.train_on_frames

    def stopped(*args, **settings):
        trained(*args, **settings | {"gradient_steps": 3})
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "train_on_frames", stopped)
        assert main(arguments(tmp_path, steps=4)) == 130
    (kept,) = tmp_path.glob("*.checkpoint")
    main(arguments(tmp_path))
    assert kept.exists() and records.load(tmp_path / "out" / "seaquest" / "HANQ.nc").equals(result)
    monkeypatch.setattr(paper, "SEAQUEST_STEPS", 4)
    main(arguments(tmp_path, steps=4))
    assert not list(tmp_path.glob("*.checkpoint"))  # of a training of the paper's length
    assert records.load(tmp_path / "out" / "seaquest" / "HANQ.nc").gradient_step.values.tolist() == [1, 2, 3, 4]


def test_a_stopped_row_goes_on_where_it_stopped(result, folder, tmp_path, monkeypatch):
    (tmp_path / "frames").symlink_to(folder / "frames")
    saved, trained = [], training.train_on_frames

    def stopped(*args, **settings):
        saved.append(settings["learning_rate"])
        if len(saved) == 2:
            trained(*args, **settings | {"gradient_steps": 1})
            raise KeyboardInterrupt
        return trained(*args, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(training, "train_on_frames", stopped)
        assert main(arguments(tmp_path)) == 130
    assert not list((tmp_path / "out").rglob("*.nc")) and len(list(tmp_path.glob("*.checkpoint"))) == 2
    main(arguments(tmp_path))
    again = records.load(tmp_path / "out" / "seaquest" / "HANQ.nc")
    assert again.equals(result)


def test_more_steps_go_on_from_where_a_finished_row_ended(folder, tmp_path, monkeypatch):
    (tmp_path / "frames").symlink_to(folder / "frames")
    main(arguments(tmp_path, row="DQN-LN", rates=[1e-3], steps=2))
    starts, segments = [], training.segments

    def watched(engine, state, measure, counts, bar, checkpoint, report=None):
        starts.append((checkpoint.load(counts["gradient_steps"]) or [state])[0].gradient_step)
        return segments(engine, state, measure, counts, bar, checkpoint, report)

    monkeypatch.setattr(training, "segments", watched)
    main(arguments(tmp_path, row="DQN-LN", rates=[1e-3], steps=3))
    assert starts == [2]
