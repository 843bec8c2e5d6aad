"""Promise: the benchmark times the same work on both sides. (No test asks how long it takes.)"""

import numpy as np
import pytest
import torch

from hanq import reference
from hanq.algorithm import DQN, HANQ, Network
from hanq.data.collection import collect
from hanq.engines import bench, fused, torch_engine
from hanq.engines.population import initial_parameters


@pytest.mark.parametrize("engine", [fused.FusedEngine, torch_engine.TorchEngine])
def test_an_engine_can_be_timed(engine):
    data = collect("Pendulum", [0], size=50)
    assert bench.engine_microseconds(engine, DQN, data, agents=2, steps=2) > 0


def test_the_plain_loop_can_be_timed():
    assert bench.plain_loop_microseconds(collect("Pendulum", [0], size=50), steps=2) > 0


def test_an_engine_can_be_timed_in_a_restricted_process():
    assert bench.restricted_microseconds(bench.RESTRICTED["one thread"]) > 0


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
