"""Promise: in bfloat16 the layers compute so and nothing else does, forward or backward."""

import pytest
import torch
from atari_problem import small_frames, some_agents, some_engine
from helpers import ALGORITHMS, problem

import hanq
from hanq import reference
from hanq.atari.training import precision_of
from hanq.engines.population import initial_state

CPU = torch.device("cpu")


def bfloat16_layer(weights, layer, inputs):
    """`reference.linear` with its arithmetic written out."""
    bias, weight = (weights[f"{layer}.{part}"].bfloat16() for part in ("bias", "weight"))
    return torch.baddbmm(bias[:, None], inputs.bfloat16(), weight.mT).float()


def single(algorithm):
    """A problem in single precision."""
    network, params, target_params, batch, discount = problem(algorithm)
    batch = reference.Batch(*(values if name == "actions" else values.float() for name, values in batch._asdict().items()))
    return network, params.float(), target_params.float(), batch, discount.float()


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_losses_and_gradients_are_those_of_bfloat16_layers_in_float32(name, residual, monkeypatch):
    network, params, target_params, batch, discount = single(ALGORITHMS[name])

    def both():
        losses_of = lambda theta: reference.losses(network, theta, theta if residual else target_params, batch, discount)
        return losses_of(params), reference.gradient(losses_of, params)

    with precision_of("bfloat16", CPU):
        losses, gradient = both()
    assert losses.dtype == gradient.dtype == torch.float32
    assert not torch.equal(losses, both()[0])
    monkeypatch.setattr(reference, "linear", bfloat16_layer)
    expected_losses, expected_gradient = both()
    assert torch.equal(losses, expected_losses) and torch.equal(gradient, expected_gradient)


@pytest.mark.parametrize("name", ["DQN", "DQN_LN", "DQN_L2N", "PQN", "HANQ"])
def test_what_follows_a_layer_of_seaquests_network_is_in_float32(name):
    algorithm, agents = getattr(hanq, name), some_agents([1, 2])
    engine = some_engine(algorithm, agents)
    network, params = engine.network, torch.as_tensor(initial_state(engine.network, agents).params).requires_grad_()
    weights = network.views(params)
    stacks = torch.stack([torch.as_tensor(member.observations(range(4))) for member in small_frames().members])
    with precision_of("bfloat16", CPU):
        before_relu = reference.hidden(network, weights, stacks)
        paths = [reference.features(network, weights, before_relu, path) for path in ("main", "predictor")]
        q = reference.q_values(network, weights, before_relu)
        outputs = [before_relu, q, *(reference.predictor(network, weights, before_relu) if algorithm.predictor == "meta" else ())]
        assert {one.dtype for one in (*paths, *outputs)} == {torch.float32}
        of_q, of_params = torch.autograd.grad(q.square().mean(), (q, params))
    assert torch.equal(q, q.bfloat16().float())  # the head did compute in it
    assert of_q.dtype == of_params.dtype == torch.float32


def test_the_gradient_that_reaches_q_keeps_float32s_digits():
    network, params, target_params, batch, discount = single(ALGORITHMS["HANQ"])
    arriving = []
    q_values = reference.q_values

    def watched(*arguments):
        q = q_values(*arguments)
        if q.requires_grad:
            q.register_hook(arriving.append)
        return q

    with pytest.MonkeyPatch.context() as patch, precision_of("bfloat16", CPU):
        patch.setattr(reference, "q_values", watched)
        reference.gradient(lambda theta: reference.losses(network, theta, target_params, batch, discount), params)
    (arrived,) = arriving
    assert arrived.dtype == torch.float32 and not torch.equal(arrived, arrived.bfloat16().float())
