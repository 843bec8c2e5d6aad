"""The compiled networks of one agent for one observation, for acting and evaluating.

These are the functions of `reference` without agents and batches; tests compare the two.
"""

from dataclasses import replace
from math import exp, isfinite, isqrt, prod, sqrt
from typing import NamedTuple

import numpy as np

from hanq.algorithm import CHOICES, NORM_EPSILON
from hanq.algorithm.network import FILTER_SIDE, FILTERS
from hanq.data.foundations.compiling import part
from hanq.engines.fused.vector import FLAGS

FAST = set(FLAGS)
NORMS, PREDICTORS = CHOICES["main_norm"], CHOICES["predictor"]  # a layout stores positions in these
LAYER, L2 = np.float32(NORM_EPSILON["layer"]), np.float32(NORM_EPSILON["l2"])


class Layout(NamedTuple):
    """The structure of a network as integers, and the position at which each parameter starts, -1 if it is absent."""

    obs_dim: int
    actions: int
    features: int
    hidden_layers: int
    norm_first: int
    main_norm: int
    predictor: int
    predictor_norm: int
    positive_scale: int
    channels: int  # of binary screens; 0 without a convolution
    side: int
    conv_0: int
    conv_0_bias: int
    hidden_0: int
    hidden_0_bias: int
    hidden_1: int
    hidden_1_bias: int
    head: int
    head_bias: int
    predictor_weight: int
    predictor_bias: int
    main_norm_weight: int
    main_norm_bias: int
    predictor_norm_weight: int
    predictor_norm_bias: int


def layout(network):
    """Return the `Layout` of a network whose LayerNorms all have gains and offsets; see `with_affine`."""
    starts, start = {}, 0
    for name, shape in network.shapes.items():
        starts[name] = start
        start += prod(shape)
    algorithm, channels, side = network.algorithm, 0, 0
    if network.convolutions:
        channels, side = network.convolutions[0].inputs, isqrt(network.obs_dim // FILTERS) + FILTER_SIDE - 1
    layers = ("conv_0", "hidden_0", "hidden_1", "head", "predictor", "main_norm", "predictor_norm")
    return Layout(
        network.obs_dim,
        network.actions,
        algorithm.hidden_features,
        algorithm.hidden_layers,
        int(algorithm.norm_first),
        NORMS.index(algorithm.main_norm),
        PREDICTORS.index(algorithm.predictor),
        NORMS.index(algorithm.predictor_norm),
        int(algorithm.positive_scale),
        channels,
        side,
        *(starts.get(f"{layer}.{part}", -1) for layer in layers for part in ("weight", "bias")),
    )


def with_affine(network, params):
    """Add gains of 1 and offsets of 0 to LayerNorms that learn none, because `layout` expects them."""
    if network.algorithm.norm_affine:
        return network, params
    full = replace(network, algorithm=replace(network.algorithm, norm_affine=True))
    extended = np.zeros((len(params), full.size), params.dtype)
    views, learned = full.views(extended), network.views(params)
    for name, view in views.items():
        view[...] = learned.get(name, float(name.endswith("norm.weight")))
    return full, extended


@part(fastmath=FAST)
def dot(a, b):
    total = np.float32(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@part(fastmath=FAST)
def normalise(kind, x, params, weight, bias):
    """Normalise `x` (features,) in place; weight, bias: where LayerNorm's affine part starts."""
    n = len(x)
    if kind == 1:
        mean = np.float32(0)
        for i in range(n):
            mean += x[i]
        mean /= np.float32(n)
        variance = np.float32(0)
        for i in range(n):
            variance += (x[i] - mean) * (x[i] - mean)
        rstd = np.float32(1) / sqrt(variance / np.float32(n) + LAYER)
        for i in range(n):
            x[i] = (x[i] - mean) * rstd * params[weight + i] + params[bias + i]
    elif kind == 2:
        scale = np.float32(1) / max(sqrt(dot(x, x)), L2)
        for i in range(n):
            x[i] *= scale


@part(fastmath=FAST)
def rectify(x):
    for i in range(len(x)):
        x[i] = x[i] if x[i] > 0 or x[i] != x[i] else np.float32(0)


@part(fastmath=FAST)
def dense(out, inputs, transposed, bias):
    """out[f] = bias[f] + sum_i inputs[i] * transposed[i, f]"""
    for f in range(len(out)):
        out[f] = bias[f]
    for i in range(len(inputs)):
        x = inputs[i]
        row = transposed[i]
        for f in range(len(out)):
            out[f] += x * row[f]


def weights_of(layout, params):
    """Return the hidden weights as (inputs, features), for vector loops over features, and the biases; and of a convolution its
    filters, (channels * 9 + 1, filters) with the bias last, and memory for its output, in the order (position, filter)."""
    n, filters, convolved = layout.features, np.zeros((1, FILTERS), np.float32), np.zeros(0, np.float32)
    first = params[layout.hidden_0 : layout.hidden_0_bias].reshape((n, layout.obs_dim)).T
    if layout.channels:
        first = first.reshape(FILTERS, -1, n).swapaxes(0, 1).reshape(layout.obs_dim, n)
        filters = params[layout.conv_0 : layout.conv_0_bias + FILTERS].reshape(-1)
        filters = np.vstack([filters[:-FILTERS].reshape(FILTERS, -1).T, filters[-FILTERS:]])
        convolved = np.empty(layout.obs_dim, np.float32)
    first, first_bias = first.copy(), params[layout.hidden_0_bias : layout.hidden_0_bias + n]
    if layout.hidden_layers == 1:
        return first, first_bias, first, first_bias, filters, convolved
    second = params[layout.hidden_1 : layout.hidden_1_bias].reshape((n, n)).T.copy()
    return first, first_bias, second, params[layout.hidden_1_bias : layout.hidden_1_bias + n], filters, convolved


@part(fastmath=FAST)
def convolve(layout, filters, screen, convolved):
    """Compute relu(convolution) of a screen, (channels * side * side,) of 0 and 1."""
    side, out, count = layout.side, layout.side - FILTER_SIDE + 1, filters.shape[1]
    for i in range(len(convolved)):
        convolved[i] = filters[-1, i % count]
    for cell in range(len(screen)):
        if screen[cell] == 0:
            continue
        channel, y, x = cell // (side * side), cell // side % side, cell % side
        for i in range(max(0, y - out + 1), min(FILTER_SIDE, y + 1)):
            for j in range(max(0, x - out + 1), min(FILTER_SIDE, x + 1)):
                column, first = filters[(channel * FILTER_SIDE + i) * FILTER_SIDE + j], ((y - i) * out + x - j) * count
                for f in range(count):
                    convolved[first + f] += column[f]
    rectify(convolved)


@part()
def hidden(layout, weights, observation, before_relu, scratch):
    """Compute the last hidden layer before its ReLU, into `before_relu` (features,)."""
    first, first_bias, second, second_bias, filters, convolved = weights
    if layout.channels > 0:
        convolve(layout, filters, observation, convolved)
        dense(before_relu, convolved, first, first_bias)
    else:
        dense(before_relu, observation, first, first_bias)
    if layout.hidden_layers == 2:
        for f in range(len(scratch)):
            scratch[f] = before_relu[f]
        rectify(scratch)
        dense(before_relu, scratch, second, second_bias)


@part()
def features(norm_first, kind, params, weight, bias, before_relu, out):
    """Apply the ReLU and the normalisation of one path, into `out` (features,)."""
    for f in range(len(out)):
        out[f] = before_relu[f]
    if norm_first:
        normalise(kind, out, params, weight, bias)
        rectify(out)
    else:
        rectify(out)
        normalise(kind, out, params, weight, bias)


@part()
def q_values(layout, params, before_relu, scratch, q):
    """Compute Q(s, a) of every action, into `q` (actions,)."""
    n = layout.features
    features(layout.norm_first, layout.main_norm, params, layout.main_norm_weight, layout.main_norm_bias, before_relu, scratch)
    for a in range(layout.actions):
        start = layout.head + a * n
        q[a] = dot(scratch, params[start : start + n]) + params[layout.head_bias + a]


@part()
def predictor_scale(layout, params, before_relu, scratch):
    """Return the predictor's scale for one state, 1 without a predictor."""
    if layout.predictor == 0:
        return np.float32(1)
    raw = params[layout.predictor_bias]
    if layout.predictor == 2:
        features(
            layout.norm_first, layout.predictor_norm, params, layout.predictor_norm_weight, layout.predictor_norm_bias, before_relu, scratch
        )
        raw += dot(scratch, params[layout.predictor_weight : layout.predictor_weight + layout.features])
    return np.float32(exp(raw)) if layout.positive_scale else raw


@part()
def greedy(q):
    """Return the best action, the first in a tie, and 0 if a Q-value is not finite."""
    best = 0
    for a in range(len(q)):
        if not isfinite(q[a]):
            return 0
        if q[a] > q[best]:
            best = a
    return best


@part()
def highest(q):
    """Return the largest element of `q`, or NaN if it contains one."""
    best = q[0]
    for a in range(1, len(q)):
        if q[a] > best or q[a] != q[a]:
            best = q[a]
    return best
