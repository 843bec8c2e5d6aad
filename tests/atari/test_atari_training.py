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
from hanq.atari import bench, evaluation, game, training
from hanq.atari.evaluation import Evaluation, bellman_error, greedy, play
from hanq.atari.network import seaquest_network
from hanq.engines.population import initial_parameters, initial_state
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


def fixed_players(network, actions):
    """Parameters (len(actions), network.size) of agents that always take one action."""
    params = np.zeros((len(actions), network.size), np.float32)
    network.views(params)["head.bias"][np.arange(len(actions)), actions] = 1
    return torch.as_tensor(params)


def test_a_game_is_played_to_its_end_across_lives_for_unclipped_points():
    """Two players who each press one button, against the emulator told to press it."""
    buttons, starts = [5, 9], np.array([[11], [12]])
    network = seaquest_network(hanq.DQN, 18)
    env = game.make(2)
    returns = play(env, network, fixed_players(network, buttons), starts)
    plain = game.make(1)
    for i, button in enumerate(buttons):
        _, (lives,) = game.start(plain, starts[i])
        total, over, lost = 0, False, 0
        while not over:
            _, (reward,), (over,), _, info = plain.step(np.array([button]))
            lost += info["lives"][0] < lives
            (lives,) = info["lives"]
            total += reward
        assert returns[i] == total > 20 and lost == 4
    env.close()
    plain.close()


def test_a_game_is_cut_off_at_the_horizon_and_its_start_is_a_function_of_the_seed():
    network = seaquest_network(hanq.HANQ, 18)
    params = torch.as_tensor(initial_parameters(network, [0]))
    seen = []

    class Seen(type(game.make(1))):
        def step(self, actions):
            result = super().step(actions)
            seen.append(result[0])
            return result

    env = game.make(2, horizon=10)
    env.__class__ = Seen
    play(env, network, params, np.array([[5, 6]]))
    first, seen[:] = np.stack(seen), []
    assert len(first) == 2 + 10  # FIRE and UP come first
    play(env, network, params, np.array([[5, 6]]))
    assert np.array_equal(np.stack(seen), first)
    env.close()


def test_greedy_takes_the_first_best_action_and_0_where_q_is_not_finite():
    nan, inf = float("nan"), float("inf")
    assert greedy(torch.tensor([[1.0, 3, 3], [nan, 1, 2], [0, inf, 1], [-2, -1, -3]])).tolist() == [1, 0, 0, 1]


def test_two_evaluations_of_one_state_agree_and_games_start_by_seed_and_step(monkeypatch):
    agents = some_agents([1, 2])
    engine = some_engine(hanq.DQN_LN, agents)
    measure, state = Evaluation(engine, 2, 12), initial_state(engine.network, agents)
    one, again = measure(state), measure(state)
    for name in ("return_", "msbe", "scale"):
        np.testing.assert_array_equal(one[name], again[name])
    np.testing.assert_array_equal(one["scale"], 1)
    starts = []
    monkeypatch.setattr(evaluation, "play", lambda env, network, params, seeds: starts.append(seeds) or np.zeros((2, 2)))
    for step in (0, 1):
        measure(state._replace(gradient_step=step))
    assert len(np.unique(starts)) == 8  # two steps, two agents, two games


@pytest.mark.parametrize("name", ["DQN", "HANQ"])
def test_msbe_is_that_of_q_alone_on_a_fixed_sample_of_each_agents_own_data(name, monkeypatch):
    monkeypatch.setattr(evaluation, "SAMPLE", 150)
    monkeypatch.setattr(evaluation, "CHUNK", 40)
    agents = some_agents([2, 1], discount=0.9)
    engine = some_engine(getattr(hanq, name), agents)
    params = torch.as_tensor(initial_parameters(engine.network, [7, 8]))
    error, scale = bellman_error(engine, params)
    for i, seed in enumerate(agents.seeds):
        data = small_frames().members[seed - 1]
        index = hanq.data.foundations.generator.minibatch([seed], [0], 400, 150)[0, 0]
        assert data.terminated[index].any()
        weights = engine.network.views(params[i : i + 1])

        def q(stacks, weights=weights):
            stacks = torch.as_tensor(stacks)[None]
            return hanq.reference.q_values(engine.network, weights, hanq.reference.hidden(engine.network, weights, stacks))[0]

        target = data.rewards[index] + 0.9 * ~data.terminated[index] * q(data.next_observations(index)).amax(1).numpy()
        taken = q(data.observations(index)).numpy()[np.arange(150), data.actions[index]]
        assert error[i] == pytest.approx(np.mean((taken - target) ** 2), rel=1e-4)
    assert (scale == 1).all() if name == "DQN" else (np.abs(scale - 1) < 0.5).all() and (scale != 1).all()


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
