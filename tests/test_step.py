"""Promise: a gradient step is Adam's, and the rate moves by Eqs. (5) to (7), before the weights."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from helpers import ALGORITHMS, DQN, HANQ, SSAQ, TORCH, first_state, float64_agents, problem, random_batch, small_pendulum
from plain import loss as plain_loss
from plain import training as plain_training

import hanq
from hanq import reference
from hanq.data.foundations.generator import minibatch
from hanq.engines.population import initial_parameters
from hanq.reference import Batch, step

close = dict(rtol=1e-7, atol=1e-9)


def member(batch, i):
    return Batch(*(values[i] for values in batch))


def trained(network, agents, params, batches):
    """States after each step of the whole population."""
    state, states = first_state(params, agents, network.algorithm.hyper_second_moment), []
    for batch in batches:
        state = step(network, agents, state, batch, bool((agents.hyper_lr > 0).any()))
        states.append(state)
    return states


def assert_equals_plain(network, agents, params, batches, target_rates, tolerance=close):
    states = trained(network, agents, params, batches)
    for i, target_rate in enumerate(target_rates):
        plain = plain_training(
            network,
            params[i],
            [member(batch, i) for batch in batches],
            agents.learning_rate[i].item(),
            agents.discount[i],
            target_rate,
            agents.hyper_lr[i].item(),
            agents.weight_decay[i].item(),
        )
        for state, (theta, rate) in zip(states, plain, strict=True):
            torch.testing.assert_close(state.params[i], theta, **tolerance)
            assert state.learning_rate[i].item() == pytest.approx(rate, rel=tolerance["rtol"] / 10)


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS.keys())
def test_training_equals_a_plain_agent_with_torch_adam_and_autograd_hypergradients(algorithm):
    generator = torch.Generator().manual_seed(2)
    network, params, *_ = problem(algorithm)
    agents = float64_agents(
        learning_rate=[1e-2, 3e-3, 1e-3], hyper_lr=[0.0, 0.1, 0.01], target_rate=[1.0, 0.3, 0.05], discount=[0.9, 0.95, 0.99]
    )
    batches = [random_batch(generator, 3) for _ in range(12)]
    assert_equals_plain(network, agents, params, batches, [1.0, 0.3, 0.05])


def test_raw_and_square_rates_cross_zero_as_in_plain_agents():
    """With steps of a rate's own size: a raw one becomes negative, the root of a square one changes its sign."""
    generator = torch.Generator().manual_seed(12)
    batches = [random_batch(generator, 3) for _ in range(8)]
    for form, rate_first in product(("raw", "square"), (True, False)):
        steps = [1.5 * (rate if form == "raw" else math.sqrt(rate)) for rate in (0.03, 0.1, 0.3)]
        agents = float64_agents(learning_rate=[0.03, 0.1, 0.3], hyper_lr=steps, target_rate=[1.0, 0.3, 0.05])
        network, params, *_ = problem(replace(DQN, rate_form=form, rate_first=rate_first))
        assert_equals_plain(network, agents, params, batches, [1.0, 0.3, 0.05], dict(rtol=1e-5, atol=1e-7))
        states = trained(network, agents, params, batches)
        rates = torch.stack([state.learning_rate for state in states])
        if form == "raw":
            assert (rates < 0).any()
        else:  # as far from 0 as before and after together: on the other side
            count = torch.arange(8, dtype=rates.dtype)[:, None] + (not rate_first)
            first, second = (torch.stack([getattr(state, f"hyper_{n}_moment") for state in states]) for n in ("first", "second"))
            moved = agents.hyper_lr * first.abs() / (1 - 0.9**count) / (second / (1 - 0.999**count)).sqrt()
            before = torch.cat([agents.learning_rate[None], rates[:-1]])
            assert torch.isclose(rates.sqrt() + before.sqrt(), moved, rtol=1e-5).any()


CLOSED = {  # rate, kappa, Adam's direction -> the next rate
    "log": lambda rate, kappa, u: rate * math.exp(-kappa * u),
    "raw": lambda rate, kappa, u: rate - kappa * u,
    "square": lambda rate, kappa, u: (math.sqrt(rate) - kappa * u) ** 2,
}
ALONG = {"log": lambda rate: rate, "raw": lambda rate: 1.0, "square": lambda rate: 2 * math.sqrt(rate)}


@pytest.mark.parametrize(("beta_2", "second"), [(0.999, 0.0), (0.9, 1e-8), (0.0, 1e-2)])
@pytest.mark.parametrize("form", CLOSED)
def test_the_first_hyper_step_in_closed_form(form, beta_2, second):
    """Algorithm 2's order, so that it is the first gradient step's: mean g, root of beta_2 s / (1 - beta_2) + g g."""
    algorithm = replace(HANQ, rate_first=False, rate_form=form, hyper_beta_2=beta_2, hyper_second_moment=second)
    network, params, _, batch, discount = problem(algorithm)
    agents = float64_agents(learning_rate=[1e-2, 3e-2, 0.3], hyper_lr=[0.01] * 3, discount=discount.tolist())
    (state,) = trained(network, agents, params, [batch])
    for i, rate in enumerate(agents.learning_rate.tolist()):
        g = slope_by_differences(network, params[i], state.direction[i], member(batch, i), discount[i], rate) * ALONG[form](rate)
        u = g / (math.sqrt(beta_2 * second / (1 - beta_2) + g * g) + 1e-8)
        assert state.learning_rate[i].item() == pytest.approx(CLOSED[form](rate, 0.01, u), rel=1e-6)


def slope_by_differences(network, before, direction, batch, discount, rate, target=None, h=1e-6):
    """d loss(before - alpha * direction) / d alpha at a rate; target: another network's weights, held constant."""

    def of(alpha):
        moved = before - alpha * direction
        return plain_loss(network, moved, moved if target is None else target, batch, discount).item()

    return (of(rate + h) - of(rate - h)) / (2 * h)


@pytest.mark.parametrize("objective", ["residual", "semi"])
def test_where_the_rate_moves_last_its_slope_is_that_of_the_same_minibatch_in_the_rate_just_used(objective):
    """By finite differences; the semi-gradient bootstraps from the target network after its update."""
    network, params, _, _, discount = problem(replace(HANQ, hyperobjective=objective, rate_first=False, rate_form="raw"))
    agents = float64_agents(learning_rate=[1e-2, 3e-2, 1e-3], hyper_lr=[1e-3] * 3, target_rate=[1.0, 0.3, 0.5], discount=discount.tolist())
    first, second = (random_batch(torch.Generator().manual_seed(seed), 3) for seed in (6, 7))
    before = step(network, agents, first_state(params, agents), first, True)
    after = step(network, agents, before, second, True)
    for i in range(3):
        target = None if objective == "residual" else after.target_params[i]
        rate = before.learning_rate[i].item()
        slope = slope_by_differences(network, before.params[i], after.direction[i], member(second, i), discount[i], rate, target)
        found = (after.hyper_first_moment[i] - 0.9 * before.hyper_first_moment[i]) / 0.1
        assert found.item() == pytest.approx(slope, rel=1e-5, abs=1e-7)
        torch.testing.assert_close(after.params[i], before.params[i] - rate * after.direction[i], **close)


def test_where_the_rate_moves_last_the_first_step_uses_the_given_rate_and_then_moves_it():
    network, params, _, batch, _ = problem(replace(HANQ, rate_first=False))
    agents = float64_agents(learning_rate=[1e-2] * 3, hyper_lr=[0.1, 0.01, 0.0])
    (state,) = trained(network, agents, params, [batch])
    torch.testing.assert_close(state.params, params - 1e-2 * state.direction, rtol=0, atol=0)
    factor = (state.learning_rate / agents.learning_rate).log().abs()
    torch.testing.assert_close(factor, agents.hyper_lr, rtol=1e-3, atol=0)


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
