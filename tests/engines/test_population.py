"""Promise: agents share nothing; no matter which others are trained, an agent's numbers stay the same, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import ALGORITHMS, DQN, HANQ, TORCH, small_pendulum

import hanq
from hanq.data.dataset import DIMS

RATES, KAPPAS = [1e-2, 1e-3], [0.0, 0.1]
SHORT = dict(gradient_steps=8, eval_every=4, eval_episodes=1, batch_size=16) | TORCH


def train(algorithm, data, **changes):
    return hanq.train(algorithm, data, **dict(learning_rate=RATES, hyper_lr=KAPPAS) | SHORT | changes)


def assert_same(one, other):
    """Bit-identical parameters and curves, apart from the provenance."""
    for name in one.curves.data_vars:
        np.testing.assert_array_equal(one.curves[name].values, other.curves[name].values, err_msg=name)
    np.testing.assert_array_equal(one.parameters.values, other.parameters.values)


def part(run, **where):
    where = {name: [value] for name, value in where.items()}
    return hanq.Run(run.network, run.curves.sel(where), run.parameters.sel(where))


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS.keys())
def test_training_one_agent_alone_changes_nothing(algorithm):
    together = train(algorithm, small_pendulum())
    alone = train(algorithm, small_pendulum().sel([2]), learning_rate=1e-3, hyper_lr=0.1)
    assert_same(part(together, seed=2, learning_rate=1e-3, hyper_lr=0.1), alone)


@pytest.mark.parametrize(
    ("algorithm", "threads"), [(hanq.DQN, 1), (hanq.HANQ, 1), (replace(hanq.HANQ, hidden_layers=2), 2)], ids=["DQN", "HANQ", "deep"]
)
def test_training_one_agent_alone_changes_nothing_at_the_papers_size(algorithm, threads):
    torch.set_num_threads(threads)
    try:
        size = dict(gradient_steps=4, eval_every=4, batch_size=128, learning_rate=1e-2, hyper_lr=0.1)
        together = train(algorithm, small_pendulum(), **size)
        alone = train(algorithm, small_pendulum().sel([3]), **size)
    finally:
        torch.set_num_threads(1)
    assert_same(part(together, seed=3), alone)


def test_permuting_agents_permutes_results():
    data = small_pendulum()
    forwards, backwards = train(HANQ, data), train(HANQ, data.sel([3, 1, 0, 2]), learning_rate=RATES[::-1], hyper_lr=KAPPAS[::-1])
    for seed in data.seeds:
        for rate in RATES:
            for kappa in KAPPAS:
                where = dict(seed=seed, learning_rate=rate, hyper_lr=kappa)
                assert_same(part(forwards, **where), part(backwards, **where))


def test_no_two_agents_end_alike():
    run = train(HANQ, small_pendulum(), discount=[0.9, 0.99], target_rate=[1.0, 0.1], weight_decay=[0.0, 0.1])
    parameters = run.parameters.values.reshape(-1, run.network.size)
    assert len(np.unique(parameters, axis=0)) == len(parameters) == 2**5 * 4


def test_each_grid_value_reaches_the_agents_that_carry_its_label():
    """Each agent of a full grid equals the same numbers given alone: no axis is mixed with another."""
    axes = dict(learning_rate=[1e-2, 1e-3], hyper_lr=[0.0, 0.1], target_rate=[1.0, 0.1], discount=[0.5, 0.9], weight_decay=[0, 0.1])
    data = small_pendulum().sel([1, 2])
    grid = train(HANQ, data, **axes)
    for name, values in axes.items():
        point = {axis: other[0] for axis, other in axes.items()} | {name: values[1]}
        assert_same(part(grid, seed=2, **point), train(HANQ, data.sel([2]), **point))


def test_agents_with_another_seed_differ_even_on_the_same_data():
    run = train(DQN, small_pendulum().sel([0]), seeds=[5, 6])
    assert (run.parameters.sel(seed=5).values != run.parameters.sel(seed=6).values).mean() > 0.9


def test_agents_of_one_seed_share_minibatches_and_starts_whatever_their_algorithm():
    """One step at a rate of almost 0: Q-values of DQN and SSAQ come from the same weights and episodes."""
    tiny = dict(learning_rate=1e-12, hyper_lr=0.0, gradient_steps=1, eval_every=1)
    one, other = (train(algorithm, small_pendulum(), **tiny) for algorithm in (DQN, ALGORITHMS["SSAQ"]))
    np.testing.assert_array_equal(one.curves.return_, other.curves.return_)
    np.testing.assert_array_equal(one.curves.msbe, other.curves.msbe)


def test_a_shared_dataset_is_what_everybody_learns_from():
    data = small_pendulum()
    shared = train(DQN, data.sel([3]), seeds=[0, 3])
    own = train(DQN, data)
    assert_same(part(shared, seed=3), part(own, seed=3))
    copied = {name: np.repeat(getattr(data.sel([3]), name), 2, axis=0) for name in DIMS}
    twice = replace(data, **copied, seeds=np.array([0, 3]))
    assert_same(shared, train(DQN, twice))


def test_training_in_segments_of_any_length_changes_nothing(monkeypatch):
    usual = train(HANQ, small_pendulum())
    monkeypatch.setattr("hanq.training.segments.SEGMENT_SECONDS", 0.0)  # one step at a time
    assert_same(usual, train(HANQ, small_pendulum()))


def test_how_often_agents_are_evaluated_does_not_change_what_they_learn():
    often, rarely = train(HANQ, small_pendulum(), eval_every=1), train(HANQ, small_pendulum(), eval_every=8, eval_episodes=3)
    np.testing.assert_array_equal(often.parameters.values, rarely.parameters.values)


def test_training_again_gives_the_same_run():
    assert_same(train(HANQ, small_pendulum()), train(HANQ, small_pendulum()))
