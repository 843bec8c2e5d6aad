"""Promise: training on Seaquest can stop at any time and goes on to the same curves; games are scored whole."""

import json
import os
import platform
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from atari_problem import small_frames, some_agents, some_engine

import hanq
from hanq.atari import bench, evaluation, training
from hanq.atari.evaluation import Evaluation
from hanq.atari.network import seaquest_network
from hanq.engines.population import initial_state
from hanq.engines.torch_engine import to_numpy

TINY = dict(learning_rate=1e-4, hyper_lr=0.1, batch_size=4, eval_every=2, eval_episodes=1, eval_steps=15, progress=False)


@pytest.fixture(autouse=True)
def small_sample(monkeypatch):
    monkeypatch.setattr(evaluation, "SAMPLE", 16)


def train(gradient_steps=4, algorithm=hanq.HANQ, **changes):
    return training.train_on_frames(algorithm, small_frames(), gradient_steps=gradient_steps, **TINY | changes)


def assert_same(one, other):
    for name in one.curves.variables:
        np.testing.assert_array_equal(one.curves[name].values, other.curves[name].values, err_msg=name)
    np.testing.assert_array_equal(one.parameters, other.parameters)


@pytest.fixture(scope="module")
def uninterrupted():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "SAMPLE", 16)
        return train()


class Killed(Exception):
    pass


@pytest.mark.parametrize("call", [1, 2])
def test_an_interrupted_run_goes_on_to_the_same_curves(tmp_path, monkeypatch, uninterrupted, call):
    calls = []

    class Failing(Evaluation):
        def __call__(self, state):
            calls.append(state.gradient_step)
            if len(calls) == call:
                raise Killed
            return super().__call__(state)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(training, "Evaluation", Failing)
        train(checkpoint=tmp_path / "c")
    assert calls == [2, 4][:call]
    assert_same(train(checkpoint=tmp_path / "c"), uninterrupted)


def test_a_run_between_two_evaluations_goes_on_to_the_same_curves(tmp_path, uninterrupted):
    train(gradient_steps=3, checkpoint=tmp_path / "c")
    assert_same(train(checkpoint=tmp_path / "c"), uninterrupted)


def test_curves_are_labelled_as_hanq_trains_are_and_say_where_they_come_from(uninterrupted):
    assert uninterrupted.parameters.sizes["parameter"] == seaquest_network(hanq.HANQ, 18).size == uninterrupted.network.size
    uninterrupted = uninterrupted.curves
    assert uninterrupted.score.sizes == dict(
        learning_rate=1, hyper_lr=1, target_rate=1, discount=1, weight_decay=1, seed=2, gradient_step=2
    )
    assert set(uninterrupted.data_vars) == {"score", "return_", "msbe", "effective_learning_rate", "scale"}
    assert uninterrupted.sel(learning_rate=1e-4, seed=2).gradient_step.values.tolist() == [2, 4]
    np.testing.assert_allclose(uninterrupted.score, 100 * uninterrupted.return_ / 300)
    assert np.isfinite(uninterrupted.msbe).all() and (uninterrupted.scale != 1).all()
    assert {
        "command",
        "commit",
        "versions",
        "machine",
        "dataset",
        "dataset_digest",
        "precision",
        "device",
        "wall_seconds",
        "msbe_sample",
        "batch_size",
    } <= set(uninterrupted.attrs)
    assert json.loads(uninterrupted.attrs["algorithm"])["predictor"] == "meta"


def test_its_policy_is_the_agents_q_values_of_stacks(uninterrupted):
    policy, stacks = uninterrupted.policy(seed=2), torch.as_tensor(small_frames().members[1].observations(np.arange(6)))
    network, params = uninterrupted.network, torch.as_tensor(uninterrupted.parameters.sel(seed=2).values.reshape(1, -1))
    weights = network.views(params)
    expected = hanq.reference.q_values(network, weights, hanq.reference.hidden(network, weights, stacks[None]))[0]
    torch.testing.assert_close(policy(stacks), expected)
    assert policy(stacks.reshape(2, 3, 4, 84, 84)).shape == (2, 3, 18) and policy(stacks[0].numpy()).shape == (18,)
    for wrong in (stacks[:, :3], stacks[0, 0]):
        with pytest.raises(ValueError, match=r"observations has shape .*: use \(\.\.\., 4, height, width\)"):
            policy(wrong)


def test_a_checkpoint_of_another_run_is_refused_by_name(tmp_path):
    train(gradient_steps=2, checkpoint=tmp_path / "c")
    with pytest.raises(ValueError, match="another precision"):
        train(checkpoint=tmp_path / "c", precision="bfloat16")
    with pytest.raises(ValueError, match="another algorithm"):
        train(checkpoint=tmp_path / "c", algorithm=replace(hanq.HANQ, hyperobjective="semi"))


def test_what_is_no_algorithm_or_no_frames_is_refused():
    with pytest.raises(TypeError, match="algorithm='HANQ' is not an Algorithm"):
        train(algorithm="HANQ")
    with pytest.raises(TypeError, match="dataset=3 is not a FrameDataset"):
        training.train_on_frames(hanq.HANQ, 3, learning_rate=1e-4)


def test_bfloat16_is_nearly_float32_and_leaves_no_setting_behind(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.is_autocast_enabled("cpu")
    agents = some_agents([1])
    states = []
    for precision in ("float32", "bfloat16"):
        engine = some_engine(hanq.HANQ, agents, precision=precision)
        states.append(to_numpy(engine.advance(initial_state(engine.network, agents), 1)))
    ours, theirs = (state.first_moment[0] for state in states)  # a tenth of the gradient
    assert ours.dtype == theirs.dtype == np.float32 and not np.array_equal(ours, theirs)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99
    assert before == (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.is_autocast_enabled("cpu"))


def resident_megabytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps what is freed")
def test_freed_memory_below_something_that_stays_is_given_back():
    arrays = [np.ones(12_500) for _ in range(3_000)]  # 100 kB each
    stays = arrays.pop()
    del arrays
    before = resident_megabytes()
    training.release_memory()
    assert resident_megabytes() < before - 200 and stays.all()


def test_memory_is_released_every_so_many_steps(monkeypatch):
    released = []
    monkeypatch.setattr(training, "RELEASE_STEPS", 3)
    monkeypatch.setattr(training, "release_memory", lambda: released.append(1))
    train(gradient_steps=7, eval_every=7)
    assert 1 <= len(released) <= 2  # two of the seven steps complete three, in one advance or in two


def test_the_benchmark_times_both_sides(monkeypatch):
    monkeypatch.setattr(bench, "BATCH", 2)
    assert bench.steps_a_second(*bench.population(hanq.HANQ, small_frames(), torch.device("cpu"), hyper_lr=0.1), seconds=0.01) > 0
    assert bench.matmul_gflops(torch.device("cpu"), size=64) > 0


def test_what_a_call_costs_by_itself_is_not_in_the_speed_of_a_step():
    class Slow:
        def advance(self, state, steps):
            time.sleep(0.05 + 0.001 * steps)
            return state

    assert 700 < bench.steps_a_second(Slow(), "state", seconds=0.4) < 1_000  # two steps a call would show 38
