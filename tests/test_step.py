"""Promise: a gradient step is Adam's, and a population's agents train as plain ones do."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import ALGORITHMS, DQN, HANQ, SSAQ, TORCH, first_state, float64_agents, problem, random_batch, small_pendulum
from plain import training as plain_training
from stepping import assert_equals_plain, close, trained

import hanq
from hanq.data.foundations.generator import minibatch
from hanq.engines.population import initial_parameters
from hanq.reference import Batch, step


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS.keys())
def test_training_equals_a_plain_agent_with_torch_adam_and_autograd_hypergradients(algorithm):
    generator = torch.Generator().manual_seed(2)
    network, params, *_ = problem(algorithm)
    kappa = 1e-4 if algorithm.rate_form == "plain" else 0.1  # a plain step of 0.1 makes the weights overflow
    agents = float64_agents(
        learning_rate=[1e-2, 3e-3, 1e-3], hyper_lr=[0.0, kappa, kappa / 10], target_rate=[1.0, 0.3, 0.05], discount=[0.9, 0.95, 0.99]
    )
    batches = [random_batch(generator, 3) for _ in range(12)]
    assert_equals_plain(network, agents, params, batches, [1.0, 0.3, 0.05])


def test_adam_equals_torch_adam_over_50_steps_with_and_without_weight_decay():
    generator = torch.Generator().manual_seed(3)
    network, params, *_ = problem(DQN)
    agents = float64_agents(learning_rate=[1e-2] * 3, weight_decay=[0.0, 1e-3, 0.3])
    batches = [random_batch(generator, 3) for _ in range(50)]
    assert_equals_plain(network, agents, params, batches, [1.0] * 3)


def test_a_target_rate_of_1_equals_having_no_target_network():
    generator = torch.Generator().manual_seed(4)
    network, params, *_ = problem(HANQ)
    agents = float64_agents(learning_rate=[1e-2] * 3, hyper_lr=[0.0, 0.1, 0.1])
    batches = [random_batch(generator, 3) for _ in range(20)]
    assert_equals_plain(network, agents, params, batches, [None] * 3)
    for state in trained(network, agents, params, batches):
        assert torch.equal(state.target_params, state.params)


def test_a_target_rate_of_0_keeps_the_first_target_network():
    network, params, *_ = problem(DQN)
    agents = float64_agents(learning_rate=[1e-2] * 3, target_rate=[0.0] * 3)
    batches = [random_batch(torch.Generator().manual_seed(5), 3) for _ in range(3)]
    assert torch.equal(trained(network, agents, params, batches)[-1].target_params, params)


@pytest.mark.parametrize("algorithm", [SSAQ, replace(SSAQ, positive_scale=True, predictor_bias=True)])
def test_a_frozen_scale_of_1_equals_dqn(algorithm):
    """Also with hypergradients: the scale's direction is held at 0 along with the scale."""
    generator = torch.Generator().manual_seed(10)
    with_scale, dqn = hanq.Network(algorithm, 4, 3), hanq.Network(DQN, 4, 3)
    agents = float64_agents(learning_rate=[1e-2] * 3, hyper_lr=[0.0, 0.1, 0.1])
    start = torch.as_tensor(initial_parameters(with_scale, np.arange(3)), dtype=torch.float64)
    shared = dqn.size  # the main network comes first
    frozen, plain = first_state(start, agents), first_state(start[:, :shared], agents)
    for _ in range(10):
        batch = random_batch(generator, 3)
        plain = step(dqn, agents, plain, batch, True)
        frozen = step(with_scale, agents, frozen, batch, True)
        frozen.params[:, shared:] = start[:, shared:]
        frozen.target_params[:, shared:] = start[:, shared:]
        frozen.direction[:, shared:] = 0
        torch.testing.assert_close(frozen.params[:, :shared], plain.params, **close)
        torch.testing.assert_close(frozen.learning_rate, plain.learning_rate, **close)


@pytest.mark.parametrize("name", ["DQN", "HANQ"])
def test_hanq_train_is_the_plain_agent_on_its_own_seeds_data_and_minibatches(name):
    data = small_pendulum()
    run = hanq.train(
        ALGORITHMS[name],
        data,
        learning_rate=[1e-2, 1e-3],
        hyper_lr=0.05,
        target_rate=0.5,
        discount=0.9,
        gradient_steps=15,
        eval_every=15,
        batch_size=16,
        eval_episodes=1,
        **TORCH,
    )
    for position, seed in enumerate(data.seeds):
        indices = minibatch([seed], np.arange(1, 16), data.size, 16)[:, 0]
        logged = Batch(*(torch.as_tensor(getattr(data, field)[position]) for field in Batch._fields))
        batches = [Batch(*(values[torch.as_tensor(index)] for values in logged)) for index in indices]
        batches = [batch._replace(terminated=batch.terminated.float()) for batch in batches]
        theta = torch.as_tensor(initial_parameters(run.network, [seed]))[0]
        for rate in (1e-2, 1e-3):
            plain, plain_rate = plain_training(run.network, theta, batches, rate, 0.9, 0.5, 0.05)[-1]
            ours = run.parameters.sel(learning_rate=rate, seed=seed).squeeze()
            np.testing.assert_allclose(ours, plain, rtol=1e-3, atol=2e-5)
            found = run.curves.effective_learning_rate.sel(learning_rate=rate, seed=seed).item()
            assert found == pytest.approx(plain_rate, rel=1e-4)
