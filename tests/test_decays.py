"""Promise: Adam's decays are tuned as automatic differentiation of the update itself would have it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fused_problem import engines, transitions

import hanq
from hanq import decays, reference
from hanq.algorithm import DQN, HANQ, Network
from hanq.population import Agents

STEPS, FEATURES = 30, 24


def by_autograd(engine, agents, start):
    """(params, learning rate, both u) of one agent, differentiating through Adam's step: torch.optim moves the three."""
    network, algorithm, discount = engine.network, engine.network.algorithm, torch.tensor([0.9], dtype=torch.float64)
    moved = torch.tensor([start.learning_rate[0], *np.arctanh([0.8, 0.998])], dtype=torch.float64)
    moved = [number.clone().requires_grad_() for number in moved]
    hyper = torch.optim.Adam(moved, lr=float(agents.hyper_lr[0]))
    stepped = target = torch.as_tensor(start.params).double()
    first = second = torch.zeros_like(stepped)

    def move(batch):
        hyper.zero_grad()
        following = stepped if algorithm.hyperobjective == "residual" else target
        reference.losses(network, stepped, following, batch, discount).sum().backward()
        hyper.step()

    for t, index in enumerate(engine.indices(1, STEPS), start=1):
        batch = engine.gather(index)
        batch = batch._replace(**{name: getattr(batch, name).double() for name in batch._fields if name != "actions"})
        if algorithm.rate_first and t > 1:
            move(batch)
        params = stepped.detach()
        semi = reference.gradient(lambda theta, batch=batch: reference.losses(network, theta, target, batch, discount), params)
        semi = semi + float(agents.weight_decay[0]) * params
        beta_1, beta_2 = ((u.tanh() + 1) / 2 for u in moved[1:])
        first = beta_1 * first.detach() + (1 - beta_1) * semi
        second = beta_2 * second.detach() + (1 - beta_2) * semi.square()
        root = (second / (1 - beta_2**t)).clamp_min(1e-60).sqrt()  # no slope where there has been no gradient
        stepped = params - moved[0] * first / (1 - beta_1**t) / (root + 1e-8)
        target = (1 - agents.target_rate[0]) * target + agents.target_rate[0] * stepped.detach()
        if not algorithm.rate_first:
            move(batch)
    return [stepped.detach().numpy(), *(number.item() for number in moved)]


@pytest.mark.parametrize(("algorithm", "target_rate", "weight_decay"), [
    (HANQ, 1.0, 0.0), (HANQ, 0.01, 1e-3), (replace(HANQ, hyperobjective="semi"), 0.01, 0.0), (DQN, 0.5, 0.0),
    (replace(HANQ, rate_first=False), 1.0, 0.0), (replace(HANQ, rate_first=False, hyperobjective="semi"), 0.1, 0.0),
])  # fmt: skip
def test_all_three_move_as_by_autograd_in_double_precision(algorithm, target_rate, weight_decay):
    one = np.ones(1)
    agents = Agents(one.astype(int), one.astype(int), 1e-2 * one, 1e-3 * one, target_rate * one, 0.9 * one, weight_decay * one)
    algorithm = replace(algorithm, rate_form="raw", hidden_features=FEATURES)
    _, plain, start = engines(algorithm, agents, 20)
    params, *moved = by_autograd(plain, agents, start)
    engine = decays.Engine(Network(replace(algorithm, rate_form="decays"), 3, 3), agents, transitions(), 20, dtype=np.float64)
    state = engine.advance(engine.advance(start, 7), STEPS - 7)
    assert all(abs(now - then) > 1e-4 for now, then in zip(moved, (1e-2, np.arctanh(0.8), np.arctanh(0.998)), strict=True))
    np.testing.assert_allclose(state.hyper_first_moment[0, :, 0], moved, rtol=1e-8)
    np.testing.assert_allclose(state.params, params, rtol=1e-6, atol=1e-9)
    assert state.learning_rate == state.hyper_first_moment[0, 0, 0]


def test_without_hypergradients_it_is_the_usual_adam():
    one = np.ones(1)
    agents = Agents(one.astype(int), one.astype(int), 1e-2 * one, 0 * one, one, 0.9 * one, 0 * one)
    algorithm = replace(HANQ, rate_form="raw", hidden_features=FEATURES)
    usual, _, start = engines(algorithm, agents, 20, dtype=np.float64)
    engine = decays.Engine(Network(replace(algorithm, rate_form="decays"), 3, 3), agents, transitions(), 20, dtype=np.float64)
    np.testing.assert_allclose(engine.advance(start, STEPS).params, usual.advance(start, STEPS).params, rtol=1e-6, atol=1e-9)


TUNED = replace(HANQ, rate_form="decays")


def test_a_stopped_run_goes_on_to_the_same_curves(tmp_path):
    data = hanq.collect("Pendulum", [0, 1])
    settings = dict(learning_rate=1e-2, hyper_lr=1e-3, eval_every=20, eval_episodes=1, progress=False)
    whole = hanq.train(TUNED, data, gradient_steps=60, **settings)
    hanq.train(TUNED, data, gradient_steps=40, checkpoint=tmp_path / "half", **settings)
    again = hanq.train(TUNED, data, gradient_steps=60, checkpoint=tmp_path / "half", **settings)
    assert again.curves.equals(whole.curves) and (whole.curves.effective_learning_rate != np.float32(1e-2)).all()
    usual = hanq.train(replace(TUNED, rate_form="raw"), data, gradient_steps=60, **settings)
    assert not np.allclose(usual.curves.effective_learning_rate, whole.curves.effective_learning_rate, rtol=1e-6)


def test_another_engine_refuses_it():
    with pytest.raises(ValueError, match="rate_form='decays' is for the fused engine, not 'torch'"):
        hanq.train(TUNED, hanq.collect("Pendulum", [0]), learning_rate=1e-2, engine="torch", gradient_steps=10, eval_every=10)
