"""The loops in which the fused engine spends its time, over the rows of a minibatch and the hidden features.

In the forward pass a `Vector` holds one feature of several rows and the loop runs over features, so that sums over features
need no shuffling. In the backward pass a `Vector` holds several features of one row and the loop runs over rows, so that sums
over rows, which form the gradient, stay in registers. Activations are computed again rather than stored, because with few
inputs that is as cheap as loading them.

Shapes: params (rows, features), with one row for the weights of each input, then the hidden biases; x (inputs, batch); heads
(heads, features), those of the actions before those of the predictor. Features and batch are padded to whole vectors. Of
tuples such as `inputs` and `outputs` only the length matters.

Above another hidden layer there are no inputs. Then params start with the biases, and x holds the pre-activations without the
biases, (features, batch) in the forward pass and (batch, features) in the backward pass, where below.d_z, of the same shape,
receives the gradient with respect to them. Otherwise `below` is None.
"""

from hanq.data.foundations.compiling import part
from hanq.engines.fused.vector import (
    FLAGS,
    WIDTH,
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
EXACT = FAST | {"fastmath": False}  # keeps the order of sums


@part(**FAST)
def of_rows(params, x, f, r, row):
    """Return the pre-activations of feature f in the rows that start at r, whose inputs are `row`."""
    constant = at(params, len(row), f)
    return affine(constant, params, 0, f, row) if len(row) else constant + load(x, f, r)


@part(**FAST)
def of_features(constant, weights, x, r, c):
    """Return the pre-activations in row r of the features that start at c, whose biases and weights are given."""
    return affine(constant, x, 0, r, weights) if len(weights) else constant + load(x, r, c)


@part(**FAST)
def heads_forward(params, x, features, floor, heads, inputs, outputs, dots, moments):
    """Compute inner products of each row's features with heads, (outputs, batch), and moments of the features.

    Features are max(pre-activation, floor); a floor of 0 makes this the ReLU, and -infinity the identity. moments: (4, batch),
    the sums of h - h[0], of its square and of h squared, and h[0]. Subtracting one feature avoids cancellation in the variance.
    """
    for r in range(0, x.shape[1], WIDTH):
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
    """Compute the gradient of the hidden layer and the heads if normalisation follows the ReLU.

    d loss / d h = factors[0] * head of the row's action + factors[1] + factors[2] * h
                   + factors[3] * predictor head 0 + factors[4] * predictor head 1
    factors: (3 + outputs, batch). order: the rows sorted by action, those of action a from starts[a] to starts[a + 1]. The rows
    of `gradient` that belong to heads receive the sums of factor * h. Without `shaping`, the predictor's heads do not
    contribute to d loss / d h.
    """
    bias, actions = len(inputs), len(starts) - 1
    for c in range(0, params.shape[1], WIDTH):
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
    """Compute the heads of one path if its normalisation comes before the ReLU.

    affines: (4, features) and norms: (4, batch); rows 2 path and 2 path + 1 belong to the path. The results are written to the
    rows from first_head: to dots, w . relu(v), where v = gain * normalised + offset; to slopes, (2 * heads, batch), the sums
    over features with v > 0 of gain * w and, in the second half, of gain * w * normalised.
    """
    bias, half = len(inputs), slopes.shape[0] // 2
    for r in range(0, x.shape[1], WIDTH):
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
    """Add the gradient of one path if its normalisation comes before the ReLU.

    deltas: (heads, batch), d loss / d head. factors: (4, batch); rows 2 path and 2 path + 1 hold the constant and the multiple
    of the pre-activation that the path's normalisation subtracts. norm_row: the row of `gradient` for the gain of the norm, or
    -1 if there is none. shaping: whether the gradient reaches the hidden layer.
    """
    bias, head_row, nothing = len(inputs), len(inputs) + 1 + first_head, filled(x, 0)
    for c in range(0, params.shape[1], WIDTH):
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
