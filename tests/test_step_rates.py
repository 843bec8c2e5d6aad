"""Promise: the learning rate moves by Eqs. (5) to (7), before the weights, and in the forms that the paper compares."""

import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from helpers import DQN, HANQ, first_state, float64_agents, problem, random_batch
from plain import loss as plain_loss
from stepping import assert_equals_plain, close, member, trained

from hanq import reference
from hanq.reference import step


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


CLOSED = {  # rate, kappa, Adam's direction, slope -> the next rate
    "log": lambda rate, kappa, u, _: rate * math.exp(-kappa * u),
    "raw": lambda rate, kappa, u, _: rate - kappa * u,
    "square": lambda rate, kappa, u, _: (math.sqrt(rate) - kappa * u) ** 2,
    "plain": lambda rate, kappa, _, g: rate - kappa * g,
}
ALONG = {"log": lambda rate: rate, "raw": lambda rate: 1.0, "plain": lambda rate: 1.0, "square": lambda rate: 2 * math.sqrt(rate)}


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
        assert state.learning_rate[i].item() == pytest.approx(CLOSED[form](rate, 0.01, u, g), rel=1e-6)


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
