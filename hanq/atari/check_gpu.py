"""`python -m hanq check-gpu`: does a GPU train Seaquest correctly, how fast, and how long will Table 5 take on it?

Parity compares the weights after some steps with those computed on the CPU. Capture compares steps run as a CUDA graph
with the same steps launched one by one. Memory and speed are measured with Seaquest's own network and several agents side
by side. The whole check takes a few minutes.
"""

import sys
import tempfile
import time
from dataclasses import replace

import numpy as np
import torch

from hanq.algorithm import HANQ, Agents, Convolution, Network
from hanq.atari import bench, command, frames, game, table5
from hanq.atari.evaluation import Evaluation
from hanq.atari.network import FRAMES
from hanq.atari.training import PRECISIONS, SHARE_OF_MEMORY, SeaquestEngine, checked_device
from hanq.data.foundations import records
from hanq.data.foundations.arguments import positive_integer
from hanq.engines.population import initial_state
from hanq.engines.torch_engine import DEVICES, to_numpy
from hanq.reproduction import paper

AGENTS = (1, 8, 30, 90)  # trained side by side; Table 5 needs 30, and 90 for DQN
TRANSITIONS, SECONDS = 1_000, 0.5  # size of the dataset; length of each timed call
SMALL = (Convolution(FRAMES, 8, 8, 8), Convolution(8, 8, 4, 2)), 8 * 4 * 4  # convolutions and the size of their output
ENDS = {1: 1e-3, 10: 1e-3, 200: 1e-2}  # {gradient steps: largest distance between the weights after them}
HORIZONS = (5, 55)  # lengths, in actions, of the games on which evaluation is timed
FITS = {True: "fits", False: "does NOT fit"}
AGREES = {True: "agrees", False: "DIFFERS"}


def add_arguments(parser):
    """Add the command's arguments to an argparse parser."""
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, ...; cpu, with few agents, to try the command")
    parser.add_argument("--agents", type=int, nargs="+", default=AGENTS, help="how many to time side by side")


def run(options):
    """Run all checks and print the results. Returns the exit status: 0, 1 if anything differs, or 2 without a GPU."""
    if options.device.startswith("cuda") and not DEVICES["cuda"]():
        print("no GPU is found: torch.cuda.is_available() is False", file=sys.stderr)
        return 2
    device, origin = checked_device(options.device, "float32"), records.provenance()
    agents = sorted({positive_integer("agents", count) for count in options.agents})
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    print(f"{device}: {name}, {origin['machine']}, commit {origin['commit']}, {origin['versions']}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        data = frames.collect(folder, [0], TRANSITIONS, progress=False)
        right = all([*parity(data, device), *capture(data, device)])
        memory, speed = measured(data, device, agents)
        if not speed:
            raise ValueError(f"agents={agents[0]} does not fit into the memory of {device}: use fewer")
        if device.type == "cuda":
            say_memory(data, device, memory)
        say_hours(speed, evaluation_seconds(data, device, max(speed)))
    print("everything agrees" if right else "something DIFFERS: do not train here before it is understood")
    return 0 if right else 1


def small_engine(algorithm, data, device, hyper_lr=0.0, target_rate=1.0):
    """Return an engine for two agents with a small convolutional network, and their initial state."""
    convolutions, inputs = SMALL
    network = Network(replace(algorithm, hidden_layers=1, hidden_features=32), inputs, game.SEAQUEST.actions, convolutions)
    ones = np.ones(2)
    agents = Agents(np.arange(2), np.zeros(2, int), 1e-4 * ones, hyper_lr * ones, target_rate * ones, 0.99 * ones, 0 * ones)
    return SeaquestEngine(network, agents, data, 8, device), initial_state(network, agents)


def distance(ours, theirs, start):
    """Return the root mean square distance between two states' weights relative to how far they moved, for the worst agent."""
    ours, theirs, start = (state.params.astype(np.float64) for state in (ours, theirs, start))
    return np.sqrt(np.square(ours - theirs).mean(1) / np.square(theirs - start).mean(1)).max()


def parity(data, device):
    """Yield, for each kind of algorithm in Table 5, whether it reaches the same weights as on the CPU."""
    print("distance from the CPU's weights, in units of how far they moved, after " + ", ".join(f"{end}" for end in ENDS) + " steps")
    kinds = {
        name: (*row.algorithms, dict(target_rate=paper.ATARI_TARGET_RATES[0]) if "target_rate" in row.settings else {})
        for name, row in table5.ROWS.items()
    }
    for name, (algorithm, rates) in (kinds | {"HANQ, hyper_lr 0.1": (HANQ, dict(hyper_lr=0.1))}).items():
        (here, start), (there, _) = (small_engine(algorithm, data, torch.device(one), **rates) for one in ("cpu", device))
        ours = theirs = start
        found = []
        for end in ENDS:
            theirs, ours = here.advance(theirs, end - theirs.gradient_step), there.advance(ours, end - ours.gradient_step)
            found.append(distance(to_numpy(ours), to_numpy(theirs), start))
        right = all(one <= most for one, most in zip(found, ENDS.values(), strict=True))  # false for NaN
        print(f"  {name:<20}" + "".join(f"{one:>10.1e}" for one in found) + f"  {AGREES[right]}", flush=True)
        yield right


def capture(data, device):
    """Yield whether steps run as a CUDA graph, in two parts, reach the same weights as steps without one."""
    engine, start = small_engine(HANQ, data, device, hyper_lr=0.1)
    if not engine.capturable():
        print(f"no CUDA graph on {device}")
        return
    plain, _ = small_engine(HANQ, data, device, hyper_lr=0.1)
    plain.capturable = lambda: False
    ours, theirs = (to_numpy(one.advance(one.advance(start, 5), 7)) for one in (engine, plain))
    found = distance(ours, theirs, start)
    right = bool(found <= ENDS[10])
    print(f"the CUDA graph, beside the same 12 steps without one: {found:.1e}  {AGREES[right]}", flush=True)
    yield right


def measured(data, device, counts):
    """Measure what fits. Returns {agents: peak memory in bytes} and {agents: {precision: steps per second}}."""
    precisions = [name for name in PRECISIONS if name != "tf32" or device.type == "cuda"]
    print("HANQ on Seaquest: steps a second of each agent\n" + f"{'agents':>8}{'GB':>8}" + "".join(f"{one:>10}" for one in precisions))
    memory, speed = {}, {}
    for agents in counts:
        try:
            rates = {}
            for precision in precisions:
                peak, rates[precision] = one_speed(data, device, agents, precision)
                memory[agents] = max(peak, memory.get(agents, 0))
        except RuntimeError as error:  # during capture, an out-of-memory error is the context of another error
            if not any(isinstance(one, torch.OutOfMemoryError) for one in (error, error.__context__)):
                raise
            print(f"{agents:>8}  out of memory")
            memory.pop(agents, None)
            break
        speed[agents] = rates
        print(f"{agents:>8}{memory[agents] / 1e9:>8.1f}" + "".join(f"{rate:>10.2f}" for rate in rates.values()), flush=True)
    return memory, speed


def one_speed(data, device, agents, precision):
    """Return the peak memory in bytes and the steps per second of each agent."""
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    rate = bench.steps_a_second(*bench.population(HANQ, data, device, agents, precision=precision), SECONDS)
    return torch.cuda.max_memory_reserved(device) if on_gpu else 0, rate


def say_memory(data, device, memory):
    """Print whether the largest row of Table 5 fits into memory, with all of its agents and the frames of all seeds."""
    most, seeds = len(paper.SEEDS) * len(paper.ATARI_TARGET_RATES), len(paper.SEEDS)
    of_frames = seeds * data.members[0].frames.nbytes / data.size * game.SEAQUEST.dataset_size
    of_agents = np.polyval(np.polyfit(list(memory), list(memory.values()), min(1, len(memory) - 1)), most)
    _, total = torch.cuda.mem_get_info(device)
    fits = bool(of_frames < SHARE_OF_MEMORY * total and of_frames + of_agents < total)
    print(
        f"{most} agents take {of_agents / 1e9:.1f} GB, frames of {seeds} seeds {of_frames / 1e9:.1f} GB: together that {FITS[fits]} "
        f"into {total / 1e9:.1f} GB, of which frames may take {SHARE_OF_MEMORY:.0%}"
    )


def evaluation_seconds(data, device, agents):
    """Estimate an upper bound, in seconds per agent, for an evaluation: short games, extrapolated to the longest possible ones."""
    engine, state = bench.population(HANQ, data, device, agents)
    state, seconds = to_numpy(state), []
    for horizon in HORIZONS:
        evaluation = Evaluation(engine, command.COUNTS["eval_episodes"], horizon)
        start = time.perf_counter()
        evaluation(state)
        seconds.append(time.perf_counter() - start)
    whole = seconds[0] + (seconds[1] - seconds[0]) / (HORIZONS[1] - HORIZONS[0]) * (game.SEAQUEST.horizon - HORIZONS[0])
    return whole / agents


def say_hours(speed, of_evaluation):
    """Print how long all of Table 5 will take at each precision. of_evaluation: seconds per evaluation of one agent."""
    steps, rates, seeds = command.COUNTS["gradient_steps"], len(paper.ATARI_LEARNING_RATES), len(paper.SEEDS)
    rows = [seeds * (len(paper.ATARI_TARGET_RATES) if "target_rate" in row.settings else 1) for row in table5.ROWS.values()]
    evaluations = steps // command.COUNTS["eval_every"] * rates * sum(rows)  # each of one agent
    most = max(speed)
    for precision in speed[most]:
        of_step = {agents: 1 / found[precision] for agents, found in speed.items()}
        seconds = [np.interp(agents, list(of_step), list(of_step.values())) * max(1, agents / most) for agents in rows]
        print(
            f"Table 5 in {precision}: {rates * steps * sum(seconds) / 3600:,.0f} hours of gradient steps, "
            f"and at most {evaluations * of_evaluation / 3600:,.0f} of evaluation"
        )
