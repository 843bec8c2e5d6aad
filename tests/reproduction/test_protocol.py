"""Promise: an experiment is one command that can be stopped, repeated and understood."""

import importlib.metadata

import numpy as np
import pytest

from hanq.__main__ import main
from hanq.data.collection import collect
from hanq.data.foundations import records
from hanq.reproduction import ledger, offline_choice, paper, pipeline, protocol, reruns, tuning, variations
from hanq.training import scores
from hanq.training import train as training
from hanq.training.train import train


def test_a_quick_reproduction_writes_files_that_a_second_call_keeps(tmp_path):
    (path,) = pipeline.reproduce("fig7", tmp_path, quick=True)
    curves, written = records.load(path), path.stat().st_mtime_ns
    assert curves.seed.size == 3 and curves.attrs["protocol"] == "grid"
    assert list(tmp_path.rglob("*.*")) == [path]  # no checkpoint stays behind
    pipeline.reproduce("fig7", tmp_path, quick=True)
    assert path.stat().st_mtime_ns == written


def test_a_tuned_table_reports_one_grid_point_on_seeds_that_took_no_part(tmp_path, capsys):
    paths = pipeline.reproduce("table3", tmp_path, environment="Pendulum", quick=True)
    assert len(paths) == 3 and "2 more, about" in capsys.readouterr().out
    for path in paths:
        report, tuning = records.load(path), records.load(path.with_name(f"{path.stem}-tuning.nc"))
        assert set(report.seed.values).isdisjoint(tuning.seed.values)
        assert report.attrs["protocol"] == "tuned" and report.learning_rate.size == 1
        assert report.learning_rate.item() in tuning.learning_rate.values
    assert {path.suffix for path in tmp_path.rglob("*.*")} == {".nc"}


def test_scores_that_share_a_training_share_its_file(tmp_path):
    found = {name: {job.name for job in protocol.jobs(name, "Acrobot")} for name in ("table1", "table2", "table7")}
    assert len(found["table1"] & found["table2"] & found["table7"]) == 1


def test_an_interrupted_reproduction_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    def interrupted(*arguments, gradient_steps, **settings):
        train(*arguments, gradient_steps=gradient_steps // 2, **settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pipeline.reproduce("fig7", tmp_path / "stopped", quick=True)
    assert list((tmp_path / "stopped").rglob("*.checkpoint"))
    monkeypatch.setattr(pipeline, "train", train)
    (stopped,) = pipeline.reproduce("fig7", tmp_path / "stopped", quick=True)
    (straight,) = pipeline.reproduce("fig7", tmp_path / "straight", quick=True)
    assert records.load(stopped).equals(records.load(straight))


def test_every_score_of_the_paper_but_seaquests_is_in_a_table_of_ours():
    covered = [tuple(score) for name in paper.TABLES for score in paper.scores_of(name).itertuples(index=False)]
    printed = [tuple(score) for score in paper.numbers().itertuples(index=False) if score.environment != "Seaquest"]
    assert sorted(covered) == sorted(printed)
    for name, rows in paper.TABLES.items():
        assert set(rows) == {(score.algorithm, score.setting) for score in paper.scores_of(name).itertuples()}


def test_different_trainings_have_different_files():
    rows = {}
    for name in protocol.EXPERIMENTS:
        for job in protocol.jobs(name):
            assert rows.setdefault(job.name, (job.environment, job.row)) == (job.environment, job.row)
    trainings = {(job.environment, repr(job.row), job.protocol) for name in protocol.EXPERIMENTS for job in protocol.jobs(name)}
    assert len(rows) == len(trainings)


@pytest.mark.parametrize(
    ("arguments", "named"), [(["fig99"], "fig99"), (["table1", "--env", "Pong"], "Pong"), (["table4", "--env", "Acrobot"], "Acrobot")]
)
def test_the_command_line_refuses_what_it_does_not_know_with_status_2(arguments, named, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["reproduce", *arguments, "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert named in capsys.readouterr().err


def test_all_of_one_environment_is_what_there_is_of_it(monkeypatch):
    ran = []
    monkeypatch.setattr(pipeline, "reproduce", lambda name, *_, environment, **__: ran.append((name, environment)))
    monkeypatch.setattr(offline_choice, "reproduce", lambda _, *, environment, **__: ran.append((offline_choice.NAME, environment)))
    monkeypatch.setattr(reruns, "reproduce", lambda _, *, environment, **__: ran.append((reruns.NAME, environment)))
    for environment in ("Acrobot", "CartPole"):
        main(["reproduce", "all", "--env", environment])
    studies = ["offline-choice", "perturbed"]
    expected = [(name, "Acrobot") for name in ("table1", "table2", "table3", "table7", "limit", "ends", "selection", "beyond", *studies)]
    assert ran == expected + [(name, "CartPole") for name in ("table1", "selection", "beyond", *studies)]
    with pytest.raises(SystemExit, match="2"):
        main(["reproduce", "all", "--env", "LunarLander"])


def test_a_stopped_command_says_that_it_goes_on(monkeypatch, capsys):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "reproduce", stopped)
    monkeypatch.setattr(ledger, "compare", stopped)
    assert main(["reproduce", "fig7"]) == 130 and "goes on" in capsys.readouterr().err
    assert main(["ledger"]) == 130 and capsys.readouterr().err == "stopped\n"


def test_time_limits_of_the_data_can_count_as_ends():
    data, plain = protocol.collected("Acrobot", (5,), time_limit_terminates=True), collect("Acrobot", (5,))
    (goal,) = np.flatnonzero(plain.terminated[0])  # this dataset reaches the goal once; its last episode is cut off by the size
    limits = [*range(499, goal, 500), *range(goal + 500, 10_000, 500)]
    assert goal % 500 != 499 and np.flatnonzero(data.terminated[0]).tolist() == sorted([goal, *limits])
    assert np.array_equal(data.observations, plain.observations) and np.array_equal(data.rewards, plain.rewards)
    assert data.provenance["time_limit_terminates"] and "time_limit_terminates" not in plain.provenance


def test_a_variation_changes_the_data_that_its_agents_learn_from(tmp_path, monkeypatch):
    seen = {}

    def spy(algorithm, data, **settings):
        seen[len(seen)] = data
        return train(algorithm, data, **settings)

    monkeypatch.setattr(pipeline, "train", spy)
    monkeypatch.setitem(variations.VARIATIONS, "reward", {"DQN-0.1": variations.VARIATIONS["reward"]["DQN-0.1"]})
    pipeline.reproduce("reward", tmp_path, quick=True)
    last, plain = seen[len(seen) - 1], collect("Pendulum", range(3))
    assert np.array_equal(last.rewards, np.float32(0.1) * plain.rewards)
    assert np.array_equal(last.observations, plain.observations)


def test_agents_with_a_shared_dataset_differ_in_their_seed_only(tmp_path, monkeypatch):
    monkeypatch.setitem(variations.VARIATIONS, "datasets", {"DQN-7": variations.VARIATIONS["datasets"]["DQN-7"]})
    (path,) = pipeline.reproduce("datasets", tmp_path, quick=True)
    curves = records.load(path)
    assert curves.seed.values.tolist() == [0, 1, 2]
    assert curves.attrs["dataset_digest"] == collect("Pendulum", [7]).digest


def test_the_papers_rule_reports_the_best_of_the_grid_on_the_seeds_that_chose_it_and_trains_it_once(tmp_path, monkeypatch):
    measured, evaluate = [], training.evaluate
    monkeypatch.setattr(training, "evaluate", lambda *arguments: measured.append(1) or evaluate(*arguments))
    monkeypatch.setattr(tuning, "PIECE", 200)
    name = "table1-Pendulum-DQN-target_rate=1"
    monkeypatch.setitem(variations.VARIATIONS, "selection", {name: variations.VARIATIONS["selection"][name]})
    (path,) = pipeline.reproduce("selection", tmp_path, quick=True)
    curves, tried = records.load(path), records.load(path.with_name(f"{path.stem}-tuning.nc")).to_dataframe()
    means = tried[tried.gradient_steps == 1_000].groupby("learning_rate").score.mean()
    assert curves.attrs["protocol"] == "grid" and curves.learning_rate.item() == means.idxmax()
    np.testing.assert_allclose(scores.average_over_training(curves.score).mean(), means.max(), rtol=1e-6)
    assert set(tried.seed) == set(curves.seed.values) == set(protocol.QUICK.seeds)
    assert len(measured) == tried[tried.seed == 0].gradient_steps.sum() / 200  # none for the report


def test_an_unknown_experiment_is_named_with_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="experiment='fig99'.*table1"):
        pipeline.reproduce("fig99", tmp_path)


def test_an_unknown_printed_score_is_named():
    with pytest.raises(KeyError, match="Seaquest"):
        paper.number("1", "Seaquest", "DQN", "target_rate=1")


def test_the_command_line_lists_every_experiment(capsys):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert all(f"{name}:" in printed for name in protocol.EXPERIMENTS)


def test_the_command_line_runs_where_hanq_is_not_installed(monkeypatch, capsys):
    def none(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("hanq.__main__.version", none)
    main(["list"])
    assert "table1" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert "not installed" in capsys.readouterr().out


@pytest.mark.parametrize("level", [1.0, 0.0, -1.0])
def test_another_level_of_the_rewards_moves_every_value_by_one_number(level):
    """Whatever the values of the next states are, what Bellman's equation makes of them moves as they do."""
    data = collect("CartPole", (3,), size=500)
    rewards = variations.rewards_at_level(data, level, 0.99)
    v = (level - 1) * 1.0 / (1 - 0.99)  # CartPole's rewards are 1
    next_values = np.random.default_rng(0).normal(size=data.rewards.shape)
    targets = data.rewards + 0.99 * ~data.terminated * next_values
    np.testing.assert_allclose(rewards + 0.99 * ~data.terminated * (next_values + v), targets + v, rtol=1e-5)
    np.testing.assert_allclose(rewards[~data.terminated], level, atol=1e-5)
    assert data.terminated.any()


def test_a_row_with_another_level_is_trained_on_such_rewards_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(variations.VARIATIONS, "beyond", {"DQN": variations.VARIATIONS["beyond"]["Pendulum-DQN-level--1.0"]})
    seen = []
    monkeypatch.setattr(pipeline, "train", lambda algorithm, data, **settings: seen.append(data) or train(algorithm, data, **settings))
    (path,) = pipeline.reproduce("beyond", tmp_path, quick=True)
    assert seen[0].rewards.mean() > 0 > collect("Pendulum", seen[0].seeds).rewards.mean()
    assert '"reward_level": -1.0' in records.load(path).attrs["dataset"]


def test_a_game_may_be_named_without_its_version():
    assert protocol.jobs("minatar", "MinAtar/Seaquest") == protocol.jobs("minatar", "MinAtar/Seaquest-v1")


def test_an_empty_name_of_an_environment_is_not_all_of_them():
    for experiment in ("all", "table1", "minatar"):
        with pytest.raises(SystemExit, match="2"):
            main(["reproduce", experiment, "--env", ""])
