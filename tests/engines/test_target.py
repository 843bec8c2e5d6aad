"""Promise: a target network moves as Eq. (2) says, however small the target rate."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fused_problem import engines, grid

from hanq import reference
from hanq.algorithm import DQN
from hanq.engines.torch_engine import to_numpy

STEPS = {"fused": 20_000, "torch": 1_000}


@pytest.mark.parametrize("rate", [1e-4, 1e-5, 1e-6])
@pytest.mark.parametrize("name", STEPS)
def test_a_target_one_percent_away_comes_closer_by_the_exact_share(name, rate):
    agents = grid(learning_rate=1e-30, hyper_lr=0.0, target_rate=rate, weight_decay=0.0)  # parameters that stay where they are
    fused, torch_engine, start = engines(replace(DQN, hidden_features=16), agents, 4)
    start = start._replace(target_params=np.float32(0.99) * start.params)
    state = {"fused": fused, "torch": torch_engine}[name].advance(start, STEPS[name])
    state = to_numpy(state)
    distance = np.float64(start.params) - start.target_params
    moved = np.float64(state.target_params) + state.target_rest - start.target_params
    share = 1 - (1 - rate) ** STEPS[name]
    np.testing.assert_array_equal(state.params, start.params)
    np.testing.assert_allclose(moved.sum() / distance.sum(), share, rtol=1e-3)
    np.testing.assert_allclose(moved, share * distance, rtol=1e-3, atol=1e-6 * np.abs(distance).max())


def test_the_two_parts_follow_moving_parameters_as_double_precision_does():
    generator = torch.Generator().manual_seed(0)
    params = torch.randn(1, 1_000, generator=generator)
    target, rest, exact = params, torch.zeros_like(params), params.double()
    rate = torch.tensor([[1e-5]])
    for _ in range(2_000):
        params = params + 1e-3 * torch.randn(1, 1_000, generator=generator)
        target, rest = reference.follow(target, rest, params, rate)
        exact = exact + rate.double() * (params.double() - exact)
    error = (target.double() + rest.double() - exact).abs().max()
    assert error < 1e-9, error


def test_a_rate_of_1_copies_the_parameters_and_leaves_nothing():
    params, target, rest = torch.randn(3, 2, 50)
    copied, left = reference.follow(target, rest, params, torch.tensor([[1.0], [0.5]]))
    assert torch.equal(copied[0], params[0]) and not left[0].any()
    assert not torch.equal(copied[1], params[1])
