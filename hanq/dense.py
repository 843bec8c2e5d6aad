"""The first of two hidden layers and the weights above it: matrix products of one minibatch.

Forward they make the pre-activations on which `passes` goes on as on a network's inputs; the way
back starts from the gradient by these. With one hidden layer `below` is None, and what asks
for it is not even compiled.
"""

from numba import njit

from hanq.kernels import FAST, of_features, of_rows
from hanq.vector import LANES, add_multiples, at_least, filled, gate, load, load_each, store, store_each, zeros

TILE = (0,) * 8  # rows of a product that stay in registers


@njit(**FAST)
def product(a, b, depth, result):
    """result = a[:, :depth] @ b[:depth], in whole tiles; `a` may be a transpose.

    For 128 in each direction as fast as the processor multiplies, where a BLAS took 1.35 times
    as long (OpenBLAS, AVX-512); and its sums have one order on any number of threads.
    """
    for c in range(0, result.shape[1], LANES):
        for i in range(0, result.shape[0], len(TILE)):
            tile = zeros(b, TILE)
            for k in range(depth):
                tile = add_multiples(tile, a, i, k, load(b, k, c))
            store_each(result, i, c, tile)


@njit(**FAST)
def transpose(a, result):
    """Sixteen columns of the result at a time, so that both sides stay in cache."""
    for start in range(0, a.shape[0], LANES):
        for j in range(a.shape[1]):
            for i in range(start, start + LANES):
                result[j, i] = a[i, j]


@njit(**FAST)
def first_forward(params, x, features, inputs, h):
    """The first layer's features, (features, batch), rows of the minibatch side by side."""
    for r in range(0, x.shape[1], LANES):
        row = load_each(x, 0, r, inputs)
        for f in range(features):
            store(h, f, r, at_least(of_rows(params, x, f, r, row), 0))


@njit(**FAST)
def first_again(params, x, batch, inputs, h):
    """The same features once more, (batch, features): as cheap as to transpose them."""
    for c in range(0, params.shape[1], LANES):
        weights, constant = load_each(params, 0, c, inputs), load(params, len(inputs), c)
        for r in range(batch):
            store(h, r, c, at_least(of_features(constant, weights, x, r, c), 0))


@njit(**FAST)
def first_backward(x, h, d_h, batch, inputs, gradient):
    """Gradient of the first layer's weights and biases, from d loss / d h, (batch, features)."""
    for c in range(0, gradient.shape[1], LANES):
        d_weights, d_constant = zeros(x, inputs), filled(x, 0)
        for r in range(batch):
            d_before = gate(load(h, r, c), load(d_h, r, c))
            d_weights = add_multiples(d_weights, x, 0, r, d_before)
            d_constant = d_constant + d_before
        store_each(gradient, 0, c, d_weights)
        store(gradient, len(inputs), c, d_constant)


@njit(**FAST)
def below_forward(params, observations, features, inputs, below, z):
    """Pre-activations of the last hidden layer without its biases, into z (features, batch)."""
    if below is not None:
        first_forward(params, observations, features, inputs, below.h)
        product(params[len(inputs) + 1 :], below.h, features, z)


@njit(**FAST)
def turn_back(below, z):
    """Ready for the way back: z of the branch whose turn it is, and no gradient yet."""
    if below is not None:
        transpose(z, below.z_back)
        below.d_z[:] = 0


@njit(**FAST)
def below_backward(params, observations, features, batch, inputs, below, gradient):
    """Gradient, (rows, features), of all below the last hidden layer, from below.d_z."""
    if below is not None:
        below.d_z[:, features:] = 0  # a norm's mean leaks into the padding
        first_again(params, observations, batch, inputs, below.h_back)
        product(below.d_z.T, below.h_back, batch, gradient[len(inputs) + 1 :])
        product(below.d_z, params[len(inputs) + 1 :], features, below.d_h)
        first_backward(observations, below.h_back, below.d_h, batch, inputs, gradient)
