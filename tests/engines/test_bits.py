"""Promise: the same seed gives the same bits, in the process that compiles and in every later one."""

import os
import subprocess
import sys

import pytest

TRAIN = """
import sys
from dataclasses import replace
from hashlib import sha256
import hanq

algorithm = replace(hanq.HANQ, rate_first=False, hyperobjective="semi")
data = hanq.collect("Pendulum", seeds=range(3))
rates = [float(rate) for rate in sys.argv[1].split(",")]
run = hanq.train(algorithm, data, learning_rate=rates, target_rate=[1.0, 1e-3], hyper_lr=0.1, gradient_steps=400, eval_every=200,
                 progress=False)
chosen = run.curves.sel(learning_rate=[1e-2]), run.parameters.sel(learning_rate=[1e-2])
arrays = [*(chosen[0][name].values for name in sorted(chosen[0].data_vars)), chosen[1].values]
print(sha256(b"".join(array.tobytes() for array in arrays)).hexdigest())
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A function: trains in a process of its own, all with one cache that was empty, and returns a checksum of its bits."""
    cache = tmp_path_factory.mktemp("cache")

    def train(rates="1e-2,1e-3", threads=2):
        environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "NUMBA_NUM_THREADS": str(threads)}
        done = subprocess.run([sys.executable, "-c", TRAIN, rates], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return train


def test_compiling_process_later_ones_threads_and_companions_agree_to_the_last_bit(trained):
    """The rate moved last by the semi-gradient: where, compiled apart, the process that compiled ended elsewhere."""
    compiling = trained()
    assert trained() == compiling
    assert trained(threads=1) == compiling
    assert trained(rates="1e-1,1e-2,1e-4") == compiling
