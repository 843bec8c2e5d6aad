"""Randomness as a function of (seed, stream, step, index): a counter-based generator.

Nothing is drawn in sequence, so no agent's numbers depend on who else is in the population,
on the engine or on the number of threads. The functions are NumPy ufuncs that broadcast, and
can be called from compiled code too.

Source: SplitMix64 (Steele, Lea and Flood, 2014).
"""

import numpy as np
from numba import uint64

from hanq.data.caching import njit, vectorize

INITIAL_WEIGHTS, MINIBATCH, EVALUATION, BEHAVIOUR, GAME = range(5)

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@njit(uint64(uint64, uint64), cache=True)
def splitmix64(seed, index):
    """Output number `index` (from 0) of SplitMix64 started at `seed`."""
    z = seed + (index + np.uint64(1)) * GOLDEN
    z = (z ^ (z >> np.uint64(30))) * MIX_1
    z = (z ^ (z >> np.uint64(27))) * MIX_2
    return z ^ (z >> np.uint64(31))


@njit(uint64(uint64, uint64, uint64), cache=True)
def stream_key(seed, stream, step):
    """The state from which one (seed, stream, step) counts its indices."""
    return splitmix64(splitmix64(seed, stream), step)


@njit(cache=True)
def to_uniform(bits):
    """64 random bits -> a float64 in [0, 1)."""
    return (bits >> np.uint64(11)) * 2.0**-53


@njit(cache=True)
def to_integer(bits, n):
    """64 random bits -> an integer in [0, n), for n below 2**32."""
    return np.int64(((bits >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit(cache=True)
def random_bits(seed, stream, step, index):
    """64 random bits, a function of the four non-negative integers."""
    return splitmix64(stream_key(np.uint64(seed), np.uint64(stream), np.uint64(step)), np.uint64(index))


@vectorize(["float64(int64, int64, int64, int64)"], cache=True)
def uniform(seed, stream, step, index):
    """Float64 in [0, 1), a function of the four non-negative integers."""
    return to_uniform(random_bits(seed, stream, step, index))


@vectorize(["int64(int64, int64, int64, int64, int64)"], cache=True)
def integer(n, seed, stream, step, index):
    """Integer in [0, n), a function of the four non-negative integers."""
    return to_integer(random_bits(seed, stream, step, index), n)


def minibatch(seeds, gradient_steps, size, batch_size):
    """Indices of the transitions that agents draw, uniformly with replacement.

    seeds: (agents,); gradient_steps: (steps,), counted from 1.
    Returns (steps, agents, batch) int64, each in [0, size).
    """
    steps = np.asarray(gradient_steps)[:, None, None]
    seeds = np.asarray(seeds)[None, :, None]
    return integer(size, seeds, MINIBATCH, steps, np.arange(batch_size))
