"""Problems for the fused engine, and what it means to agree with `reference` on them."""

from types import SimpleNamespace

import numpy as np
import torch

from hanq import reference
from hanq.algorithm import Agents, Network, State
from hanq.engines import fused, torch_engine
from hanq.engines.population import initial_state

HYPER_LR = {"log": 0.1, "raw": 1e-4, "square": 1e-3, "plain": 1e-6}  # of a rate of 1e-3: its own size ends in noise


def transitions(obs_dim=3, actions=3, size=60, seeds=2):
    random = np.random.default_rng(0)
    observations, next_observations = random.normal(size=(2, seeds, size, obs_dim)).astype(np.float32)
    return SimpleNamespace(
        observations=observations,
        actions=random.integers(actions, size=(seeds, size)),
        rewards=random.normal(size=(seeds, size)).astype(np.float32),
        next_observations=next_observations,
        terminated=random.random((seeds, size)) < 0.2,
        size=size,
    )


def grid(learning_rate=1e-3, hyper_lr=(0.0, 0.1), target_rate=(1.0, 1e-2), weight_decay=(0.0, 1e-3)):
    """One agent for every combination of the four."""
    mesh = np.meshgrid(learning_rate, hyper_lr, target_rate, weight_decay)
    rate, hyper, target, decay = (axis.ravel() for axis in mesh)
    index = np.arange(len(rate)) % 2
    return Agents(index, index, rate, hyper, target, np.where(index, 0.99, 0.9), decay)


def reference_double(engine, agents, state, steps):
    """torch_engine.TorchEngine.advance, in double precision."""

    def double(record):
        kinds = {"f": torch.float64, "i": torch.int64}
        arrays = [torch.as_tensor(x, dtype=kinds[x.dtype.kind]) if isinstance(x, np.ndarray) else x for x in record]
        return type(record)(*arrays)

    agents, state = double(agents), double(state)
    for index in engine.indices(state.gradient_step + 1, steps):
        batch = engine.gather(index)
        batch = batch._replace(**{name: getattr(batch, name).double() for name in batch._fields if name != "actions"})
        state = reference.step(engine.network, agents, state, batch, engine.hypergradients)
    return State(*(x.numpy() if torch.is_tensor(x) else x for x in state))


def engines(algorithm, agents, batch_size, obs_dim=3, actions=3, **options):
    """(fused, reference, the state that both start from)"""
    network, dataset = Network(algorithm, obs_dim, actions), transitions(obs_dim, actions)
    ours = fused.FusedEngine(network, agents, dataset, batch_size, **options)
    return ours, torch_engine.TorchEngine(network, agents, dataset, batch_size), initial_state(network, agents)


def difference(ours, theirs, start):
    """Root mean square distance of parameters, for each agent, in units of how far they moved."""
    rms = lambda x: np.sqrt(np.mean(np.square(x, dtype=np.float64), axis=-1))
    return rms(ours.params - theirs.params) / rms(theirs.params - start.params)


def assert_one_step_agrees(ours, theirs, agents, tolerance=2e-4):
    """The whole state after one step from one state; the tolerance is on each array's largest number."""
    assert ours.gradient_step == theirs.gradient_step
    hyper = agents.hyper_lr > 0
    for name in State._fields[1:]:
        a, b = getattr(ours, name), getattr(theirs, name)
        if name == "direction":  # a gradient of nearly 0 has either sign: no maximum, but a mean
            assert np.abs(a - b).mean() < 1e-2
            continue
        if name == "target_rest":  # of a sum that ends in another last bit: see tests/engines/test_target.py
            continue
        if name.startswith("hyper"):  # the reference keeps them for agents that do not use them too
            a, b = a[hyper], b[hyper]
        axis = -1 if a.ndim == 2 else None
        scale = np.abs(b).max(axis, keepdims=True, initial=1e-30)
        assert (np.abs(a - b) / scale).max(initial=0) < (20 if "second" in name else 1) * tolerance, name
    np.testing.assert_array_equal(ours.learning_rate[~hyper], agents.learning_rate[~hyper].astype(np.float32))
