"""Promise: on a processor without AVX-512 the fused engine computes the same with narrower vectors."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from hanq.engines.bench import RESTRICTED

TOP = Path(__file__).parents[2]


def without_avx_512(*arguments):
    """Run Python with some arguments as on such a processor, and return what it prints."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}  # not those of the process around it
    done = subprocess.run(
        [sys.executable, *arguments], env=mine | RESTRICTED["AVX2, no AVX-512"], cwd=TOP, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_code_has_no_avx_512_and_vectors_are_half_as_wide():
    code = "from hanq.engines.fused.vector import WIDTH, cpu_target as target; print(WIDTH, target.target_context.codegen().magic_tuple())"
    printed = without_avx_512("-c", code)
    assert printed.startswith("8 (") and "haswell" in printed and "avx512" not in printed


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="runs code for x86 processors")
def test_networks_of_every_shape_agree_with_the_reference():
    wanted = "papers_size or wide_observations"  # one hidden layer and two; observations with few numbers and with many
    printed = without_avx_512(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/engines/test_fused.py", "tests/engines/test_wide.py", "-k", wanted
    )
    assert "passed" in printed and "skipped" not in printed
