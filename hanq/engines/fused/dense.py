"""Matrix products for what is below the last hidden layer: the first of two hidden layers, or the weights of wide observations.

In the forward pass they compute the pre-activations, which `passes` then treats like inputs of the network; the backward pass
starts from the gradient with respect to these. With one hidden layer and few inputs, `below` is None and none of this is
compiled.
"""

from hanq.data.foundations.compiling import part
from hanq.engines.fused.kernels import FAST, of_features, of_rows
from hanq.engines.fused.vector import LANES, WIDTH, add_multiples, at_least, filled, gate, load, load_each, store, store_each, zeros

TILE = (0,) * (8 if WIDTH == LANES else 4)  # the number of rows of a product that stay in registers


@part(**FAST)
def product(a, b, depth, result):
    """Compute result = a[:, :depth] @ b[:depth], in whole tiles; `a` may be a transpose.

    Tiles are two vectors wide, so that every number loaded from `a` is used twice and there are enough sums to hide their
    latency. The order of sums does not depend on the number of threads.
    """
    columns = result.shape[1]
    paired = columns - columns % (2 * WIDTH)
    for c in range(0, paired, 2 * WIDTH):
        for i in range(0, result.shape[0], len(TILE)):
            left, right = zeros(b, TILE), zeros(b, TILE)
            for k in range(depth):
                left = add_multiples(left, a, i, k, load(b, k, c))
                right = add_multiples(right, a, i, k, load(b, k, c + WIDTH))
            store_each(result, i, c, left)
            store_each(result, i, c + WIDTH, right)
    for c in range(paired, columns, WIDTH):
        for i in range(0, result.shape[0], len(TILE)):
            tile = zeros(b, TILE)
            for k in range(depth):
                tile = add_multiples(tile, a, i, k, load(b, k, c))
            store_each(result, i, c, tile)


@part(**FAST)
def transpose(a, result):
    """Transpose a matrix, sixteen columns of the result at a time, so that both sides stay in cache."""
    for start in range(0, a.shape[0], LANES):
        for j in range(a.shape[1]):
            for i in range(start, start + LANES):
                result[j, i] = a[i, j]


@part(**FAST)
def first_forward(params, x, features, inputs, h):
    """Compute the features of the first layer, (features, batch)."""
    for r in range(0, x.shape[1], WIDTH):
        row = load_each(x, 0, r, inputs)
        for f in range(features):
            store(h, f, r, at_least(of_rows(params, x, f, r, row), 0))


@part(**FAST)
def first_again(params, x, batch, inputs, h):
    """Compute the same features again as (batch, features), which is as cheap as transposing them."""
    for c in range(0, params.shape[1], WIDTH):
        weights, constant = load_each(params, 0, c, inputs), load(params, len(inputs), c)
        for r in range(batch):
            store(h, r, c, at_least(of_features(constant, weights, x, r, c), 0))


@part(**FAST)
def first_backward(x, h, d_h, batch, inputs, gradient):
    """Compute the gradient of the first layer's weights and biases from d loss / d h, (batch, features)."""
    for c in range(0, gradient.shape[1], WIDTH):
        d_weights, d_constant = zeros(x, inputs), filled(x, 0)
        for r in range(batch):
            d_before = gate(load(h, r, c), load(d_h, r, c))
            d_weights = add_multiples(d_weights, x, 0, r, d_before)
            d_constant = d_constant + d_before
        store_each(gradient, 0, c, d_weights)
        store(gradient, len(inputs), c, d_constant)


@part(**FAST)
def wide_features(params, x, h):
    """Do what `first_again` does for wide observations, x (obs_rows, batch). params: their weights and the biases."""
    product(x.T, params, len(x), h)
    bias = params[len(x)]
    for r in range(h.shape[0]):
        for f in range(h.shape[1]):
            before_relu = h[r, f] + bias[f]
            h[r, f] = h.dtype.type(0) if before_relu < 0 else before_relu


@part(**FAST)
def wide_backward(x, h, d_h, batch, gradient):
    """Do what `first_backward` does for wide observations. d_h becomes the gradient of the pre-activations."""
    gradient[len(x)] = 0
    for r in range(batch):
        for f in range(h.shape[1]):
            if h[r, f] <= 0:  # false for NaN
                d_h[r, f] = 0
            gradient[len(x), f] += d_h[r, f]
    product(x, d_h, batch, gradient[: len(x)])


@part(**FAST)
def below_forward(params, observations, features, first, second, below, z):
    """Compute the pre-activations of the last hidden layer without its biases, into z (features, batch)."""
    if below is None:
        return
    if len(second) == 0:
        product(params.T, observations, len(observations), z)
        return
    if len(first) > 0:
        first_forward(params, observations, features, first, below.h)
    else:
        wide_features(params, observations, below.h_back)
        transpose(below.h_back, below.h)
    product(params[len(observations) + 1 :], below.h, features, z)


@part(**FAST)
def turn_back(below, z):
    """Prepare the backward pass of a branch: transpose its z, and set the gradient to 0."""
    if below is not None:
        transpose(z, below.z_back)
        below.d_z[:] = 0


@part(**FAST)
def clear_padding(below, features):
    """Drop what the mean of a norm has leaked into the padding of below.d_z."""
    if below is not None:
        below.d_z[:, features:] = 0


@part(**FAST)
def below_backward(params, observations, features, batch, first, second, below, gradient):
    """Compute the gradient, (rows, features), of everything below the last hidden layer, from below.d_z."""
    if below is None:
        return
    if len(second) == 0:
        product(observations, below.d_z, batch, gradient)
        return
    weights = len(observations) + 1  # the number of rows before those of the second layer
    if len(first) > 0:
        first_again(params, observations, batch, first, below.h_back)
    else:
        wide_features(params, observations, below.h_back)
    product(below.d_z.T, below.h_back, batch, gradient[weights:])
    product(below.d_z, params[weights:], features, below.d_h)
    if len(first) > 0:
        first_backward(observations, below.h_back, below.d_h, batch, first, gradient)
    else:
        wide_backward(observations, below.h_back, below.d_h, batch, gradient)
