"""`python -m hanq bench --atari`: the speed of Seaquest on this machine, compared with what its arithmetic allows.

Every figure is the best of several repetitions, and steps are timed in calls of at least half a second. The limit is the
machine's speed at float32 matrix products divided by the arithmetic of a step; convolutions stay below that speed.
"""

import tempfile
import time

import numpy as np
import torch

from hanq.algorithm import DQN_LN, HANQ, Agents
from hanq.atari import frames, game
from hanq.atari.network import seaquest_network, step_gflop
from hanq.atari.training import SeaquestEngine, checked_device
from hanq.data.foundations import records
from hanq.engines.bench import least_seconds
from hanq.engines.bench_screens import matmul_gflops
from hanq.engines.population import initial_state

BATCH, TRANSITIONS, SIZE = 128, 4_000, 2_048
LINE = "{:<50} {:>10} {:>10}"


def population(algorithm, data, device, agents=1, hyper_lr=0.0, precision="float32"):
    """Return an engine with `agents` agents side by side on one dataset, and their state after a few steps."""
    ones = np.ones(agents)
    described = Agents(np.arange(agents), 0 * np.arange(agents), 1e-4 * ones, hyper_lr * ones, ones, 0.99 * ones, 0 * ones)
    network = seaquest_network(algorithm, game.SEAQUEST.actions)
    engine = SeaquestEngine(network, described, data, BATCH, device, precision)
    return engine, engine.advance(initial_state(network, described), 2)  # two kinds of step: only the second adapts the learning rate


def steps_a_second(engine, state, seconds=1.0):
    """Measure gradient steps per second of each agent, in calls of at least half of `seconds`, so that overhead is negligible."""
    steps, start = 1, time.perf_counter()
    while engine.advance(state, steps) and time.perf_counter() - start < seconds / 2:
        steps, start = 2 * steps, time.perf_counter()
    return steps / least_seconds(lambda: engine.advance(state, steps))


def main():
    """Print the table, the machine and the versions."""
    origin, device = records.provenance(), checked_device("auto", "float32")
    print(f"{origin['machine']}, {torch.get_num_threads()} threads, device {device}, commit {origin['commit']}")
    print(f"python {origin['python']}, {origin['versions']}")
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        data = frames.collect(folder, [0], TRANSITIONS, progress=False)
        seconds = time.process_time() - start
        print(f"random play: {TRANSITIONS / seconds:.0f} agent steps a second of one core's time, 4 frames each")
        gflops = matmul_gflops(device, SIZE)
        gflop = step_gflop(seaquest_network(HANQ, game.SEAQUEST.actions), BATCH)
        print(
            f"matrix product: {gflops:.0f} GFLOP/s; a step of batch {BATCH} is {gflop:.1f} GFLOP: "
            f"at most {gflops / gflop:.1f} steps a second"
        )
        print(LINE.format("gradient steps a second, of all agents together", "steps", "GFLOP/s"))
        for name, algorithm, agents in (("DQN-LN", DQN_LN, 1), ("HANQ", HANQ, 1), ("HANQ, 4 agents side by side", HANQ, 4)):
            rate = agents * steps_a_second(*population(algorithm, data, device, agents))
            print(LINE.format(name, f"{rate:.2f}", f"{rate * gflop:.0f}"), flush=True)
        rate = steps_a_second(*population(HANQ, data, device, hyper_lr=0.1))
        print(LINE.format("HANQ, residual hypergradient", f"{rate:.2f}", ""))
        rate = steps_a_second(*population(HANQ, data, device, precision="bfloat16"))
        print(LINE.format("HANQ in bfloat16", f"{rate:.2f}", f"{rate * gflop:.0f}"))
