"""A convolution of 16 filters over binary screens, and the linear layer above it, computed only where something is on the screen.

Few bits of a screen are 1, so that the convolution is a sum of few filter columns. At most positions of its output nothing lies
under the filter, and the result is relu(bias) there, the background, whatever the screen: of these positions the linear layer
needs one product for all rows of the minibatch, and its gradient one sum over rows. What is left are small matrix products, one
for each position with the rows of the minibatch that have something there, in tiles of 4 rows and one `Vector`.

The layer's weights lie in the order (position, filter), so that the 16 filters of a position are one `Vector`; those of the
convolution, (channel, row, column), then the bias, are rows of 16 at the top of an agent's matrix (`Structure.torso`).
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hanq.data.foundations.compiling import part
from hanq.engines.fused.dense import transpose
from hanq.engines.fused.kernels import FAST
from hanq.engines.fused.vector import LANES, add_multiples, at_least, element, fills, gate, loaded, reads, store, store_each

KERNEL = 3  # the side of a filter
TILE = 4  # rows of a product that stay in registers
FOUR = (0,) * TILE
load, at = reads(loaded, LANES), reads(element, LANES)  # whatever the processor: a position's filters are one vector
filled, zeros = fills(LANES)


@intrinsic
def lowest(typing, word):
    """Return the position of the lowest bit of a 64-bit word that is 1."""

    def lower(context, builder, signature, values):
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), lower


@part(**FAST)
def columns_of(torso):
    """Return how many rows of torso.h a position has: those of the minibatch, padded, and the spare one."""
    return len(torso.h) // len(torso.rows)


@part(**FAST)
def convolve(structure, filters, torso):
    """Compute relu(convolution) of every screen, into torso.h, and list the rows that have something at each position."""
    positions, bias, columns = len(torso.rows), KERNEL * KERNEL * structure.channels, columns_of(torso)
    store(torso.ground, 0, 0, at_least(load(filters, bias, 0), 0))
    torso.counts[:] = 0
    before_relu, last = torso.before_relu, torso.rows.shape[1] - 1
    for r in range(structure.batch):
        for p in range(positions):
            store(before_relu, p, 0, load(filters, bias, 0))
            torso.touched[p] = 0
        for w in range(torso.screens.shape[1]):
            word = torso.screens[r, w]
            while word != np.uint64(0):
                bit = w * 64 + lowest(word)
                word &= word - np.uint64(1)
                for n in range(torso.starts[bit], torso.starts[bit + 1]):
                    p, row = torso.taps[n, 0], torso.taps[n, 1]
                    torso.touched[p] = 1
                    store(before_relu, p, 0, load(before_relu, p, 0) + load(filters, row, 0))
        for p in range(positions):
            store(torso.h, p * columns + r, 0, at_least(load(before_relu, p, 0), 0))
            count = torso.counts[p]
            torso.rows[p, count if torso.touched[p] else last - (r - count)] = r
            torso.counts[p] = count + torso.touched[p]
    for p in range(positions):
        torso.rows[p, torso.counts[p] : last - (structure.batch - torso.counts[p]) + 1] = columns - 1


@part(**FAST)
def background_forward(weights, background, ground):
    """Compute ground @ weights for each position, (positions, features), and in the last row their sum. ground: (1, 16)."""
    positions = len(background) - 1
    for c in range(0, weights.shape[1], LANES):
        total = filled(weights, 0)
        for p in range(positions):
            here = filled(weights, 0)
            for k in range(LANES):
                here = here + at(ground, 0, k) * load(weights, p * LANES + k, c)
            store(background, p, c, here)
            total = total + here
        store(background, positions, c, total)


@part(**FAST)
def screens_forward(structure, params, torso, below, z):
    """Compute the pre-activations of the hidden layer without its biases, into z (features, batch), from torso.screens."""
    filters, weights = params[: structure.torso].reshape(-1, LANES), params[structure.torso :]
    convolve(structure, filters, torso)
    h, rows, z_rows = torso.h, torso.rows, below.h_back
    background_forward(weights, torso.background, torso.ground)
    for c in range(0, weights.shape[1], LANES):
        for r in range(len(z_rows)):
            store(z_rows, r, c, load(torso.background, len(rows), c))
    for p in range(len(rows)):
        first, weight = p * columns_of(torso), p * LANES
        for c in range(0, weights.shape[1], LANES):
            background = load(torso.background, p, c)
            for t in range(0, torso.counts[p], TILE):
                i, j, k, m = rows[p, t], rows[p, t + 1], rows[p, t + 2], rows[p, t + 3]
                a, b = load(z_rows, i, c) - background, load(z_rows, j, c) - background
                d, e = load(z_rows, k, c) - background, load(z_rows, m, c) - background
                for f in range(LANES):
                    column = load(weights, weight + f, c)
                    a, b = a + at(h, first + i, f) * column, b + at(h, first + j, f) * column
                    d, e = d + at(h, first + k, f) * column, e + at(h, first + m, f) * column
                store(z_rows, i, c, a)
                store(z_rows, j, c, b)
                store(z_rows, k, c, d)
                store(z_rows, m, c, e)
    transpose(z_rows[: z.shape[1]], z)


@part(**FAST)
def weights_backward(structure, torso, p, d_z, gradient):
    """Compute the gradient of the weights of position p, (16, features), and in torso.d_background that of its background's z."""
    rows, count, of_h = torso.rows, torso.counts[p], p * columns_of(torso)
    last = rows.shape[1] - 1
    for c in range(0, gradient.shape[1], LANES):
        d_background = filled(d_z, 0)
        for t in range(0, structure.batch - count, TILE):
            i, j, k, m = rows[p, last - t], rows[p, last - t - 1], rows[p, last - t - 2], rows[p, last - t - 3]
            d_background = d_background + ((load(d_z, i, c) + load(d_z, j, c)) + (load(d_z, k, c) + load(d_z, m, c)))
        store(torso.d_background, 0, c, d_background)
        for k in range(0, LANES, TILE):
            total = add_multiples(zeros(d_z, FOUR), torso.ground.T, k, 0, d_background)
            for t in range(count):
                r = rows[p, t]
                total = add_multiples(total, torso.h.T, k, of_h + r, load(d_z, r, c))
            store_each(gradient, p * LANES + k, c, total)


@part(**FAST)
def position_backward(torso, p, d_z):
    """Return the gradient of the convolution's bias at position p, and write that of its pre-activations into torso.d_before."""
    h, rows, weights, first = torso.h, torso.rows, torso.transposed, p * columns_of(torso)
    rest = filled(d_z, 0)
    for f in range(len(weights)):
        rest = rest + at(torso.d_background, 0, f) * load(weights, f, 0)
    d_bias = gate(load(torso.ground, 0, 0), rest)
    for t in range(0, torso.counts[p], TILE):
        i, j, k, m = rows[p, t], rows[p, t + 1], rows[p, t + 2], rows[p, t + 3]
        a, b, d, e = filled(d_z, 0), filled(d_z, 0), filled(d_z, 0), filled(d_z, 0)
        for f in range(len(weights)):
            column = load(weights, f, 0)
            a, b = a + at(d_z, i, f) * column, b + at(d_z, j, f) * column
            d, e = d + at(d_z, k, f) * column, e + at(d_z, m, f) * column
        a, b = gate(load(h, first + i, 0), a), gate(load(h, first + j, 0), b)
        d, e = gate(load(h, first + k, 0), d), gate(load(h, first + m, 0), e)
        store(torso.d_before, first + i, 0, a)
        store(torso.d_before, first + j, 0, b)
        store(torso.d_before, first + k, 0, d)
        store(torso.d_before, first + m, 0, e)
        d_bias = d_bias + (a + b + d + e)
    return d_bias


@part(**FAST)
def filters_backward(structure, torso, gradient):
    """Add the gradient of the filters, rows of 16, from torso.d_before."""
    columns = columns_of(torso)
    for r in range(structure.batch):
        for w in range(torso.screens.shape[1]):
            word = torso.screens[r, w]
            while word != np.uint64(0):
                bit = w * 64 + lowest(word)
                word &= word - np.uint64(1)
                for n in range(torso.starts[bit], torso.starts[bit + 1]):
                    p, row = torso.taps[n, 0], torso.taps[n, 1]
                    store(gradient, row, 0, load(gradient, row, 0) + load(torso.d_before, p * columns + r, 0))


@part(**FAST)
def screens_backward(structure, params, torso, below, gradient):
    """Compute the gradient, (rows, features), of convolution and hidden weights, from below.d_z (batch, features)."""
    d_z, weights = below.d_z, params[structure.torso :]
    filters = gradient[: structure.torso].reshape(-1, LANES)
    filters[:] = 0
    d_bias = filled(d_z, 0)
    for p in range(len(torso.rows)):
        transpose(weights[p * LANES : (p + 1) * LANES], torso.transposed)
        weights_backward(structure, torso, p, d_z, gradient[structure.torso :])
        d_bias = d_bias + position_backward(torso, p, d_z)
    filters_backward(structure, torso, filters)
    bias = KERNEL * KERNEL * structure.channels
    store(filters, bias, 0, d_bias)
