"""A minibatch through one network, compiled, and what is kept of it for the way back.

Two paths lead on from the hidden layer: 0, the main one, to the heads of the actions; 1, to the
heads of the metapredictor, for its scale and its bias. Each has its normalisation.

Everything is kept for one agent, with rows of the minibatch on the last axis, (batch,), padded
to whole vectors. Padding holds finite numbers that nothing reads.
"""

from math import exp, sqrt
from typing import NamedTuple

import numpy as np

from hanq.algorithm import CHOICES, NORM_EPSILON
from hanq.data.compiling import part
from hanq.engines.fused.dense import TILE, below_forward
from hanq.engines.fused.kernels import FAST, heads_forward, normed_heads_forward
from hanq.engines.fused.vector import padded

NORMS = CHOICES["main_norm"]
WIDE = 12  # of more numbers the product of tiles is the faster: at 16 by half
LAYER, L2 = NORM_EPSILON["layer"], NORM_EPSILON["l2"]


class Structure(NamedTuple):
    """What never changes in a run. Pairs are of the main path and the predictor's.

    An agent's parameters lie in a matrix (rows, features padded to whole vectors): a row of
    weights for each input, the hidden biases, the heads, each LayerNorm's gain and offset, and
    last, side by side, the heads' biases. Between two hidden layers lie the weights of the
    second, a row for each feature of it, padded too; what follows those, from its biases on, is
    a network of one hidden layer and no inputs to the functions here, which count rows from there.
    The weights of wide observations lie below in the same way, though nothing but a product stands between.
    """

    obs_dim: int
    obs_rows: int  # the same, padded to whole tiles where it is wide
    below: int  # rows of what lies below the last hidden layer, or below its biases; 0 where nothing does
    inputs: int  # of the last hidden layer: obs_dim, or 0 above another or above a product
    features: int
    batch: int
    heads: tuple  # actions; the metapredictor's outputs, 2 or 0
    first_head: tuple
    norm: tuple  # 0 none, 1 layer, 2 l2
    norm_row: tuple  # of the gain; the offset follows; -1 without them
    bias_row: int
    rows: int  # of the whole matrix
    norm_first: bool
    predictor: bool
    positive_scale: bool
    predictor_bias: bool
    symmetric: bool


def structure_of(network, batch_size, evaluates=False):
    """The `Structure` of a network, its `Lengths`, and where in its matrix each parameter lies.

    evaluates: whether next actions are a given policy's instead of the best.
    """
    algorithm, obs_dim, actions = network.algorithm, network.obs_dim, network.actions
    width = padded(algorithm.hidden_features)
    wide, deep = obs_dim > WIDE, algorithm.hidden_layers == 2
    obs_rows = -(-obs_dim // len(TILE)) * len(TILE) if wide else obs_dim
    inputs = 0 if wide or deep else obs_dim
    below = (obs_rows - inputs) + (1 + width) * deep
    outputs = 2 if algorithm.predictor == "meta" else 0
    kinds = (algorithm.main_norm, algorithm.predictor_norm if outputs else "none")
    layers = [kind == "layer" and algorithm.norm_affine for kind in kinds]
    norm_row = inputs + 1 + actions + outputs
    bias_row = norm_row + 2 * sum(layers)
    structure = Structure(
        obs_dim=obs_dim,
        obs_rows=obs_rows,
        below=below,
        inputs=inputs,
        features=algorithm.hidden_features,
        batch=batch_size,
        heads=(actions, outputs),
        first_head=(0, actions),
        norm=tuple(map(NORMS.index, kinds)),
        norm_row=(norm_row if layers[0] else -1, bias_row - 2 if layers[1] else -1),
        bias_row=bias_row,
        rows=below + bias_row - (-(actions + 2) // width),
        norm_first=algorithm.norm_first and kinds != ("none", "none"),
        predictor=algorithm.predictor != "none",
        positive_scale=algorithm.positive_scale,
        predictor_bias=algorithm.predictor_bias,
        symmetric=algorithm.symmetric and algorithm.predictor != "none",
    )
    start = {
        "head.weight": inputs + 1,
        "predictor.weight": inputs + 1 + actions,
        "main_norm.weight": norm_row,
        "main_norm.bias": norm_row + 1,
        "predictor_norm.weight": bias_row - 2,
        "predictor_norm.bias": bias_row - 1,
    }
    start = {name: below + row for name, row in start.items()}
    start |= {"hidden_0.bias": obs_rows, "hidden_1.weight": obs_rows + 1, "hidden_1.bias": below}
    places = []
    for name, shape in network.shapes.items():
        if name == "hidden_0.weight":
            place = np.arange(shape[0])[:, None] + width * np.arange(shape[1])
        elif name in ("head.bias", "predictor.bias"):
            place = (below + bias_row) * width + (actions if name == "predictor.bias" else 0) + np.arange(shape[0])
        else:
            place = width * (start[name] + np.arange(shape[0] if len(shape) == 2 else 1)[:, None]) + np.arange(shape[-1])
        places.append(place.ravel())
    shaping = 0 if algorithm.detached_predictor else outputs
    first = 0 if wide else obs_dim
    lengths = Lengths(*((0,) * n for n in (inputs, actions, outputs, actions + outputs, shaping, first, deep, evaluates)))
    return structure, lengths, np.concatenate(places)


class Lengths(NamedTuple):
    """Tuples whose lengths, being part of their types, are constants of the compiled code."""

    inputs: tuple
    actions: tuple
    outputs: tuple
    heads: tuple  # both paths'
    shaping: tuple  # the outputs whose gradient goes on into the hidden layer: all, or none
    first: tuple  # inputs of the first hidden layer, none where they are wide
    second: tuple  # a second hidden layer: one or none
    policy: tuple  # one where the next actions are a given policy's, or none


@part(**FAST)
def fold(structure, net):
    """Draw each LayerNorm's gain and offset into the heads behind it, once a step.

    LN(h) . w = rstd * (h . (gain w) - mean * sum(gain w)) + offset . w
    """
    params, number = net.params, net.params.dtype.type
    biases = params.reshape(-1)[structure.bias_row * params.shape[1] :]
    for path in range(2):
        gain, offset = net.affines[2 * path], net.affines[2 * path + 1]
        for f in range(structure.features):
            row = structure.norm_row[path]
            gain[f] = params[row, f] if row >= 0 else number(1)
            offset[f] = params[row + 1, f] if row >= 0 else number(0)
        for k in range(structure.first_head[path], structure.first_head[path] + structure.heads[path]):
            weights, head = params[structure.inputs + 1 + k], net.heads[k]
            shift, constant = number(0), number(0)
            for f in range(structure.features):
                head[f] = gain[f] * weights[f]
                shift += head[f]
                constant += offset[f] * weights[f]
            net.shifts[k] = shift
            net.constants[k] = constant
    for k in range(structure.heads[0] + 2):
        # A ReLU after the norm leaves no constant; a direct predictor is nothing but its bias.
        inside = not structure.norm_first and k < structure.heads[0] + structure.heads[1]
        net.constants[k] = biases[k] + (net.constants[k] if inside else number(0))


@part(**FAST)
def normaliser(kind, features, moments, scale, mean):
    """A path's normalisation of each row: subtract the mean, multiply with the scale."""
    number = moments.dtype.type
    n, layer, l2 = number(features), number(LAYER), number(L2)
    for r in range(len(scale)):
        if kind == 1:
            deviation = moments[0, r] / n
            mean[r] = moments[3, r] + deviation
            scale[r] = number(1) / sqrt(moments[1, r] / n - deviation * deviation + layer)
        elif kind == 2:
            length = sqrt(moments[2, r])
            mean[r] = number(0)
            scale[r] = number(1) / (l2 if length < l2 else length)
        else:
            mean[r], scale[r] = number(0), number(1)


@part(**FAST)
def norm_first_forward(structure, net, branch, lengths, slopes):
    """Heads of every row where the norms stand before the ReLU, into branch.dots."""
    if slopes is None:
        return
    x, heads, affines, norms, dots = branch.x, net.heads, net.affines, branch.norms, branch.dots
    n, main, inputs = structure.features, structure.heads[0], lengths.inputs
    normed_heads_forward(net.params, x, n, heads, affines, norms, 0, 0, inputs, lengths.actions, dots, slopes)
    normed_heads_forward(net.params, x, n, heads, affines, norms, 1, main, inputs, lengths.outputs, dots, slopes)


@part(**FAST)
def forward(structure, net, branch, lengths, wanted):
    """Heads of every row without their constants, into branch.dots.

    wanted: a tuple as long as there are heads to compute, the actions' or all.
    """
    below_forward(net.below, branch.observations, structure.features, lengths.first, lengths.second, branch.below, branch.x)
    x, norms, dots = branch.x, branch.norms, branch.dots
    floor = x.dtype.type(-np.inf if structure.norm_first else 0)
    heads_forward(net.params, x, structure.features, floor, net.heads, lengths.inputs, wanted, dots, branch.moments)
    for path in range(2):
        normaliser(structure.norm[path], structure.features, branch.moments, norms[2 * path], norms[2 * path + 1])
    if structure.norm_first:
        norm_first_forward(structure, net, branch, lengths, branch.slopes)
        return
    for k in range(len(wanted)):
        path = 2 * (k >= structure.heads[0])
        scale, mean, dot, shift = norms[path], norms[path + 1], dots[k], net.shifts[k]
        for r in range(len(dot)):
            dot[r] = scale[r] * (dot[r] - mean[r] * shift)


@part(**FAST)
def predict(structure, net, branch):
    """The predictor's scale and bias of each row, into branch.prediction."""
    scale, bias = branch.prediction
    k = structure.heads[0]
    for r in range(len(scale)):
        raw = branch.dots[k, r] + net.constants[k]
        scale[r] = exp(raw) if structure.positive_scale else raw
        bias[r] = branch.dots[k + 1, r] + net.constants[k + 1]


@part(forceinline=True, **FAST)
def taken_values(structure, net, branch, lengths, result):
    """Q(s, a) of the taken actions as predicted, into result (batch,)."""
    forward(structure, net, branch, lengths, lengths.heads)
    if structure.predictor:
        predict(structure, net, branch)
    for r in range(structure.batch):
        a = branch.action[r]
        q = branch.dots[a, r] + net.constants[a]
        branch.value[r] = q
        result[r] = branch.prediction[0, r] * q + branch.prediction[1, r] if structure.predictor else q


@part(forceinline=True, **FAST)
def next_values(structure, net, branch, lengths, result):
    """What each row bootstraps from, into result (batch,): max_a Q(s', a), the first of equals or a NaN; or Q(s', a) of the policy's a."""
    if structure.symmetric:
        forward(structure, net, branch, lengths, lengths.heads)
        predict(structure, net, branch)
    else:
        forward(structure, net, branch, lengths, lengths.actions)
    scale, bias = branch.prediction
    for a in range(structure.heads[0]):
        for r in range(structure.batch):
            q = branch.dots[a, r] + net.constants[a]
            predicted = scale[r] * q + bias[r] if structure.symmetric else q
            if len(lengths.policy) > 0:
                wanted = a == branch.action[r]
            else:
                wanted = a == 0 or predicted > result[r] or (predicted != predicted and result[r] == result[r])
            if wanted:
                result[r] = predicted
                branch.value[r] = q
                branch.action[r] = a
