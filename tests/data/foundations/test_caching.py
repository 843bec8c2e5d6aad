"""Promise: where compiled code cannot be kept on disk, or what is there is damaged, it is compiled anew, and this is said once."""

import os
import resource
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import hanq
from hanq.data.foundations import caching, generator

PACKAGE = Path(hanq.__file__).parent
PRINT = "import hanq; print(hanq.data.foundations.generator.integer(1000, 7, 1, 2, range(5)).tolist())"
EXPECTED = generator.integer(1000, 7, 1, 2, range(5)).tolist()


def run(folder, setting="", limit=None, **variables):
    """A process that imports `folder`'s own copy of the package, with no other folder for a cache: (numbers, warnings)."""
    nowhere = folder / "file"
    nowhere.touch()
    environment = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    environment |= {"PYTHONPATH": str(folder), "HOME": str(nowhere / "home")} | variables
    limited = None if limit is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    command = [sys.executable, "-c", setting + PRINT]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, preexec_fn=limited)
    assert done.returncode == 0, done.stderr
    return eval(done.stdout), [line for line in done.stderr.splitlines() if "Warning" in line]


@pytest.fixture
def copied(tmp_path):
    """A folder with a copy of the package, whose own folders take no cache: not even root's."""
    shutil.copytree(PACKAGE, tmp_path / "hanq", ignore=shutil.ignore_patterns("__pycache__"))
    for path in [path for path in (tmp_path / "hanq").rglob("*") if path.is_dir()] + [tmp_path / "hanq"]:
        (path / "__pycache__").touch()
    return tmp_path


def test_without_any_folder_to_write_to_the_package_works_and_says_once_what_to_do(copied):
    numbers, said = run(copied)
    assert numbers == EXPECTED
    assert len(said) == 1 and "compiled code cannot be kept on disk" in said[0] and "set NUMBA_CACHE_DIR" in said[0]


def test_without_a_home_no_folder_of_that_name_is_made(copied):
    no_home = "import os; os.environ.pop('HOME'); os.path.expanduser = lambda path: path\n"
    numbers, said = run(copied, no_home)
    assert numbers == EXPECTED and len(said) == 1 and "set NUMBA_CACHE_DIR" in said[0]
    assert not (copied / "~").exists()


def test_a_missing_cache_folder_is_made(copied):
    numbers, said = run(copied, NUMBA_CACHE_DIR=str(copied / "new" / "cache"))
    assert numbers == EXPECTED and said == [] and list((copied / "new" / "cache").rglob("*.nbc"))


def test_a_cache_folder_that_cannot_be_written_to_is_named(copied):
    for file in copied.rglob("__pycache__"):
        file.unlink()
    numbers, said = run(copied, NUMBA_CACHE_DIR=str(copied / "file" / "cache"))
    assert numbers == EXPECTED
    assert len(said) == 1 and "file/cache' cannot be written to" in said[0] and "beside the package's modules" in said[0]


def test_a_full_disk_costs_the_cache_only(copied):
    numbers, said = run(copied, limit=100, NUMBA_CACHE_DIR=str(copied / "cache"))
    assert numbers == EXPECTED
    assert len(said) == 1 and "File too large" in said[0] and "set NUMBA_CACHE_DIR" in said[0]
    assert not list((copied / "cache").rglob("*.nb*"))


def compiled(factor=2):
    """A function as a new process has it: nothing compiled yet, its cache on disk; another factor is another edit."""

    @caching.njit(cache=True)
    def multiply(x):
        return factor * x

    return multiply


def hits(function):
    return sum(function.stats.cache_hits.values())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder that holds the files of `compiled`."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    caching.say.cache_clear()
    return tmp_path


def test_what_is_kept_is_used(folder):
    assert compiled()(3) == 6 and compiled()(3.5) == 7.0
    for value in (3, 3.5):
        again = compiled()
        assert again(value) == 2 * value and hits(again) == 1


DAMAGE = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "random": lambda content: np.random.default_rng(0).bytes(len(content)),
    "one bit": lambda content: content[:-60] + bytes([content[-60] ^ 1]) + content[-59:],
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_is_compiled_anew_and_replaced(folder, ending, damage):
    compiled()(3)
    (path,) = folder.rglob(f"*.{ending}")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match=rf"the cache of compiled code .* code is compiled anew \(.*\.{ending} is truncated"):
        anew = compiled()
        assert anew(3) == 6 and hits(anew) == 0
    again = compiled()
    assert again(3) == 6 and hits(again) == 1


def test_a_file_that_cannot_be_read_is_compiled_anew(folder):
    compiled()(3)
    (path,) = folder.rglob("*.nbi")
    path.unlink()
    path.mkdir()
    with pytest.warns(UserWarning) as said:
        assert compiled()(3) == 6
    assert ["cannot be used" in str(said[0].message), "cannot be kept" in str(said[1].message), len(said)] == [True, True, 2]


@pytest.mark.parametrize("other", [dict(factor=5), dict(value=3.5)], ids=["edit", "types"])
def test_code_of_another_edit_or_of_other_types_is_not_taken_for_ones_own(folder, other):
    """As a process leaves it that is killed between writing the index and the code."""
    compiled(other.get("factor", 2))(other.get("value", 3))
    (path,) = folder.rglob("*.nbc")
    code = path.read_bytes()
    path.unlink()
    (index,) = folder.rglob("*.nbi")
    index.unlink()
    compiled()(3)
    path.write_bytes(code)
    assert repr(compiled()(3)) == "6"


def test_every_cache_of_the_package_is_of_this_kind():
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        if "cache=True" in text and path.name != "caching.py":
            assert "from hanq.data.foundations.caching import njit" in text and "from numba import njit" not in text, path


def test_an_edit_of_any_compiled_module_makes_another_version(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "hanq", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (tmp_path / "hanq").rglob("*.py"):
        before = runpy.run_path(str(tmp_path / "hanq" / "engines" / "sources.py"))["VERSION"]
        if "@njit" in path.read_text():
            path.write_text(path.read_text() + "\n")
            assert runpy.run_path(str(tmp_path / "hanq" / "engines" / "sources.py"))["VERSION"] != before, path
