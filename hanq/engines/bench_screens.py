"""A part of `python -m hanq bench`: MinAtar's Seaquest on one core, beside PyTorch and beside what the arithmetic allows.

The limit is the arithmetic of a step, divided by this core's speed at float32 matrix products, the faster of PyTorch's and our own:
on an AMD EPYC with AVX-512, PyTorch's is less than half as fast. A dense step computes every position of the convolution; the fused
engine computes only those with something on the screen, so its limit is that share of it.
"""

import importlib.util
from contextlib import contextmanager
from math import prod

import numpy as np
import torch

from hanq.algorithm import HANQ, screen_network
from hanq.data.collection import collect
from hanq.data.foundations.compiling import entry_point
from hanq.data.minatar import REQUIREMENT
from hanq.engines import fused, torch_engine
from hanq.engines.bench import BATCH, COLUMNS, engine_microseconds, least_seconds
from hanq.engines.fused.dense import product

GAME, TRANSITIONS, SIZE = "MinAtar/Seaquest-v1", 2_000, 1_024


def matmul_gflops(device="cpu", size=SIZE):
    """Measure the speed of a float32 matrix product, in billions of floating-point operations per second."""
    a = torch.rand(size, size, device=device)

    def multiply():
        a @ a
        torch_engine.wait(torch.device(device))

    return 2 * size**3 / least_seconds(multiply) / 1e9


@entry_point(error_model="numpy")
def products(a, b, result, count):
    """Compute a @ b, into result, a number of times."""
    for _ in range(count):
        product(a, b, a.shape[1], result)


def core_gflops(size=64, count=1_000):
    """Measure the speed of the fused engine's float32 matrix product on small matrices that stay in cache, in the same unit."""
    a, b, result = np.random.default_rng(0).random((3, size, size), np.float32)
    return 2 * size**3 * count / least_seconds(lambda: products(a, b, result, count)) / 1e9


def step_gflop(network, batch_size):
    """Count the floating-point operations, in billions, of a gradient step without hypergradient, with dense convolution.

    It consists of forward passes on s and s', and a backward pass on s, which costs two forward passes except that the convolution
    needs no gradient with respect to its input.
    """
    positions = network.obs_dim // network.convolutions[0].outputs
    counts = {name: prod(shape) * (positions if name.startswith("conv") else 1) for name, shape in network.shapes.items() if len(shape) > 1}
    return 2 * batch_size * (4 * sum(counts.values()) - counts["conv_0.weight"]) / 1e9


def share_touched(data, kernel=3):
    """Return the share of the convolution's positions under which a screen has anything."""
    seen = data.screens_at(np.arange(data.size)).any(-3)  # (seeds, size, height, width)
    windows = np.lib.stride_tricks.sliding_window_view(seen, (kernel, kernel), (-2, -1))
    return windows.any((-2, -1)).mean()


@contextmanager
def one_thread():
    """Let torch use one thread in the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def main():
    """Print the rows, or what is missing for them."""
    if importlib.util.find_spec("minatar") is None:
        print(f"{GAME}: not timed, for MinAtar is not installed (pip install {REQUIREMENT})")
        return
    data = collect(GAME, [0], size=TRANSITIONS)
    gflop, share = step_gflop(screen_network(HANQ, data.screen, data.action_count), BATCH), share_touched(data)
    with one_thread():
        limit = 1e3 * gflop / max(matmul_gflops(), core_gflops())  # in ms
        print(
            f"{GAME}, one agent on one core: a dense step is {gflop:.2f} GFLOP, {1e3 * limit:.0f} us at the speed of a matrix product; "
            f"{share:.0%} of the positions have something on the screen, so at least {1e3 * limit * share:.0f} us"
        )
        for what, hyper_lr in (("HANQ, hyper_lr 0: torch engine", 0.0), ("HANQ, residual hypergradient: torch engine", 0.1)):
            peer = engine_microseconds(torch_engine.TorchEngine, HANQ, data, 1, 10, hyper_lr=hyper_lr)
            ours = engine_microseconds(fused.FusedEngine, HANQ, data, 1, 400, hyper_lr=hyper_lr)
            print(COLUMNS.format(what, f"{peer:.0f}", f"{ours:.0f}", f"{peer / ours:.1f}"), flush=True)
