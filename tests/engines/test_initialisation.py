"""Promise: every agent starts as torch.nn.Linear and torch.nn.LayerNorm start."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
import torch
from helpers import ALGORITHMS
from scipy.stats import kstest

import hanq
from hanq.algorithm import Agents
from hanq.engines.population import initial_parameters, initial_state

SEEDS = np.arange(60)
DEEP = replace(hanq.HANQ, hidden_layers=2, predictor_norm="layer", hidden_features=64)
FAN_IN = {"hidden_0": 3, "hidden_1": 64, "head": 64, "predictor": 64}


def views(algorithm, seeds=SEEDS, obs_dim=3, actions=3):
    network = hanq.Network(algorithm, obs_dim, actions)
    return network.views(initial_parameters(network, seeds))


@pytest.mark.parametrize("part", ["weight", "bias"])
@pytest.mark.parametrize("layer", FAN_IN)
def test_each_layer_is_uniform_within_one_over_the_root_of_its_inputs(layer, part):
    values = views(DEEP)[f"{layer}.{part}"].astype(np.float64).ravel()
    bound = 1 / sqrt(FAN_IN[layer])
    assert 0.97 * bound < np.abs(values).max() <= bound * (1 + 1e-6)
    assert kstest(values, "uniform", (-bound, 2 * bound)).pvalue > 1e-3


@pytest.mark.parametrize("layer", FAN_IN)
def test_one_member_has_the_range_and_spread_of_torch_linear(layer):
    network = hanq.Network(DEEP, 3, 3)
    outputs, inputs = network.shapes[f"{layer}.weight"]
    torch.manual_seed(0)
    theirs = torch.cat([torch.nn.Linear(inputs, outputs).weight.detach().ravel() for _ in range(40)])
    ours = views(DEEP, SEEDS[:40])[f"{layer}.weight"]
    assert np.abs(ours).max() == pytest.approx(theirs.abs().max().item(), rel=0.03)
    assert ours.std() == pytest.approx(theirs.std().item(), rel=0.12)
    assert views(DEEP)[f"{layer}.weight"].shape[1:] == tuple(torch.nn.Linear(inputs, outputs).weight.shape)


@pytest.mark.parametrize("norm", ["main_norm", "predictor_norm"])
def test_layer_norms_start_as_torch_layer_norm(norm):
    theirs, ours = torch.nn.LayerNorm(64), views(DEEP)
    for part in ("weight", "bias"):
        expected = np.broadcast_to(getattr(theirs, part).detach().numpy(), (len(SEEDS), 64))
        np.testing.assert_array_equal(ours[f"{norm}.{part}"], expected)


def test_without_gains_and_offsets_all_other_parameters_start_as_with_them():
    with_them, without = views(DEEP), views(replace(DEEP, norm_affine=False))
    norms = {f"{path}_norm.{part}" for path in ("main", "predictor") for part in ("weight", "bias")}
    assert set(with_them) - set(without) == norms
    for name, values in without.items():
        np.testing.assert_array_equal(values, with_them[name])


def test_the_rates_second_moment_starts_where_the_algorithm_says():
    numbers = np.ones(3)
    agents = Agents(np.arange(3), np.arange(3), *[numbers] * 5)
    for algorithm, second in ((hanq.HANQ, 0.0), (replace(hanq.HANQ, hyper_second_moment=1e-8), np.float32(1e-8))):
        state = initial_state(hanq.Network(algorithm, 3, 3), agents)
        assert (state.hyper_second_moment == second).all() and state.hyper_second_moment.dtype == np.float32
        assert not (state.second_moment.any() or state.hyper_first_moment.any())


@pytest.mark.parametrize("positive", [False, True])
def test_a_direct_predictor_starts_at_a_scale_of_1_and_a_bias_of_0(positive):
    outputs = views(hanq.Algorithm(predictor="direct", positive_scale=positive))["predictor.bias"]
    assert outputs.shape == (len(SEEDS), 2)
    scale = np.exp(outputs[:, 0]) if positive else outputs[:, 0]
    assert (scale == 1).all() and (outputs[:, 1] == 0).all()


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS.keys())
def test_an_agents_start_is_a_function_of_its_seed_alone(algorithm):
    network = hanq.Network(algorithm, 4, 3)
    together = initial_parameters(network, [5, 3, 9])
    for i, seed in enumerate([5, 3, 9]):
        assert (initial_parameters(network, [seed])[0] == together[i]).all()
    assert together.dtype == np.float32


def test_no_two_agents_or_weights_start_alike():
    weights = views(hanq.HANQ)["hidden_0.weight"]
    assert len(np.unique(weights)) > 0.999 * weights.size
    correlations = np.corrcoef(weights.reshape(len(SEEDS), -1)) - np.eye(len(SEEDS))
    assert np.abs(correlations).max() < 0.3


def test_algorithms_with_the_same_main_network_start_from_the_same_one():
    dqn, hanq_ = views(hanq.DQN), views(hanq.HANQ)
    for name, values in dqn.items():
        np.testing.assert_array_equal(values, hanq_[name])
