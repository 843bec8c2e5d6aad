"""Promise: the package stays in layers, in small modules, and leaves its user's settings alone."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import hanq

PACKAGE = Path(hanq.__file__).parent
ROOMS = ["algorithm", "data", "reference", "engines", "training", "reproduction", "atari", "__main__"]  # each imports those before it
FILES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
MODULES = sorted(module for module in FILES if module != "__init__")
LONGEST, MOST_ENTRIES = 260, 10


def imported(module):
    """Modules of the package that one imports, wherever in the file it does so."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relatively: write hanq in full"
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found.update(name.removeprefix("hanq.") for name in names if name.startswith("hanq."))
    return found & {*MODULES, *ROOMS}


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_itself_and_rooms_before_it_only(module):
    room = module.split(".")[0]
    assert room in ROOMS, f"{module} is in no room"
    for other in imported(module):
        assert ROOMS.index(other.split(".")[0]) <= ROOMS.index(room), f"{module} must not import {other}"


def test_no_modules_import_each_other_in_a_circle():
    TopologicalSorter({module: imported(module) & set(MODULES) for module in MODULES}).prepare()  # raises CycleError


def test_the_package_has_few_rooms():
    assert len([path for path in PACKAGE.iterdir() if path.name != "__pycache__"]) <= MOST_ENTRIES


@pytest.mark.parametrize("module", FILES)
def test_no_module_is_long(module):
    assert len(FILES[module].read_text().splitlines()) <= LONGEST


def test_importing_the_package_loads_no_emulator():
    subprocess.run([sys.executable, "-c", "import hanq, sys; assert 'ale_py' not in sys.modules"], check=True, cwd=PACKAGE.parent)


def test_the_package_gives_what_the_contract_names():
    for name in (
        "Algorithm",
        "DQN",
        "DQN_LN",
        "DQN_L2N",
        "SSAQ",
        "SSANQ",
        "HANQ",
        "PQN",
        "collect",
        "Dataset",
        "load_dataset",
        "train",
        "load_run",
    ):
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
