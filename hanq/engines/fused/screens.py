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
from hanq.engines.fused.kernels import FAST
from hanq.engines.fused.vector import LANES, add_multiples, at, at_least, filled, gate, load, store, store_each, zeros

KERNEL = 3  # the side of a filter
TILE = 4  # rows of a product that stay in registers
FOUR = (0,) * TILE


@intrinsic
def lowest(typing, word):
    """Return the position of the lowest bit of a 64-bit word that is 1."""

    def lower(context, builder, signature, values):
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), lower


@part(**FAST)
def convolve(structure, filters, torso):
    """Compute relu(convolution) of every screen, into torso.h, and list the rows that differ from the background at each position."""
    out, bias = structure.side - KERNEL + 1, KERNEL * KERNEL * structure.channels
    torso.counts[:] = 0
    before_relu = torso.before_relu
    for r in range(structure.batch):
        for p in range(out * out):
            store(before_relu, p, 0, load(filters, bias, 0))
            torso.touched[p] = 0
        for w in range(torso.screens.shape[1]):
            word = torso.screens[r, w]
            while word != np.uint64(0):
                bit = w * 64 + lowest(word)
                word &= word - np.uint64(1)
                channel, y, x = torso.places[bit, 0], torso.places[bit, 1], torso.places[bit, 2]
                for i in range(max(0, y - out + 1), min(KERNEL, y + 1)):
                    for j in range(max(0, x - out + 1), min(KERNEL, x + 1)):
                        p = (y - i) * out + x - j
                        torso.touched[p] = 1
                        store(before_relu, p, 0, load(before_relu, p, 0) + load(filters, (channel * KERNEL + i) * KERNEL + j, 0))
        for p in range(out * out):
            store(torso.h, r, p * LANES, at_least(load(before_relu, p, 0), 0))
            torso.rows[p, torso.counts[p]] = r  # overwritten unless something lies there
            torso.counts[p] += torso.touched[p]
    spare = len(torso.h) - 1
    for p in range(out * out):
        for k in range(torso.counts[p], torso.rows.shape[1]):
            torso.rows[p, k] = spare


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
    bias = KERNEL * KERNEL * structure.channels
    store(torso.ground, 0, 0, at_least(load(filters, bias, 0), 0))
    background_forward(weights, torso.background, torso.ground)
    h, rows, z_rows = torso.h, torso.rows, below.h_back
    positions = len(rows)
    for c in range(0, weights.shape[1], LANES):
        for r in range(len(z_rows)):
            store(z_rows, r, c, load(torso.background, positions, c))
    for p in range(positions):
        for c in range(0, weights.shape[1], LANES):
            ground = load(torso.background, p, c)
            for t in range(0, torso.counts[p], TILE):
                i, j, k, m = rows[p, t], rows[p, t + 1], rows[p, t + 2], rows[p, t + 3]
                a, b = load(z_rows, i, c) - ground, load(z_rows, j, c) - ground
                d, e = load(z_rows, k, c) - ground, load(z_rows, m, c) - ground
                for f in range(p * LANES, (p + 1) * LANES):
                    column = load(weights, f, c)
                    a, b = a + at(h, i, f) * column, b + at(h, j, f) * column
                    d, e = d + at(h, k, f) * column, e + at(h, m, f) * column
                store(z_rows, i, c, a)
                store(z_rows, j, c, b)
                store(z_rows, k, c, d)
                store(z_rows, m, c, e)
    for start in range(0, z.shape[0], LANES):
        for r in range(z.shape[1]):
            for f in range(start, start + LANES):
                z[f, r] = z_rows[r, f]


@part(**FAST)
def weights_backward(torso, p, d_z, idle, gradient):
    """Compute the gradient of the weights of position p, (16, features). idle: (1, features), d_z summed over all other rows."""
    for c in range(0, gradient.shape[1], LANES):
        for k in range(0, LANES, TILE):
            total = add_multiples(zeros(d_z, FOUR), torso.ground.T, k, 0, load(idle, 0, c))
            for t in range(torso.counts[p]):
                r = torso.rows[p, t]
                total = add_multiples(total, torso.h.T, p * LANES + k, r, load(d_z, r, c))
            store_each(gradient, p * LANES + k, c, total)


@part(**FAST)
def position_backward(torso, p, d_z, idle):
    """Return the gradient of the convolution's bias at position p, and write that of its pre-activations into torso.d_before."""
    h, rows, transposed, first = torso.h, torso.rows, torso.transposed, p * LANES
    rest = filled(d_z, 0)
    for f in range(len(transposed)):
        rest = rest + at(idle, 0, f) * load(transposed, f, 0)
    d_bias = gate(load(torso.ground, 0, 0), rest)
    for t in range(0, torso.counts[p], TILE):
        i, j, k, m = rows[p, t], rows[p, t + 1], rows[p, t + 2], rows[p, t + 3]
        a, b, d, e = filled(d_z, 0), filled(d_z, 0), filled(d_z, 0), filled(d_z, 0)
        for f in range(len(transposed)):
            weights = load(transposed, f, 0)
            a, b = a + at(d_z, i, f) * weights, b + at(d_z, j, f) * weights
            d, e = d + at(d_z, k, f) * weights, e + at(d_z, m, f) * weights
        a, b = gate(load(h, i, first), a), gate(load(h, j, first), b)
        d, e = gate(load(h, k, first), d), gate(load(h, m, first), e)
        store(torso.d_before, i, first, a)
        store(torso.d_before, j, first, b)
        store(torso.d_before, k, first, d)
        store(torso.d_before, m, first, e)
        d_bias = d_bias + (a + b + d + e)
    return d_bias


@part(**FAST)
def filters_backward(structure, torso, gradient):
    """Add the gradient of the filters, rows of 16, from torso.d_before."""
    out = structure.side - KERNEL + 1
    for r in range(structure.batch):
        for w in range(torso.screens.shape[1]):
            word = torso.screens[r, w]
            while word != np.uint64(0):
                bit = w * 64 + lowest(word)
                word &= word - np.uint64(1)
                channel, y, x = torso.places[bit, 0], torso.places[bit, 1], torso.places[bit, 2]
                for i in range(max(0, y - out + 1), min(KERNEL, y + 1)):
                    for j in range(max(0, x - out + 1), min(KERNEL, x + 1)):
                        row, first = (channel * KERNEL + i) * KERNEL + j, ((y - i) * out + x - j) * LANES
                        store(gradient, row, 0, load(gradient, row, 0) + load(torso.d_before, r, first))


@part(**FAST)
def screens_backward(structure, params, torso, below, gradient):
    """Compute the gradient, (rows, features), of convolution and hidden weights, from below.d_z (batch, features)."""
    d_z, weights, transposed, idle = below.d_z, params[structure.torso :], torso.transposed, torso.idle
    filters = gradient[: structure.torso].reshape(-1, LANES)
    filters[:] = 0
    d_bias = filled(d_z, 0)
    for p in range(len(torso.rows)):
        for f in range(len(transposed)):
            for k in range(LANES):
                transposed[f, k] = weights[p * LANES + k, f]
        torso.touched_rows[:] = False
        for t in range(torso.counts[p]):
            torso.touched_rows[torso.rows[p, t]] = True
        idle[:] = 0
        for r in range(structure.batch):
            if not torso.touched_rows[r]:
                for c in range(0, d_z.shape[1], LANES):
                    store(idle, 0, c, load(idle, 0, c) + load(d_z, r, c))
        weights_backward(torso, p, d_z, idle, gradient[structure.torso :])
        d_bias = d_bias + position_backward(torso, p, d_z, idle)
    filters_backward(structure, torso, filters)
    bias = KERNEL * KERNEL * structure.channels
    store(filters, bias, 0, d_bias)
