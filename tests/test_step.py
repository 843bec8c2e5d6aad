"""Promise: a gradient step is Adam's, and the rate moves by Eqs. (5) to (7), before the weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import ALGORITHMS, DQN, HANQ, SSAQ, TORCH, first_state, float64_agents, problem, random_batch, small_pendulum
from plain import loss as plain_loss
from plain import training as plain_training

import hanq
from hanq import reference
from hanq.generator import minibatch
from hanq.population import initial_parameters
from hanq.reference import Batch, step

close = dict(rtol=1e-7, atol=1e-9)


def member(batch, i):
    return Batch(*(values[i] for values in batch))


def trained(network, agents, params, batches):
    """States after each step of the whole population."""
    state, states = first_state(params, agents), []
    for batch in batches:
        state = step(network, agents, state, batch, bool((agents.hyper_lr > 0).any()))
        states.append(state)
    return states


def assert_equals_plain(network, agents, params, batches, target_rates):
    states = trained(network, agents, params, batches)
    for i, target_rate in enumerate(target_rates):
        plain = plain_training(
            network, params[i], [member(batch, i) for batch in batches], agents.learning_rate[i].item(),
            agents.discount[i], target_rate, agents.hyper_lr[i].item(), agents.weight_decay[i].item(),
        )  # fmt: skip
        for state, (theta, rate) in zip(states, plain, strict=True):
            torch.testing.assert_close(state.params[i], theta, **close)
            assert state.learning_rate[i].item() == pytest.approx(rate, rel=1e-8)


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS.keys())
def test_training_equals_a_plain_agent_with_torch_adam_and_autograd_hypergradients(algorithm):
    generator = torch.Generator().manual_seed(2)
    network, params, *_ = problem(algorithm)
    agents = float64_agents(
        learning_rate=[1e-2, 3e-3, 1e-3], hyper_lr=[0.0, 0.1, 0.01], target_rate=[1.0, 0.3, 0.05], discount=[0.9, 0.95, 0.99]
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


@pytest.mark.parametrize("objective", ["residual", "semi"])
def test_the_hypergradient_equals_autograd_through_the_previous_update(objective):
    network, params, _, batch, discount = problem(replace(HANQ, hyperobjective=objective))
    agents = float64_agents(learning_rate=[1e-2, 3e-2, 1e-3], hyper_lr=[0.1] * 3, discount=discount.tolist())
    earlier = random_batch(torch.Generator().manual_seed(6), 3)
    before = step(network, agents, first_state(params, agents), earlier, True)
    after = step(network, agents, before, batch, True)
    for i in range(3):
        alpha = agents.learning_rate[i].clone().requires_grad_()
        moved = params[i] - alpha * before.direction[i]
        through = moved if objective == "residual" else before.target_params[i]
        (slope,) = torch.autograd.grad(plain_loss(network, moved, through, member(batch, i), discount[i]), alpha)
        ours = after.hyper_first_moment[i] / (1 - reference.BETA_1) / agents.learning_rate[i]
        torch.testing.assert_close(ours, slope, rtol=1e-6, atol=0)


def test_the_rate_rests_at_the_first_step_and_the_first_hyper_step_is_a_factor_of_exp_kappa():
    network, params, *_ = problem(HANQ)
    agents = float64_agents(learning_rate=[1e-2] * 3, hyper_lr=[0.1, 0.01, 0.0])
    batches = [random_batch(torch.Generator().manual_seed(7), 3) for _ in range(2)]
    first, second = trained(network, agents, params, batches)
    assert torch.equal(first.learning_rate, agents.learning_rate)
    factor = (second.learning_rate / agents.learning_rate).log().abs()
    torch.testing.assert_close(factor, agents.hyper_lr, rtol=1e-3, atol=0)  # Adam's first direction is a sign


def test_the_weights_move_at_the_new_rate():
    network, params, *_ = problem(HANQ)
    agents = float64_agents(learning_rate=[1e-2] * 3, hyper_lr=[0.1] * 3)
    batches = [random_batch(torch.Generator().manual_seed(8), 3) for _ in range(2)]
    first, second = trained(network, agents, params, batches)
    moved = first.params - second.learning_rate[:, None] * second.direction
    torch.testing.assert_close(second.params, moved, rtol=0, atol=0)


def test_hypergradients_of_others_leave_an_agent_without_them_alone():
    network, params, *_ = problem(HANQ)
    mixed = float64_agents(learning_rate=[1e-2] * 3, hyper_lr=[0.0, 0.1, 0.0])
    none = float64_agents(learning_rate=[1e-2] * 3)
    batches = [random_batch(torch.Generator().manual_seed(9), 3) for _ in range(5)]
    with_others, without = (trained(network, agents, params, batches)[-1] for agents in (mixed, none))
    for i in (0, 2):
        assert torch.equal(with_others.params[i], without.params[i])
        assert with_others.learning_rate[i] == 1e-2


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
    run = hanq.train(ALGORITHMS[name], data, learning_rate=[1e-2, 1e-3], hyper_lr=0.05, target_rate=0.5, discount=0.9,
                     gradient_steps=15, eval_every=15, batch_size=16, eval_episodes=1, **TORCH)  # fmt: skip
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
