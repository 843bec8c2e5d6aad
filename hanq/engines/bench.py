"""`python -m hanq bench`: how fast the engines are, compared with what a user would otherwise run.

Every figure is microseconds of wall time per agent per gradient step, with hidden 128 and batch 128, on Pendulum: the
least of several repetitions. The last rows are seconds of evaluation in an environment without compiled dynamics. Ratios
come from one run on one machine.
"""

import importlib.util
import os
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import numba
import numpy as np
import torch
from torch import nn

from hanq.algorithm import DQN, DQN_LN, HANQ, Agents, Network, screen_network
from hanq.data import simulators
from hanq.data.collection import collect
from hanq.data.foundations import records
from hanq.data.playing import start_seeds
from hanq.data.screens import ScreenDataset
from hanq.engines import fused, torch_engine
from hanq.engines.evaluation import evaluate
from hanq.engines.population import initial_state

BATCH, DISCOUNT = 128, 0.99
REPETITIONS = 5
COLUMNS = "{:<50} {:>9} {:>9} {:>9}"
RESTRICTED = {  # environment variables of Numba
    "one thread": {"NUMBA_NUM_THREADS": "1"},
    "AVX2, no AVX-512": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""},  # without "", this processor's features are added
    "generic processor": {"NUMBA_CPU_NAME": "generic"},
}


def least_seconds(function):
    """Return the least wall time of several calls, after a first one that does not count."""
    function()
    seconds = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def engine_microseconds(engine, algorithm, data, agents, steps, hyper_lr=0.0, target_rate=1.0):
    """Return the microseconds per agent-step of one engine on a population of `agents`."""
    ones = np.ones(agents)
    population = Agents(
        np.arange(agents), np.arange(agents) % len(data.seeds), 1e-3 * ones, hyper_lr * ones, target_rate * ones, DISCOUNT * ones, 0 * ones
    )
    of_screens = isinstance(data, ScreenDataset)
    network = (
        screen_network(algorithm, data.screen, data.action_count) if of_screens else Network(algorithm, data.obs_dim, data.action_count)
    )
    running = engine(network, population, data, BATCH)
    state = running.advance(initial_state(network, population), 1)  # on the engine's device
    return 1e6 * least_seconds(lambda: running.advance(state, steps)) / agents / steps


def plain_loop_microseconds(data, steps=200, target_rate=1e-3):
    """Time DQN for one agent, written the usual way: nn.Module, torch.optim.Adam and a target network."""
    columns = (data.observations, data.actions, data.rewards, data.next_observations, data.terminated)
    transitions = [torch.as_tensor(column[0]) for column in columns]
    online, target = (nn.Sequential(nn.Linear(data.obs_dim, 128), nn.ReLU(), nn.Linear(128, data.action_count)) for _ in range(2))
    target.load_state_dict(online.state_dict())
    optimiser = torch.optim.Adam(online.parameters(), lr=1e-3)

    def train():
        for _ in range(steps):
            index = torch.randint(data.size, (BATCH,))
            observations, actions, rewards, next_observations, terminated = (column[index] for column in transitions)
            with torch.no_grad():
                aim = rewards + DISCOUNT * ~terminated * target(next_observations).max(-1).values
            taken = online(observations).gather(-1, actions[:, None])[:, 0]
            optimiser.zero_grad()
            (taken - aim).square().mean().backward()
            optimiser.step()
            with torch.no_grad():
                for slow, fast in zip(target.parameters(), online.parameters(), strict=True):
                    slow.lerp_(fast, target_rate)

    return 1e6 * least_seconds(train) / steps


def restricted_microseconds(variables):
    """Time HANQ with its hypergradient on the fused engine in a process with these environment variables."""
    code = (
        "from hanq import HANQ, collect; from hanq.engines import bench, fused; "
        "print(bench.engine_microseconds(fused.FusedEngine, HANQ, collect('Pendulum', range(30)), 64, 500, hyper_lr=0.1))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | variables, capture_output=True, text=True, check=True)
    return float(done.stdout)


def table(data):
    """Return rows (what, microseconds of the peer or None, microseconds of the fused engine)."""
    fast = {
        "DQN, target network": engine_microseconds(fused.FusedEngine, DQN, data, 64, 500, target_rate=1e-3),
        "HANQ, hyper_lr 0": engine_microseconds(fused.FusedEngine, HANQ, data, 64, 500),
        "HANQ, residual hypergradient": engine_microseconds(fused.FusedEngine, HANQ, data, 64, 500, hyper_lr=0.1),
    }
    rows = [
        ("DQN, target network: plain PyTorch loop", plain_loop_microseconds(data), fast["DQN, target network"]),
        (
            "HANQ, hyper_lr 0: torch engine, 64 agents",
            engine_microseconds(torch_engine.TorchEngine, HANQ, data, 64, 10),
            fast["HANQ, hyper_lr 0"],
        ),
        (
            "HANQ, hyper_lr 0: the same compiled, 64 agents",
            engine_microseconds(torch_engine.CompiledTorchEngine, HANQ, data, 64, 10),
            fast["HANQ, hyper_lr 0"],
        ),
    ]
    if importlib.util.find_spec("jax"):
        from hanq.engines.bench_jax import jax_microseconds  # JAX is not a dependency

        rows.append(("HANQ, hyper_lr 0: JAX jit, vmap, scan", jax_microseconds(data, 64, 100), fast["HANQ, hyper_lr 0"]))
    if torch.cuda.is_available():
        for name, engine in (("CUDA graph", torch_engine.TorchEngine), ("CUDA graph, compiled", torch_engine.CompiledTorchEngine)):
            microseconds = engine_microseconds(partial(engine, device="cuda"), HANQ, data, 1_000, 1_000)
            rows.append((f"HANQ, hyper_lr 0: {name}, 1,000 agents", microseconds, fast["HANQ, hyper_lr 0"]))
    rows.append(("HANQ, residual hypergradient", None, fast["HANQ, residual hypergradient"]))
    deep = replace(DQN_LN, hidden_layers=2)
    rows.append(
        (
            "DQN-LN, two hidden layers: torch engine, 64 agents",
            engine_microseconds(torch_engine.TorchEngine, deep, data, 64, 5),
            engine_microseconds(fused.FusedEngine, deep, data, 64, 50),
        )
    )
    for agents in (8, 64, 512):
        microseconds = engine_microseconds(fused.FusedEngine, HANQ, data, agents, 100, hyper_lr=0.1)
        rows.append((f"HANQ, residual hypergradient, {agents} agents", None, microseconds))
    for what, variables in RESTRICTED.items():
        rows.append((f"HANQ, residual hypergradient, {what}", None, restricted_microseconds(variables)))
    return rows


def evaluation_seconds(name, agents=30, episodes=10):
    """(seconds of a plain loop over agents, seconds of ours) for greedy episodes of untrained DQN agents in a Gymnasium environment."""
    data = collect(name, [0], size=100)
    ones = np.ones(agents)
    population = Agents(np.arange(agents), np.zeros(agents, np.int64), ones, 0 * ones, ones, DISCOUNT * ones, 0 * ones)
    network = Network(DQN, data.obs_dim, data.action_count)
    state, simulator = initial_state(network, population), simulators.find(name)
    evaluate(network, population, data, state, 1)  # compiles
    start = time.perf_counter()
    evaluate(network, population, data, state, episodes)
    ours = time.perf_counter() - start
    for agent, params in enumerate(state.params):
        plain_returns(simulator, network, params, start_seeds(agent, 0, episodes))
    return time.perf_counter() - start - ours, ours


@torch.no_grad()
def plain_returns(simulator, network, params, seeds):
    """Returns of one agent's greedy episodes as anybody would play them: nn.Module, gymnasium.make, argmax."""
    policy = nn.Sequential(nn.Linear(network.obs_dim, 128), nn.ReLU(), nn.Linear(128, network.actions))
    for mine, view in zip(policy.parameters(), network.views(torch.as_tensor(params)).values(), strict=True):
        mine.copy_(view)
    returns = []
    with simulator.make() as twin:
        for seed in seeds:
            observation, _ = twin.reset(seed=seed)
            total, over = 0.0, False
            while not over:
                observation, reward, terminated, truncated, _ = twin.step(int(policy(torch.as_tensor(observation)).argmax()))
                total, over = total + reward, terminated or truncated
            returns.append(total)
    return returns


def most_memory():
    """Return the peak memory of this process, as text."""
    if importlib.util.find_spec("resource") is None:
        return "unknown to Windows"
    import resource  # Unix only

    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform != "darwin" else 2**10)
    return f"{kilobytes / 2**20:.2f} GB"


def main():
    """Print the table, the machine and the versions."""
    origin = records.provenance()
    print(f"{origin['machine']}, {numba.config.NUMBA_NUM_THREADS} threads, commit {origin['commit']}")
    print(f"python {origin['python']}, {origin['versions']}")
    data = collect("Pendulum", range(30))
    engine_microseconds(fused.FusedEngine, HANQ, data, 1_000, 20, hyper_lr=0.1)  # before the peers, which need memory too
    print(f"most memory, 1,000 agents of HANQ: {most_memory()}")
    print(COLUMNS.format("us per agent per gradient step", "peer", "fused", "ratio"))
    for what, peer, ours in table(data):
        ratio = "" if peer is None else f"{peer / ours:.1f}"
        print(COLUMNS.format(what, "" if peer is None else f"{peer:.1f}", f"{ours:.1f}", ratio), flush=True)
    box2d = all(importlib.util.find_spec(package) for package in ("Box2D", "pygame"))  # what gymnasium[box2d] installs
    name = "LunarLander-v3" if box2d else "MountainCar-v0"
    plain, ours = evaluation_seconds(name)
    print(COLUMNS.format("seconds to evaluate 30 agents, 10 episodes each", "plain", "ours", "ratio"))
    print(COLUMNS.format(name, f"{plain:.1f}", f"{ours:.1f}", f"{plain / ours:.1f}"))
