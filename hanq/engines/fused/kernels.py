"""The loops of the fused engine that cost time: rows of a minibatch against hidden features.

Forward, sixteen rows of the minibatch lie side by side in a `Vector` and the loop runs over
features, so that sums over features need no shuffling. Backward, sixteen features lie side by
side and the loop runs over rows, so that sums over rows, which are the gradient, stay in
registers. Activations are computed anew rather than stored: with few inputs that is as cheap as
loading them.

Shapes: params (rows, features), one row for each input's weights, then the hidden biases; x
(inputs, batch); heads (heads, features): the actions', then the predictor's. Features and batch
are padded to whole vectors. `inputs`, `outputs`, ... are tuples that matter by their length.

Above another hidden layer there are no inputs: params start with the biases, and x holds the
pre-activations but for these, (features, batch) forward and (batch, features) backward, where
below.d_z, of the same shape, receives the gradient by them. Otherwise `below` is None.
"""

from hanq.data.compiling import part
from hanq.engines.fused.vector import (
    FLAGS,
    LANES,
    add_multiples,
    affine,
    at,
    at_least,
    filled,
    gate,
    load,
    load_each,
    store,
    store_each,
    zeros,
)

FAST = {"fastmath": set(FLAGS), "error_model": "numpy"}
EXACT = FAST | {"fastmath": False}  # sums in the order in which they are written


@part(**FAST)
def of_rows(params, x, f, r, row):
    """Pre-activations of feature f in the rows from r, whose inputs are `row`."""
    constant = at(params, len(row), f)
    return affine(constant, params, 0, f, row) if len(row) else constant + load(x, f, r)


@part(**FAST)
def of_features(constant, weights, x, r, c):
    """Pre-activations of the features from c, whose biases and weights are given, in row r."""
    return affine(constant, x, 0, r, weights) if len(weights) else constant + load(x, r, c)


@part(**FAST)
def heads_forward(params, x, features, floor, heads, inputs, outputs, dots, moments):
    """Inner products of each row's features with heads, (outputs, batch), and their moments.

    features: max(pre-activation, floor); a floor of 0 is the ReLU, -infinity none.
    moments: (4, batch); sums of h - h[0], of its square, of h squared, and h[0]. Subtracting
    one of the features keeps the variance from cancelling.
    """
    for r in range(0, x.shape[1], LANES):
        row = load_each(x, 0, r, inputs)
        totals = zeros(x, outputs)
        first = at_least(of_rows(params, x, 0, r, row), floor)
        deviation = filled(x, 0)
        squared_deviation = deviation
        square = deviation
        for f in range(features):
            h = at_least(of_rows(params, x, f, r, row), floor)
            totals = add_multiples(totals, heads, 0, f, h)
            distance = h - first
            deviation = deviation + distance
            squared_deviation = squared_deviation + distance * distance
            square = square + h * h
        store_each(dots, 0, r, totals)
        store(moments, 0, r, deviation)
        store(moments, 1, r, squared_deviation)
        store(moments, 2, r, square)
        store(moments, 3, r, first)


@part(**FAST)
def heads_backward(params, x, heads, factors, order, starts, inputs, outputs, shaping, gradient, below):
    """Gradient of the hidden layer and the heads, where normalisation follows the ReLU.

    d loss / d h = factors[0] * head of the row's action + factors[1] + factors[2] * h
                   + factors[3] * predictor head 0 + factors[4] * predictor head 1
    factors: (3 + outputs, batch). order: rows sorted by action, action a's from starts[a] to
    starts[a + 1]. Heads' rows of `gradient` receive the sums of factor * h. Without `shaping` the
    predictor heads are missing from d loss / d h.
    """
    bias, actions = len(inputs), len(starts) - 1
    for c in range(0, params.shape[1], LANES):
        weights, constant = load_each(params, 0, c, inputs), load(params, bias, c)
        predictor = load_each(heads, actions, c, shaping)
        d_weights, d_predictor = zeros(x, inputs), zeros(x, outputs)
        d_constant = filled(x, 0)
        for a in range(actions):
            head = load(heads, a, c)
            d_head = filled(x, 0)
            for k in range(starts[a], starts[a + 1]):
                r = order[k]
                before_relu = of_features(constant, weights, x, r, c)
                h = at_least(before_relu, 0)
                factor = at(factors, 0, r)
                d_h = affine(factor * head + at(factors, 1, r) + at(factors, 2, r) * h, factors, 3, r, predictor)
                d_before = gate(before_relu, d_h)
                if below is not None:
                    store(below.d_z, r, c, d_before)
                d_weights = add_multiples(d_weights, x, 0, r, d_before)
                d_constant = d_constant + d_before
                d_head = d_head + factor * h
                d_predictor = add_multiples(d_predictor, factors, 3, r, h)
            store(gradient, bias + 1 + a, c, d_head)
        store_each(gradient, 0, c, d_weights)
        store(gradient, bias, c, d_constant)
        store_each(gradient, bias + 1 + actions, c, d_predictor)


@part(**FAST)
def normed_heads_forward(params, x, features, heads, affines, norms, path, first_head, inputs, outputs, dots, slopes):
    """One path's heads where its normalisation stands before the ReLU.

    affines: (4, features) and norms: (4, batch), the path's in rows 2 path and 2 path + 1.
    Fills rows from first_head: dots with w . relu(v), where v = gain * normalised + offset;
    slopes, (2 * heads, batch), with sums over the features with v > 0, of gain * w and, in the
    second half, of gain * w * normalised.
    """
    bias, half = len(inputs), slopes.shape[0] // 2
    for r in range(0, x.shape[1], LANES):
        row = load_each(x, 0, r, inputs)
        scale, mean = load(norms, 2 * path, r), load(norms, 2 * path + 1, r)
        totals, through, along = zeros(x, outputs), zeros(x, outputs), zeros(x, outputs)
        for f in range(features):
            normalised = (of_rows(params, x, f, r, row) - mean) * scale
            v = normalised * at(affines, 2 * path, f) + at(affines, 2 * path + 1, f)
            totals = add_multiples(totals, params, bias + 1 + first_head, f, at_least(v, 0))
            through = add_multiples(through, heads, first_head, f, gate(v, filled(x, 1)))
            along = add_multiples(along, heads, first_head, f, gate(v, normalised))
        store_each(dots, first_head, r, totals)
        store_each(slopes, first_head, r, through)
        store_each(slopes, half + first_head, r, along)


@part(**FAST)
def normed_heads_backward(
    params, x, batch, affines, norms, factors, deltas, path, first_head, norm_row, shaping, inputs, outputs, gradient, below
):
    """Add one path's gradient where its normalisation stands before the ReLU.

    deltas: (heads, batch) d loss / d head. factors: (4, batch), the path's in rows 2 path and
    2 path + 1: constant and multiple of the pre-activation that its normalisation takes away.
    norm_row: where `gradient` has the norm's gain, -1 without one. shaping: whether the hidden
    layer receives its part.
    """
    bias, head_row, nothing = len(inputs), len(inputs) + 1 + first_head, filled(x, 0)
    for c in range(0, params.shape[1], LANES):
        weights, constant = load_each(params, 0, c, inputs), load(params, bias, c)
        heads, d_heads = load_each(params, head_row, c, outputs), zeros(x, outputs)
        gain, offset = load(affines, 2 * path, c), load(affines, 2 * path + 1, c)
        d_weights, d_constant = load_each(gradient, 0, c, inputs), load(gradient, bias, c)
        d_gain, d_offset = nothing, nothing
        for r in range(batch):
            before_norm, scale = of_features(constant, weights, x, r, c), at(norms, 2 * path, r)
            normalised = (before_norm - at(norms, 2 * path + 1, r)) * scale
            v = normalised * gain + offset
            d_v = gate(v, affine(nothing, deltas, first_head, r, heads))
            d_gain = d_gain + d_v * normalised
            d_offset = d_offset + d_v
            d_heads = add_multiples(d_heads, deltas, first_head, r, at_least(v, 0))
            lost = at(factors, 2 * path, r) + at(factors, 2 * path + 1, r) * before_norm
            d_before = scale * gain * d_v + lost
            if below is not None:
                store(below.d_z, r, c, load(below.d_z, r, c) + (d_before if shaping else nothing))
            d_weights = add_multiples(d_weights, x, 0, r, d_before)
            d_constant = d_constant + d_before
        if shaping:
            store_each(gradient, 0, c, d_weights)
            store(gradient, bias, c, d_constant)
        store_each(gradient, head_row, c, d_heads)
        if norm_row >= 0:
            store(gradient, norm_row, c, d_gain)
            store(gradient, norm_row + 1, c, d_offset)
