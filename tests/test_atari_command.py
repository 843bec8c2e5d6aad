"""Promise: Seaquest's command collects, trains, saves when it is stopped, and refuses bad arguments before it collects."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hanq
from hanq import checkpoint
from hanq.__main__ import main


def test_the_command_collects_trains_and_goes_on(tmp_path, capsys):
    command = ["seaquest", "--algorithm", "HANQ-without-metapredictor", "--learning-rate", "1e-4", "1e-3", "--seed", "5",
               "--transitions", "60", "--batch-size", "2", "--eval-every", "1", "--eval-episodes", "1", "--eval-steps", "5",
               "--target-rate", "0.5", "--out", str(tmp_path)]  # fmt: skip
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


@pytest.mark.parametrize(("arguments", "named"), [
    (["--learning-rate", "-1"], "learning_rate=-1.0"),
    (["--target-rate", "2"], "target_rate=2.0"),
    (["--steps", "5", "--eval-every", "10000"], "eval_every=10000 is more than gradient_steps=5"),
    (["--transitions", "0"], "transitions=0"),
    (["--device", "tpu"], "device='tpu'"),
    (["--precision", "half"], "precision='half'"),
    (["--seed", "-3"], "seeds=[-3]"),
])  # fmt: skip
def test_a_bad_argument_ends_the_command_with_its_name(tmp_path, capsys, arguments, named):
    with pytest.raises(SystemExit) as ended:
        main(["seaquest", "--algorithm", "DQN", "--learning-rate", "1e-4", "--out", str(tmp_path), *arguments])
    assert ended.value.code == 2 and named in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.frames"))  # nobody waited for a collection
