"""Promise: Seaquest's command collects, trains, saves when it is stopped, and refuses bad arguments before it collects."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hanq
from hanq.__main__ import main
from hanq.atari import frames, training
from hanq.data.foundations import records
from hanq.engines import checkpoint


def test_the_command_collects_trains_and_goes_on(tmp_path, capsys):
    command = [
        "seaquest",
        "--algorithm",
        "HANQ-without-metapredictor",
        "--learning-rate",
        "1e-4",
        "1e-3",
        "--seed",
        "5",
        "--transitions",
        "60",
        "--batch-size",
        "2",
        "--eval-every",
        "1",
        "--eval-episodes",
        "1",
        "--eval-steps",
        "5",
        "--target-rate",
        "0.5",
        "--out",
        str(tmp_path),
    ]
    main([*command, "--steps", "1"])
    main([*command, "--steps", "2"])
    (result,) = tmp_path.glob("*.nc")
    assert result.name == "HANQ-without-metapredictor-learning_rate=0.0001,0.001-target_rate=0.5-seed=5-transitions=60.nc"
    assert str(result) in capsys.readouterr().out
    curves = hanq.load_run(result).curves
    assert curves.gradient_step.values.tolist() == [1, 2] and curves.seed.values.tolist() == [5]
    log = pd.read_csv(result.with_suffix(".csv"))
    np.testing.assert_allclose(
        log.set_index(["learning_rate", "gradient_step"]).msbe.loc[1e-3, 2], curves.msbe.values.ravel()[-1], rtol=1e-5
    )


def test_a_command_that_is_terminated_saves_what_it_has(tmp_path):
    counts = {"transitions": 60, "batch-size": 2, "eval-every": 2, "eval-episodes": 1, "eval-steps": 5}
    command = [sys.executable, "-m", "hanq", "seaquest", "--algorithm", "DQN", "--learning-rate", "1e-4", "--out", tmp_path]
    command += [part for name, count in counts.items() for part in (f"--{name}", str(count))]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    process = subprocess.Popen(command, cwd=Path(hanq.__file__).parents[1], env=environment, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("*.csv")):  # the first evaluation is over
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait() != 0
    (path,) = tmp_path.glob("*.checkpoint")
    state, history, _ = checkpoint.load(path, {})
    assert state.gradient_step >= 2 and len(history["msbe"]) == state.gradient_step // 2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--learning-rate", "-1"], "learning_rate=-1.0"),
        (["--target-rate", "2"], "target_rate=2.0"),
        (["--steps", "5", "--eval-every", "10000"], "eval_every=10000 is more than gradient_steps=5"),
        (["--transitions", "0"], "transitions=0"),
        (["--device", "tpu"], "device='tpu'"),
        (["--precision", "half"], "precision='half'"),
        (["--seed", "-3"], "seeds=(-3,)"),
    ],
)
def test_a_bad_argument_ends_the_command_with_its_name(tmp_path, capsys, arguments, named):
    with pytest.raises(SystemExit) as ended:
        main(["seaquest", "--algorithm", "DQN", "--learning-rate", "1e-4", "--out", str(tmp_path), *arguments])
    assert ended.value.code == 2 and named in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.frames"))  # nobody waited for a collection


SMALL = {"steps": 2, "batch-size": 2, "eval-every": 1, "eval-episodes": 1, "eval-steps": 5, "transitions": 60}


def seaquest(folder, **changes):
    counts = [part for name, count in (SMALL | changes).items() for part in (f"--{name}", str(count))]
    return ["seaquest", "--algorithm", "HANQ", "--learning-rate", "1e-4", "--out", str(folder), *counts]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    main(seaquest(folder))
    return folder


@pytest.fixture
def nothing_done(monkeypatch):
    """Neither collecting nor training is possible."""
    monkeypatch.setattr(frames, "collect", lambda *_: 1 / 0)
    monkeypatch.setattr(training, "train_on_frames", lambda *_, **__: 1 / 0)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"steps": 1}, "gradient_steps=2 where gradient_steps=1"),
        ({"batch-size": 3}, "batch_size=2 where batch_size=3"),
        ({"eval-episodes": 2}, "eval_episodes=1 where eval_episodes=2"),
        ({"eval-steps": 6}, "eval_steps=5 where eval_steps=6"),
        ({"eval-every": 2}, "eval_every=1 where eval_every=2"),
        ({"steps": 4, "batch-size": 3}, "batch_size=2 where batch_size=3"),  # longer, but another
    ],
)
def test_a_finished_file_is_not_replaced_by_a_shorter_or_another_training(finished, nothing_done, capsys, changes, named):
    before = {path: path.read_bytes() for path in finished.iterdir() if path.is_file()}
    with pytest.raises(SystemExit, match="2"):
        main(seaquest(finished, **changes))
    assert re.search(rf"seed=0-transitions=60.nc' holds .*{named} is asked for: use another folder", capsys.readouterr().err)
    assert {path: path.read_bytes() for path in finished.iterdir() if path.is_file()} == before


def test_a_finished_file_is_taken_though_algorithms_have_more_fields_now(finished, nothing_done, tmp_path, capsys):
    (path,) = finished.glob("*.nc")
    run = records.load(path)
    network, algorithm = json.loads(run.attrs["network"]), json.loads(run.attrs["algorithm"])
    del network["algorithm"]["rate_form"], algorithm["rate_form"]
    records.save(run.assign_attrs(network=json.dumps(network), algorithm=json.dumps(algorithm)), tmp_path / path.name)
    main(seaquest(tmp_path))
    assert "after 2 gradient steps" in capsys.readouterr().out


def test_a_short_command_is_evaluated_at_its_end(tmp_path):
    command = seaquest(tmp_path)
    where = command.index("--eval-every")
    main([*command[:where], *command[where + 2 :]])
    (path,) = tmp_path.glob("*.nc")
    assert hanq.load_run(path).curves.gradient_step.values.tolist() == [2]
