"""Promise: randomness is a function of (seed, stream, step, index) alone, and is uniform."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy.stats import chisquare

from hanq.data.foundations import generator
from hanq.data.foundations.generator import integer, minibatch, random_bits, splitmix64, uniform

KNOWN = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
counters = st.integers(0, 2**40)


def test_splitmix64_gives_its_published_outputs():
    assert [int(splitmix64(np.uint64(1234567), np.uint64(i))) for i in range(5)] == KNOWN


@settings(deadline=None, derandomize=True, max_examples=200)
@given(counters, st.integers(0, 3), counters, counters, st.integers(1, 2**32 - 1))
def test_numbers_stay_in_their_ranges(seed, stream, step, index, n):
    assert 0.0 <= uniform(seed, stream, step, index) < 1.0
    assert 0 <= integer(n, seed, stream, step, index) < n


def test_ranges_hold_at_the_extreme_bits():
    ones, zeros = np.uint64(2**64 - 1), np.uint64(0)
    assert generator.to_uniform(zeros) == 0.0 and generator.to_uniform(ones) == 1 - 2.0**-53
    for n in (1, 2, 3, 10_000, 2**32 - 1):
        assert generator.to_integer(zeros, n) == 0 and generator.to_integer(ones, n) == n - 1


@settings(deadline=None, derandomize=True, max_examples=100)
@given(counters, st.integers(0, 3), counters, counters)
def test_numpy_python_and_compiled_paths_are_equal(seed, stream, step, index):
    bits = splitmix64.py_func
    with np.errstate(over="ignore"):  # wrapping around is what SplitMix64 does
        key = bits(bits(np.uint64(seed), np.uint64(stream)), np.uint64(step))
        expected = (int(bits(key, np.uint64(index))) >> 11) * 2.0**-53
    assert uniform(seed, stream, step, index) == expected
    assert compiled(seed, stream, step, index) == expected
    assert uniform(np.full(3, seed), stream, step, index).tolist() == [expected] * 3


@njit
def compiled(seed, stream, step, index):
    return generator.to_uniform(random_bits(seed, stream, step, index))


@pytest.mark.parametrize("vary", range(4))
def test_uniform_numbers_fill_every_bin_alike_along_each_counter(vary):
    counter = [7, 1, 11, 0]
    counter[vary] = np.arange(100_000)
    counts, _ = np.histogram(uniform(*counter), bins=100, range=(0, 1))
    assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("n", [2, 3, 1000])
def test_integers_are_uniform(n):
    draws = integer(n, 3, generator.BEHAVIOUR, 0, np.arange(300_000))
    assert chisquare(np.bincount(draws, minlength=n)).pvalue > 1e-3


@pytest.mark.parametrize("vary", range(3))
def test_another_seed_stream_or_step_gives_unrelated_numbers(vary):
    counter, other = [5, 1, 9], [5, 1, 9]
    other[vary] += 1
    one, two = (uniform(*c, np.arange(10_000)) for c in (counter, other))
    assert not np.isin(one, two).any()
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.04


def test_streams_have_numbers_of_their_own():
    streams = [generator.INITIAL_WEIGHTS, generator.MINIBATCH, generator.EVALUATION, generator.BEHAVIOUR]
    assert len(set(streams)) == 4


def test_minibatches_are_functions_of_the_seed_and_the_step():
    indices = minibatch([4, 8, 4], np.arange(10, 15), size=50, batch_size=7)
    assert indices.shape == (5, 3, 7) and indices.dtype == np.int64
    assert indices.min() >= 0 and indices.max() < 50
    np.testing.assert_array_equal(indices[:, 0], indices[:, 2])
    assert (indices[:, 0] != indices[:, 1]).any()
    np.testing.assert_array_equal(indices[2:3, 1:2], minibatch([8], [12], 50, 7))


def test_minibatches_draw_every_transition_equally_often():
    indices = minibatch(range(20), np.arange(1, 101), size=50, batch_size=32)
    assert chisquare(np.bincount(indices.ravel(), minlength=50)).pvalue > 1e-3
