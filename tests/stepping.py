"""What the tests of a gradient step share: a population beside one plain agent after another."""

import pytest
import torch
from helpers import first_state
from plain import training as plain_training

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
