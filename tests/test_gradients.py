"""Promise: each agent's gradients are those of its own loss, for every algorithm."""

from dataclasses import replace

import pytest
import torch
from helpers import ALGORITHMS, problem
from plain import loss as plain_loss
from plain import q_and_prediction, unflatten
from torch.func import grad, vmap

from hanq import reference
from hanq.reference import gradient, losses

every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS.keys())
WHOLE = {name: algorithm for name, algorithm in ALGORITHMS.items() if not algorithm.detached_predictor}
close = dict(rtol=1e-9, atol=1e-11)


@every_algorithm
def test_losses_are_those_of_a_plain_network(algorithm):
    network, params, target_params, batch, discount = problem(algorithm)
    each = [
        plain_loss(network, params[i], target_params[i], reference.Batch(*(x[i] for x in batch)), discount[i]) for i in range(len(params))
    ]
    torch.testing.assert_close(losses(network, params, target_params, batch, discount), torch.stack(each), **close)


@every_algorithm
def test_q_values_are_those_of_a_plain_network(algorithm):
    network, params, _, batch, _ = problem(algorithm)
    q = reference.q_values(network, network.views(params), reference.hidden(network, network.views(params), batch.observations))
    for i in range(len(params)):
        plain, _ = q_and_prediction(algorithm, unflatten(network, params[i]), batch.observations[i])
        torch.testing.assert_close(q[i], plain, **close)


@every_algorithm
def test_semi_gradients_agree_with_vmap_of_grad(algorithm):
    network, params, target_params, batch, discount = problem(algorithm)
    ours = gradient(lambda theta: losses(network, theta, target_params, batch, discount), params)
    plain = vmap(grad(lambda theta, target, b, gamma: plain_loss(network, theta, target, b, gamma)))
    torch.testing.assert_close(ours, plain(params, target_params, batch, discount), **close)


@every_algorithm
def test_residual_gradients_agree_with_vmap_of_grad(algorithm):
    network, params, _, batch, discount = problem(algorithm)
    ours = gradient(lambda theta: losses(network, theta, theta, batch, discount), params)
    plain = vmap(grad(lambda theta, b, gamma: plain_loss(network, theta, theta, b, gamma)))
    torch.testing.assert_close(ours, plain(params, batch, discount), **close)


@pytest.mark.parametrize("algorithm", WHOLE.values(), ids=WHOLE.keys())
@pytest.mark.parametrize("kind", ["semi", "residual"])
def test_gradients_agree_with_finite_differences(algorithm, kind):
    network, params, target_params, batch, discount = problem(algorithm)

    def of(theta):
        return losses(network, theta, theta if kind == "residual" else target_params, batch, discount)

    ours = gradient(of, params)
    generator, step = torch.Generator().manual_seed(1), 1e-6
    for _ in range(8):
        along = torch.randn(params.shape, generator=generator, dtype=params.dtype)
        slope = (of(params + step * along) - of(params - step * along)) / (2 * step)
        torch.testing.assert_close((ours * along).sum(-1), slope, rtol=1e-5, atol=1e-6)


@every_algorithm
def test_the_residual_gradient_is_the_semi_gradient_and_the_part_through_the_target(algorithm):
    network, params, _, batch, discount = problem(algorithm)
    residual = gradient(lambda theta: losses(network, theta, theta, batch, discount), params)
    semi = gradient(lambda theta: losses(network, theta, params, batch, discount), params)
    through_target = gradient(lambda theta: losses(network, params, theta, batch, discount), params)
    torch.testing.assert_close(residual, semi + through_target, **close)
    assert through_target.abs().amax() > 1e-3


@pytest.mark.parametrize("name", ["SSAQ", "HANQ", "w/o metapredictor", "w/o positive scale"])
def test_the_predictor_stays_out_of_the_target(name):
    network, params, target_params, batch, discount = problem(ALGORITHMS[name])
    through_target = gradient(lambda theta: losses(network, params, theta, batch, discount), target_params)
    for name, part in network.views(through_target).items():
        assert (name.startswith("predictor") and not part.any()) or (not name.startswith("predictor") and part.any())


@every_algorithm
def test_agents_do_not_share_anything(algorithm):
    network, params, target_params, batch, discount = problem(algorithm)
    together = gradient(lambda theta: losses(network, theta, target_params, batch, discount), params)
    changed, other_batch = params.clone(), reference.Batch(*(x.clone() for x in batch))
    changed[1] += 1.0
    other_batch.rewards[1] += 1.0
    without = gradient(lambda theta: losses(network, theta, target_params, other_batch, discount), changed)
    assert torch.equal(together[0], without[0]) and torch.equal(together[2], without[2])
    assert not torch.allclose(together[1], without[1])


@pytest.mark.parametrize("changes", [{}, dict(symmetric=True, norm_first=True), dict(predictor_norm="layer", hidden_layers=2)])
@pytest.mark.parametrize("kind", ["semi", "residual"])
def test_a_detached_predictor_changes_the_gradient_of_the_hidden_layers_alone(changes, kind):
    """There it is, by finite differences, that of a predictor whose outputs are held as they were."""
    algorithm = replace(ALGORITHMS["HANQ"], **changes)
    network, params, target_params, batch, discount = problem(algorithm, agents=1)
    detached = replace(network, algorithm=replace(algorithm, detached_predictor=True))
    attached, ours = (
        gradient(lambda theta: losses(net, theta, theta if kind == "residual" else target_params, batch, discount), params)
        for net in (network, detached)
    )
    hidden = torch.cat([torch.full(shape, name.startswith("hidden")).ravel() for name, shape in network.shapes.items()])
    torch.testing.assert_close(ours[:, ~hidden], attached[:, ~hidden], **close)
    assert not torch.allclose(ours[:, hidden], attached[:, hidden], rtol=1e-2)

    def held(vector, now, observations):
        """Q and what the predictor of `now` makes of it."""
        q, _ = q_and_prediction(algorithm, unflatten(network, vector), observations)
        old, guess = q_and_prediction(algorithm, unflatten(network, now), observations)
        scale = (guess[:, 1] - guess[:, 0]) / (old[:, 1] - old[:, 0])
        return q, scale[:, None] * q + (guess[:, 0] - scale * old[:, 0])[:, None]

    def of(vector):
        target, now = (vector, params[0]) if kind == "residual" else (target_params[0], target_params[0])
        _, guess = held(vector, params[0], batch.observations[0])
        q, symmetric = held(target, now, batch.next_observations[0])
        best = (symmetric if algorithm.symmetric else q).amax(1)
        aim = batch.rewards[0] + discount[0] * (1 - batch.terminated[0]) * best
        return (guess[range(len(aim)), batch.actions[0]] - aim).square().mean()

    generator, step = torch.Generator().manual_seed(1), 1e-6
    for _ in range(8):
        along = hidden * torch.randn(params[0].shape, generator=generator, dtype=params.dtype)
        slope = (of(params[0] + step * along) - of(params[0] - step * along)) / (2 * step)
        torch.testing.assert_close((ours[0] * along).sum(), slope, rtol=1e-5, atol=1e-6)


def test_a_terminated_transition_is_not_bootstrapped():
    network, params, target_params, batch, discount = problem(ALGORITHMS["DQN"])
    ended = batch._replace(terminated=torch.ones_like(batch.terminated))
    with_target = losses(network, params, target_params, ended, discount)
    torch.testing.assert_close(with_target, losses(network, params, 5 * target_params, ended, 0 * discount), **close)
    assert not torch.allclose(with_target, losses(network, params, target_params, batch, discount))
