"""A counter-based random number generator: every number is a function of (seed, stream, step, index).

Since nothing is drawn in sequence, an agent's numbers do not depend on the rest of the population, on the engine or on
the number of threads. The functions are broadcasting NumPy ufuncs and can also be called from compiled code.

Source: SplitMix64 (Steele, Lea and Flood, 2014).
"""

import numpy as np
from numba import uint64

from hanq.data.foundations.caching import njit, vectorize

INITIAL_WEIGHTS, MINIBATCH, EVALUATION, BEHAVIOUR, GAME = range(5)

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@njit(uint64(uint64, uint64), cache=True)
def splitmix64(seed, index):
    """Return output number `index`, counted from 0, of SplitMix64 started at `seed`."""
    z = seed + (index + np.uint64(1)) * GOLDEN
    z = (z ^ (z >> np.uint64(30))) * MIX_1
    z = (z ^ (z >> np.uint64(27))) * MIX_2
    return z ^ (z >> np.uint64(31))


@njit(uint64(uint64, uint64, uint64), cache=True)
def stream_key(seed, stream, step):
    """Return the generator state of one (seed, stream, step), from which indices are counted."""
    return splitmix64(splitmix64(seed, stream), step)


@njit(cache=True)
def to_uniform(bits):
    """Convert 64 random bits to a float64 in [0, 1)."""
    return (bits >> np.uint64(11)) * 2.0**-53


@njit(cache=True)
def to_integer(bits, n):
    """Convert 64 random bits to an integer in [0, n), for n below 2**32."""
    return np.int64(((bits >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit(cache=True)
def random_bits(seed, stream, step, index):
    """Return 64 random bits, a function of four non-negative integers."""
    return splitmix64(stream_key(np.uint64(seed), np.uint64(stream), np.uint64(step)), np.uint64(index))


@vectorize(["float64(int64, int64, int64, int64)"], cache=True)
def uniform(seed, stream, step, index):
    """Return a float64 in [0, 1), a function of four non-negative integers."""
    return to_uniform(random_bits(seed, stream, step, index))


@vectorize(["int64(int64, int64, int64, int64, int64)"], cache=True)
def integer(n, seed, stream, step, index):
    """Return an integer in [0, n), a function of n and four non-negative integers."""
    return to_integer(random_bits(seed, stream, step, index), n)


def minibatch(seeds, gradient_steps, size, batch_size):
    """Draw the transitions of minibatches, uniformly with replacement.

    seeds: (agents,). gradient_steps: (steps,), counted from 1. Returns indices in [0, size), (steps, agents, batch) int64.
    """
    steps = np.asarray(gradient_steps)[:, None, None]
    seeds = np.asarray(seeds)[None, :, None]
    return integer(size, seeds, MINIBATCH, steps, np.arange(batch_size))
