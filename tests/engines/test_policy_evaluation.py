"""Promise: with a policy's next actions, every engine learns that policy's value as `reference` writes it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fused_problem import HYPER_LR, assert_one_step_agrees, difference, grid, transitions
from helpers import ALGORITHMS, problem
from test_fused import VARIANTS

from hanq import reference
from hanq.algorithm import Network
from hanq.engines import fused, torch_engine
from hanq.engines.population import initial_state
from hanq.engines.torch_engine import to_numpy

NAMES = ["DQN", "PQN", "SSAQ symmetric", "HANQ", "HANQ symmetric", "rate last", "HANQ symmetric, two layers"]


def engines(algorithm, agents, batch_size, obs_dim=3, **options):
    """(fused, reference, the state that both start from), for policies that act at random, each agent's its own."""
    network, dataset = Network(algorithm, obs_dim, actions=3), transitions(obs_dim)
    next_actions = np.random.default_rng(1).integers(3, size=(len(agents.seeds), dataset.size))
    ours = fused.FusedEngine(network, agents, dataset, batch_size, next_actions=next_actions, **options)
    theirs = torch_engine.TorchEngine(network, agents, dataset, batch_size, next_actions=next_actions)
    return ours, theirs, initial_state(network, agents)


@pytest.mark.parametrize("name", NAMES)
def test_single_steps_agree_with_reference_along_the_way(name):
    algorithm = replace(VARIANTS[name], hidden_features=24)
    agents = grid(hyper_lr=(0.0, HYPER_LR[algorithm.rate_form]))
    ours, theirs, state = engines(algorithm, agents, batch_size=20)
    for steps in (0, 9, 40, 50):
        state = to_numpy(theirs.advance(state, steps))
        after = to_numpy(theirs.advance(state, 1))
        assert_one_step_agrees(ours.advance(state, 1), after, agents)
        state = after


def test_wide_observations_agree_with_reference():
    agents = grid(weight_decay=0.0)
    ours, theirs, start = engines(replace(VARIANTS["DQN-LN"], hidden_features=24), agents, 20, obs_dim=20)
    assert_one_step_agrees(ours.advance(start, 1), to_numpy(theirs.advance(start, 1)), agents)


def test_a_network_of_the_evaluators_size_agrees_with_reference():
    agents = grid(hyper_lr=0.0, weight_decay=0.0)
    ours, theirs, start = engines(VARIANTS["DQN-LN"], agents, 128)
    assert (difference(ours.advance(start, 50), to_numpy(theirs.advance(start, 50)), start) < 1e-3).all()


def test_an_agent_learns_from_its_own_policy_whoever_is_beside_it():
    agents = grid()
    ours, _, start = engines(VARIANTS["DQN-LN"], agents, 20)
    together = ours.advance(start, 30)
    ours.next_actions = np.concatenate([(ours.next_actions[:1] + 1) % 3, ours.next_actions[1:]])
    changed = ours.advance(start, 30)
    assert not np.array_equal(changed.params[0], together.params[0])
    np.testing.assert_array_equal(changed.params[1:], together.params[1:])


@pytest.mark.parametrize("name", ["DQN", "HANQ", "symmetric", "HANQ, norm first, two layers"])
def test_the_greedy_policys_loss_is_that_of_q_learning_and_another_policys_is_its_own(name):
    network, params, target_params, batch, discount = problem(ALGORITHMS[name])
    weights = network.views(target_params)
    before_relu = reference.hidden(network, weights, batch.next_observations)
    q = reference.q_values(network, weights, before_relu)
    if network.algorithm.symmetric:
        q = reference.predicted(network, weights, before_relu, q)
    best, worst = (reference.EvaluationBatch(*batch, action) for action in (q.argmax(-1), q.argmin(-1)))
    losses = [reference.losses(network, params, target_params, one, discount) for one in (batch, best, worst)]
    torch.testing.assert_close(losses[1], losses[0], rtol=0, atol=0)
    target = batch.rewards + discount[:, None] * (1 - batch.terminated) * q.min(-1).values
    before_relu = reference.hidden(network, network.views(params), batch.observations)
    q = reference.q_values(network, network.views(params), before_relu)
    taken = reference.predicted(network, network.views(params), before_relu, q).gather(-1, batch.actions[..., None])[..., 0]
    torch.testing.assert_close(losses[2], (taken - target).square().mean(-1))
    assert not torch.allclose(losses[2], losses[0])
