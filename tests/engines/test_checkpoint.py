"""Promise: a run that was killed goes on to bit-identical curves; a wrong checkpoint is refused by name."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import DQN, HANQ, TORCH, small_pendulum
from safetensors import safe_open
from safetensors.numpy import save_file

import hanq
from hanq.engines import checkpoint as checkpoints
from hanq.training import train as training

USUAL = dict(learning_rate=[1e-2, 1e-3], hyper_lr=0.1, target_rate=0.5, batch_size=8, eval_every=4, eval_episodes=1) | TORCH


def train(path=None, *, algorithm=HANQ, data=None, gradient_steps=24, **changes):
    data = data or small_pendulum()
    return hanq.train(algorithm, data, gradient_steps=gradient_steps, checkpoint=path, **USUAL | changes)


def assert_same(one, other):
    for name in one.curves.variables:
        np.testing.assert_array_equal(one.curves[name].values, other.curves[name].values, err_msg=name)
    np.testing.assert_array_equal(one.parameters.values, other.parameters.values)


class Killed(Exception):
    pass


def interrupt(monkeypatch, call, error):
    """Make the evaluation of that number fail with `error`."""
    calls, evaluate = [], training.evaluate

    def failing(*arguments):
        calls.append(None)
        if len(calls) == call:
            raise error
        return evaluate(*arguments)

    monkeypatch.setattr(training, "evaluate", failing)


@pytest.mark.parametrize("error", [KeyboardInterrupt, Killed])
@pytest.mark.parametrize("call", [1, 2, 5])
def test_an_interrupted_run_goes_on_to_the_same_curves(tmp_path, monkeypatch, call, error):
    path = tmp_path / "run.checkpoint"
    with monkeypatch.context() as patch:
        interrupt(patch, call, error)
        with pytest.raises(error):
            train(path)
    state, history, _ = checkpoints.load(path, {})
    assert 0 <= state.gradient_step < 4 * call and len(history["msbe"]) == call - 1
    assert_same(train(path), train())


def test_a_run_between_two_evaluations_goes_on_to_the_same_curves(tmp_path):
    train(tmp_path / "c", gradient_steps=10)  # two steps past the second evaluation
    assert_same(train(tmp_path / "c"), train())


def test_a_finished_run_is_given_back_from_its_checkpoint(tmp_path, monkeypatch):
    first = train(tmp_path / "c")
    monkeypatch.setattr("hanq.engines.torch_engine.TorchEngine.advance", None)  # no step is taken
    again = train(tmp_path / "c")
    assert_same(again, first)
    assert again.curves.attrs["wall_seconds"] == first.curves.attrs["wall_seconds"]


def test_the_seconds_of_all_parts_are_added(tmp_path):
    first = train(tmp_path / "c", gradient_steps=12).curves.attrs["wall_seconds"]
    assert train(tmp_path / "c").curves.attrs["wall_seconds"] > first


KILLED = """
import sys, hanq
from hanq.training import segments, train
train.CHECKPOINT_SECONDS = segments.SEGMENT_SECONDS = 0.02
data = hanq.load_dataset(sys.argv[1])
hanq.train(hanq.HANQ, data, learning_rate=1e-2, hyper_lr=0.1, gradient_steps=10**7, eval_every=50, batch_size=8,
           eval_episodes=1, engine="torch", progress=False, checkpoint=sys.argv[2])
"""


def test_a_run_that_was_killed_goes_on_to_the_same_curves(tmp_path):
    data, path = small_pendulum().sel([1, 3]), tmp_path / "killed"
    data.save(tmp_path / "data.nc")
    environment = os.environ | {"PYTHONPATH": str(Path(hanq.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / "data.nc", path], env=environment)
    try:
        written = set()
        while len(written) < 3:  # well after the first checkpoint, at a moment of nobody's choosing
            assert process.poll() is None
            time.sleep(0.01)
            if path.exists():
                written.add(path.stat().st_mtime_ns)
    finally:
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    reached = checkpoints.load(path, {})[0].gradient_step
    assert reached > 0
    settings = (
        dict(learning_rate=1e-2, hyper_lr=0.1, gradient_steps=50 * (reached // 50 + 2), eval_every=50, batch_size=8, eval_episodes=1)
        | TORCH
    )
    resumed = hanq.train(hanq.HANQ, data, checkpoint=path, **settings)
    assert_same(resumed, hanq.train(hanq.HANQ, data, **settings))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.99])
def test_a_truncated_checkpoint_is_refused_and_left_alone(tmp_path, share):
    path = tmp_path / "short"
    train(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"checkpoint=.*short.* is truncated, damaged or"):
        train(path)
    assert path.read_bytes() == whole[: int(share * len(whole))]


def test_a_flipped_byte_anywhere_is_refused(tmp_path):
    path = tmp_path / "flipped"
    train(path)
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(len(whole), size=25):
        changed = bytearray(whole)
        changed[place] ^= 0x10
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="checkpoint=.*flipped"):
            checkpoints.load(path, {})


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("hello")
    save_file({"x": np.zeros(3)}, tmp_path / "weights")
    save_file({"x": np.zeros(3)}, tmp_path / "described", {"format": "pt"})
    for name in ("folder", "text", "weights", "described"):
        with pytest.raises(ValueError, match=f"checkpoint=.*{name}"):
            train(tmp_path / name)


def other_data():
    data = small_pendulum()
    return replace(data, rewards=data.rewards + 1)


OTHERS = {
    "algorithm": lambda: dict(algorithm=replace(HANQ, hyperobjective="semi")),
    "learning_rate": lambda: dict(learning_rate=[1e-2, 2e-3]),
    "hyper_lr": lambda: dict(hyper_lr=0.2),
    "target_rate": lambda: dict(target_rate=1.0),
    "discount": lambda: dict(discount=0.9),
    "weight_decay": lambda: dict(weight_decay=0.1),
    "batch_size": lambda: dict(batch_size=9),
    "eval_every": lambda: dict(eval_every=6),
    "eval_episodes": lambda: dict(eval_episodes=2),
    "eval_velocity": lambda: dict(eval_velocity=2.0),
    "dataset": lambda: dict(data=other_data()),
    "seed": lambda: dict(data=small_pendulum().sel([3, 2, 1, 0])),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_runs_checkpoint_is_refused_naming_what_differs(tmp_path, name):
    path = tmp_path / "theirs"
    train(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"checkpoint=.*theirs.* belongs to a run with another .*{name}.*: use another path"):
        train(path, **OTHERS[name]())
    assert path.read_bytes() == before


@pytest.mark.filterwarnings("ignore:the dataset names no environment")
def test_a_checkpoint_of_the_same_data_with_another_environment_or_action_count_is_refused(tmp_path):
    data = small_pendulum()
    train(tmp_path / "c")
    with pytest.raises(ValueError, match="another eval_velocity, environment"):
        train(tmp_path / "c", data=replace(data, environment=None))
    with pytest.raises(ValueError, match="action_count"):
        train(tmp_path / "c", data=replace(data, environment=None, action_count=5))
    with pytest.raises(ValueError, match="action_labels"):
        train(tmp_path / "c", data=replace(data, action_labels=(2, 1, 0)))


def test_fields_without_effect_do_not_make_another_run(tmp_path):
    train(tmp_path / "c", algorithm=DQN)
    train(tmp_path / "c", algorithm=replace(DQN, symmetric=True, predictor_norm="l2"))


def test_a_checkpoint_beyond_the_steps_asked_for_is_refused(tmp_path):
    train(tmp_path / "c", gradient_steps=24)
    with pytest.raises(ValueError, match="is at gradient step 24: use at least as many gradient_steps, not 12"):
        train(tmp_path / "c", gradient_steps=12)


def test_a_missing_folder_is_made(tmp_path):
    train(tmp_path / "new" / "folder" / "c")
    assert (tmp_path / "new" / "folder" / "c").is_file()
    assert [each.name for each in (tmp_path / "new" / "folder").iterdir()] == ["c"]


def test_a_write_that_fails_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    train(tmp_path / "c", gradient_steps=8)

    def broken(arrays, target, metadata):
        target.write_bytes(b"half")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save_file", broken)
        with pytest.raises(OSError, match="disk full"):
            train(tmp_path / "c")
    assert checkpoints.load(tmp_path / "c", {})[0].gradient_step == 8
    assert_same(train(tmp_path / "c"), train())


def test_a_checkpoint_that_lacks_a_part_is_refused_by_name(tmp_path):
    train(tmp_path / "c", gradient_steps=4)
    with safe_open(tmp_path / "c", framework="numpy") as file:
        texts, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
    del arrays["state.target_rest"], texts[checkpoints.CHECKSUM]
    checkpoints.save_file(arrays, tmp_path / "c", texts | {checkpoints.CHECKSUM: checkpoints.digest(arrays, texts)})
    with pytest.raises(ValueError, match="checkpoint='.*' is of another version of hanq, for it lacks target_rest: use another path"):
        train(tmp_path / "c")


def test_a_longer_training_by_default_is_told_which_argument_goes_on(tmp_path):
    settings = {name: value for name, value in USUAL.items() if name != "eval_every"}
    hanq.train(HANQ, small_pendulum(), gradient_steps=4, checkpoint=tmp_path / "c", **settings)
    with pytest.raises(ValueError, match="another eval_every: use another path, or give the same to go on"):
        hanq.train(HANQ, small_pendulum(), gradient_steps=8, checkpoint=tmp_path / "c", **settings)
    longer = hanq.train(HANQ, small_pendulum(), gradient_steps=8, eval_every=4, checkpoint=tmp_path / "c", **settings)
    assert longer.curves.gradient_step.values.tolist() == [4, 8]
