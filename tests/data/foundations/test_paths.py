"""Promise: `~` is the home folder wherever a path comes in, and what is no path is refused by name."""

import numpy as np
import pytest
from helpers import DQN, TORCH, names, small_pendulum

import hanq
from hanq.__main__ import main
from hanq.atari import frames
from hanq.data.foundations import records
from hanq.reproduction import ledger, paper, pipeline

SMALL = dict(learning_rate=1e-2, gradient_steps=4, eval_every=2, eval_episodes=1, batch_size=8) | TORCH


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    yield tmp_path / "home"
    assert names(tmp_path) == ["home"]  # and no folder named ~


def test_runs_datasets_and_checkpoints_are_found_in_the_home_folder(home):
    run = hanq.train(DQN, small_pendulum(), checkpoint="~/a/c", **SMALL)
    run.save("~/x/run.nc")
    small_pendulum().save("~/x/data.nc")
    assert hanq.load_run("~/x/run.nc").curves.equals(run.curves) and hanq.load_dataset("~/x/data.nc").digest == small_pendulum().digest
    assert (names(home / "a"), names(home / "x")) == (["c"], ["data.nc", "run.nc"])
    hanq.train(DQN, small_pendulum(), checkpoint="~/a/c", **SMALL | {"gradient_steps": 6})  # goes on


def test_results_are_written_to_and_read_from_the_home_folder(home, capsys):
    (path,) = pipeline.reproduce("fig7", "~/out", quick=True, engine="torch")
    assert path == home / "out" / "fig7" / "HSSAQ-quick.nc"
    assert paper.result("fig7-HSSAQ-quick", "~/out").equals(records.load(path))
    assert len(ledger.compare("~/out")) == 99
    main(["reproduce", "fig7", "--quick", "--out", "~/out"])
    main(["ledger", "--results", "~/out"])
    assert "all of its 1 results are in" in capsys.readouterr().out


def test_seaquests_files_are_in_the_home_folder(home):
    small = [
        "--learning-rate",
        "1e-4",
        "--seed",
        "5",
        "--transitions",
        "60",
        "--batch-size",
        "2",
        "--steps",
        "1",
        "--eval-episodes",
        "1",
        "--eval-steps",
        "5",
    ]
    main(["seaquest", "--algorithm", "DQN", "--out", "~/s", *small])
    main(["table5", "--row", "DQN-LN", "--work", "~/s", "--out", "~/t", *small])
    assert {"frames", "DQN-learning_rate=0.0001-seed=5-transitions=60.csv"} < set(names(home / "s"))
    assert names(home / "t" / "seaquest") == ["DQN-LN.nc"]
    assert frames.collect("~/s/frames", [5], 60).size == 60


@pytest.mark.parametrize(("value", "error"), [("~nobody-of-this-name/c", ValueError), (3, TypeError), (b"c", TypeError)])
def test_what_is_no_path_is_refused_by_name(value, error):
    with pytest.raises(error, match="checkpoint="):
        hanq.train(DQN, small_pendulum(), checkpoint=value, **SMALL)
    with pytest.raises(error, match="path="):
        small_pendulum().save(value)


@pytest.mark.parametrize("bad", ["", "\0", ".", ".."])
def test_what_names_no_file_is_refused_by_name(bad, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="^path='.*' (is no path|names no file): "):
        small_pendulum().save(bad)
    with pytest.raises(ValueError, match="^checkpoint='.*' (is no path|names no file): "):
        hanq.train(DQN, small_pendulum(), checkpoint=bad, **SMALL)
    assert names(tmp_path) == []


def test_an_empty_folder_is_not_the_present_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="^folder='' is no path: "):
        hanq.collect("Pendulum", [0], size=20, folder="")
    assert names(tmp_path) == []


def test_an_array_is_no_path_whatever_it_holds():
    with pytest.raises(TypeError, match="^path=array.* is not a path: use a str or a pathlib.Path"):
        small_pendulum().save(np.array(["a", "b"]))
