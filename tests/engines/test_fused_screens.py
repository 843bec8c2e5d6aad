"""On binary screens the fused engine's convolution is `reference`'s, and so is that of evaluation."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fused_problem import assert_one_step_agrees, difference, grid, reference_double
from screens_problem import engines, screens

from hanq import reference
from hanq.algorithm import DQN, HANQ, Agents, Convolution, screen_network
from hanq.data.foundations.generator import minibatch
from hanq.engines.evaluation import SAMPLE, choose, evaluate
from hanq.engines.forward import layout, weights_of
from hanq.engines.fused import FusedEngine
from hanq.engines.population import initial_state
from hanq.engines.torch_engine import to_numpy
from hanq.training.policy import Policy, greedy

ROWS = {"DQN": DQN, "HANQ": HANQ}  # each costs a compilation, and what is above the convolution has its tests already
DOUBLE = {"HANQ": HANQ, "symmetric, norms first": replace(HANQ, norm_first=True, symmetric=True, predictor_norm="layer")}


@pytest.mark.parametrize("name", ROWS)
def test_parameters_agree_with_reference_after_1_10_and_200_steps(name):
    agents = grid()
    ours, theirs, start = engines(ROWS[name], agents, 20)
    state_of_ours = state_of_theirs = start
    for end in (1, 10, 100, 200):
        before_last = to_numpy(theirs.advance(state_of_theirs, end - 1 - state_of_theirs.gradient_step))
        state_of_theirs = to_numpy(theirs.advance(before_last, 1))
        assert_one_step_agrees(ours.advance(before_last, 1), state_of_theirs, agents)
        state_of_ours = ours.advance(state_of_ours, end - state_of_ours.gradient_step)
        distance = difference(state_of_ours, state_of_theirs, start)
        if end <= 10:
            assert (distance < 1e-4).all()
    assert np.quantile(distance, 0.6) < 1e-3


@pytest.mark.parametrize("name", ROWS)
def test_the_network_of_minatar_agrees_with_reference(name):
    agents, data = grid(weight_decay=0.0), screens(channels=10, side=10, size=300, density=0.013, actions=6)
    ours, theirs, start = engines(ROWS[name], agents, 128, width=128, data=data)
    assert ours.structure.channels == 10 and ours.structure.side == 10
    assert (difference(ours.advance(start, 10), to_numpy(theirs.advance(start, 10)), start) < 1e-3).all()


@pytest.mark.parametrize("name", DOUBLE)
def test_every_element_of_both_gradients_is_autograds_in_double_precision(name):
    """As in test_fused_double: one agent for each parameter, whose last direction is that parameter's."""
    algorithm = DOUBLE[name]
    data = screens(channels=2, side=4, density=0.1)
    size = screen_network(replace(algorithm, hidden_features=5), data.screen, 3).size
    ones = np.ones(size)
    for target_rate in (1.0, 0.5):
        agents = Agents(ones.astype(int), ones.astype(int), 0.125 * ones, 0.1 * ones, target_rate * ones, 0.9 * ones, 0 * ones)
        ours, reference_engine, start = engines(algorithm, agents, 20, width=5, data=data, dtype=np.float64)
        elsewhere = initial_state(reference_engine.network, agents._replace(seeds=agents.seeds + 5)).params
        state = start._replace(
            gradient_step=1,
            direction=np.eye(size),
            params=(start.params + 0.1 * elsewhere).astype(np.float64),
            target_params=elsewhere.astype(np.float64),
            learning_rate=0.125 * ones,
        )
        theirs, mine = reference_double(reference_engine, agents, state, 1), ours.advance(state, 1)
        for moment in ("first_moment", "hyper_first_moment"):
            assert np.abs(getattr(theirs, moment)).max() > 1e-3
            np.testing.assert_allclose(getattr(mine, moment), getattr(theirs, moment), rtol=1e-9, atol=1e-12)
        of_filters = reference_engine.network.views(theirs.first_moment)["conv_0.weight"]
        assert (np.abs(of_filters[0]) > 0).mean() > 0.5


def test_runs_of_200_steps_agree_in_double_precision():
    ours, reference_engine, start = engines(HANQ, grid(), 20, dtype=np.float64)
    theirs = reference_double(reference_engine, grid(), start, 200)
    assert (difference(ours.advance(start, 200), theirs, start) < 1e-5).all()


@pytest.mark.parametrize("batch_size", [1, 7, 33])
def test_minibatches_of_any_size_agree_with_reference(batch_size):
    agents = grid()
    ours, theirs, state = engines(HANQ, agents, batch_size, width=33)
    for _ in range(3):
        after = to_numpy(theirs.advance(state, 1))
        assert_one_step_agrees(ours.advance(state, 1), after, agents)
        state = after


def test_companions_and_interruptions_change_no_bit():
    agents = grid()
    ours, _, start = engines(HANQ, agents, 20)
    whole = ours.advance(start, 30)
    again = ours.advance(ours.advance(start, 11), 19)
    np.testing.assert_array_equal(whole.params, again.params)
    one = Agents(*(column[3:4] for column in agents))
    alone, _, first = engines(HANQ, one, 20)
    np.testing.assert_array_equal(alone.advance(first, 30).params[0], whole.params[3])


def test_the_torch_engine_gathers_the_screens_that_were_given():
    data = screens()
    _, theirs, _ = engines(HANQ, grid(), 20, data=data)
    index = theirs.indices(1, 1)[0]
    batch = theirs.gather(index)
    expected = data.screens_at(index[0].numpy())[0]
    np.testing.assert_array_equal(batch.observations[0].numpy(), expected)
    np.testing.assert_array_equal(batch.next_observations[1].numpy(), data.screens_at(index[1].numpy(), following=True)[1])


def test_actions_are_greedy_for_the_same_q_values_as_a_policys():
    data = screens(actions=5)
    agents = grid()
    _, _, start = engines(HANQ, agents, 20, data=data)
    network = screen_network(replace(HANQ, hidden_features=24), data.screen, 5)
    where, params = layout(network), start.params[0]
    seen = data.screens_at(np.arange(60))[0].astype(np.float32)
    q = Policy(network, params)(seen)
    chosen = [choose(where, weights_of(where, params), params, one.ravel()) for one in seen]
    assert len(set(chosen)) > 1
    np.testing.assert_array_equal(chosen, greedy(q).numpy())


def test_errors_are_means_over_a_fixed_sample():
    data, agents = screens(), grid()
    _, _, start = engines(HANQ, agents, 20, data=data)
    network = screen_network(replace(HANQ, hidden_features=24), data.screen, 3)
    found = evaluate(network, agents, data, start, 1)
    assert np.isnan(found["return_"]).all()
    for agent in (0, 5):
        of, index = agents.datasets[agent], minibatch([agents.seeds[agent]], [0], data.size, SAMPLE)[0, 0]
        weights = network.views(torch.as_tensor(start.params[agent : agent + 1]))
        here, there = (torch.as_tensor(data.screens_at(index, following=following)[of])[None] for following in (False, True))
        before_relu = reference.hidden(network, weights, here)
        taken = reference.q_values(network, weights, before_relu)[0, torch.arange(SAMPLE), data.actions[of, index]]
        best = reference.q_values(network, weights, reference.hidden(network, weights, there))[0].max(-1).values
        target = torch.as_tensor(data.rewards[of, index]) + agents.discount[agent] * ~torch.as_tensor(data.terminated[of, index]) * best
        assert found["msbe"][agent] == pytest.approx((taken - target).square().mean().item(), rel=1e-4)
        assert found["scale"][agent] == pytest.approx(reference.predictor(network, weights, before_relu)[0].mean().item(), rel=1e-4)


@pytest.mark.parametrize(
    "network",
    [
        replace(screen_network(HANQ, (3, 6, 6), 3), convolutions=(Convolution(3, 32, 3, 1),)),
        screen_network(replace(HANQ, hidden_layers=2), (3, 6, 6), 3),
    ],
)
def test_another_convolution_is_refused_by_name(network):
    with pytest.raises(ValueError, match="engine='fused' takes one convolution of 16 filters of 3x3"):
        FusedEngine(network, grid(), screens(), 20)
