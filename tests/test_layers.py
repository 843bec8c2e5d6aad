"""Promise: the package stays in layers, in small modules, and leaves its user's settings alone."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import hanq

PACKAGE = Path(hanq.__file__).parent
LAYERS = [
    ["algorithm", "arguments", "caching", "environments", "files", "generator", "records", "population", "settings", "sources",
     "threads", "torso", "whole"],
    ["dataset", "reference", "torch_engine", "forward", "evaluation", "fused", "decays", "kernels", "backward", "passes", "dense",
     "memory", "optimiser", "vector", "checkpoint", "atari.network", "atari.game", "atari.frames", "atari.evaluation"],
    ["run", "segments", "training", "atari.training"],
    ["finished", "scores", "plots"],
    ["paper", "variations", "tuning"],
    ["protocol", "ledger"],
    ["bench", "bench_jax", "atari.bench", "atari.check_gpu", "atari.command", "atari.table5"],
    ["__main__"],
]  # fmt: skip
LAYER = {module: number for number, modules in enumerate(LAYERS) for module in modules}
FILES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
MODULES = sorted(module for module in FILES if not module.endswith("__init__"))
LONGEST = 260


def imported(module):
    """Modules of the package that one imports, wherever in the file it does so."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module and node.module.split(".")[0] == "hanq":
            names = [alias.name for alias in node.names] if node.module in ("hanq", "hanq.atari") else [""]
            found.update(f"{node.module}.{name}".strip(".").removeprefix("hanq.") for name in names)
        elif isinstance(node, ast.Import):
            found.update(alias.name.removeprefix("hanq.") for alias in node.names if alias.name.startswith("hanq."))
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{module} imports relatively: write hanq in full"
    return found


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_from_its_own_layer_or_below_only(module):
    assert module in LAYER, f"{module} is in no layer: add it to the list, and to CONTRIBUTING.md"
    for other in imported(module):
        assert other in LAYER, f"{module} imports {other}, which is no module of the package"
        assert LAYER[other] <= LAYER[module], f"{module} must not import {other}"


def test_no_modules_import_each_other_in_a_circle():
    TopologicalSorter({module: imported(module) for module in MODULES}).prepare()  # raises CycleError


@pytest.mark.parametrize("module", FILES)
def test_no_module_is_long(module):
    assert len(FILES[module].read_text().splitlines()) <= LONGEST


def test_importing_the_package_loads_no_emulator():
    subprocess.run([sys.executable, "-c", "import hanq, sys; assert 'ale_py' not in sys.modules"], check=True, cwd=PACKAGE.parent)


def test_the_package_gives_what_the_contract_names():
    for name in ("Algorithm", "DQN", "DQN_LN", "DQN_L2N", "SSAQ", "SSANQ", "HANQ", "PQN", "collect", "Dataset",
                 "load_dataset", "train", "load_run"):  # fmt: skip
        assert name in hanq.__all__ and hasattr(hanq, name)


SETTINGS = """
import torch, numpy
torch.set_num_threads(1)
before = torch.get_default_dtype(), torch.get_num_threads(), numpy.geterr(), torch.initial_seed()
numbers = numpy.random.get_state()[1].tolist()
import hanq
data = hanq.collect("Pendulum", [0], size=50)
for engine in ("torch", "auto"):
    hanq.train(hanq.DQN, data, learning_rate=1e-2, gradient_steps=2, eval_every=1, eval_episodes=1, engine=engine, progress=False)
after = torch.get_default_dtype(), torch.get_num_threads(), numpy.geterr(), torch.initial_seed()
assert before == after, (before, after)
assert numbers == numpy.random.get_state()[1].tolist()
"""


def test_importing_collecting_and_training_leave_threads_seeds_and_types_as_they_were():
    subprocess.run([sys.executable, "-c", SETTINGS], check=True, cwd=PACKAGE.parent)
