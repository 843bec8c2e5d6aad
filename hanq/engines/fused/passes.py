"""The compiled forward pass of a minibatch through one network, and what it stores for the backward pass.

Two paths lead from the hidden layer, each with its own normalisation: path 0, the main one, to the heads of the actions, and
path 1 to the heads of the metapredictor, for its scale and its bias.

Everything is stored for one agent, with the rows of the minibatch on the last axis, (batch,), padded to whole vectors. Padding
holds finite numbers that nothing reads.
"""

from math import exp, isqrt, sqrt
from typing import NamedTuple

import numpy as np

from hanq.algorithm import CHOICES, NORM_EPSILON
from hanq.data.foundations.compiling import part
from hanq.engines.fused.dense import TILE, below_backward, below_forward
from hanq.engines.fused.kernels import FAST, heads_forward, normed_heads_forward
from hanq.engines.fused.screens import KERNEL, screens_backward, screens_forward
from hanq.engines.fused.vector import LANES, padded

NORMS = CHOICES["main_norm"]
WIDE = 12  # observations with more numbers than this use the tiled product, which takes half the time at 16
LAYER, L2 = NORM_EPSILON["layer"], NORM_EPSILON["l2"]


class Structure(NamedTuple):
    """The structure of a network, which is constant in a run. Pairs refer to the main path and the predictor's path.

    An agent's parameters form a matrix (rows, features padded to whole vectors): one row of weights for each input, the hidden
    biases, the heads, gain and offset of each LayerNorm, and in the last row the biases of all heads. With two hidden layers,
    the weights of the second, one row for each of its features, come first. To the functions here, the rest of the matrix,
    from the biases of the second layer on, is a network with one hidden layer and no inputs, and they count rows from there.
    The weights of wide observations are treated like those of a second layer, and those above a convolution too: its filters come
    before them, sixteen numbers each.
    """

    obs_dim: int  # 0 if observations are screens
    obs_rows: int  # the same, padded to whole tiles if observations are wide
    below: int  # rows below the last hidden layer, or below its biases if observations are wide; otherwise 0
    torso: int  # rows of a convolution over binary screens, or 0
    channels: int  # of its screens,
    side: int  # which are square
    inputs: int  # of the last hidden layer: obs_dim, or 0 if a matrix product computes its pre-activations
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
    """Return the `Structure` of a network, its `Lengths`, and the position of each parameter in the matrix.

    evaluates: whether next actions are those of a given policy instead of the best.
    """
    algorithm, obs_dim, actions = network.algorithm, network.obs_dim, network.actions
    width = padded(algorithm.hidden_features)
    torso, channels, side = torso_of(network, width)
    wide, deep = bool(torso) or obs_dim > WIDE, algorithm.hidden_layers == 2
    obs_rows = torso + (-(-obs_dim // len(TILE)) * len(TILE) if wide else obs_dim)
    inputs = 0 if wide or deep else obs_dim
    below = (obs_rows - inputs) + (1 + width) * deep
    outputs = 2 if algorithm.predictor == "meta" else 0
    kinds = (algorithm.main_norm, algorithm.predictor_norm if outputs else "none")
    layers = [kind == "layer" and algorithm.norm_affine for kind in kinds]
    norm_row = inputs + 1 + actions + outputs
    bias_row = norm_row + 2 * sum(layers)
    structure = Structure(
        obs_dim=0 if torso else obs_dim,
        obs_rows=0 if torso else obs_rows,
        torso=torso,
        channels=channels,
        side=side,
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
            rows = np.arange(shape[1])
            if torso:  # from (filter, position) to (position, filter)
                rows = torso + rows.reshape(-1, LANES).T.ravel()
            place = np.arange(shape[0])[:, None] + width * rows
        elif name == "conv_0.weight":  # from (filter, channel, row, column) to (channel, row, column, filter)
            place = np.arange(np.prod(shape)).reshape(-1, LANES).T
        elif name == "conv_0.bias":
            place = LANES * KERNEL**2 * channels + np.arange(shape[0])
        elif name in ("head.bias", "predictor.bias"):
            place = (below + bias_row) * width + (actions if name == "predictor.bias" else 0) + np.arange(shape[0])
        else:
            place = width * (start[name] + np.arange(shape[0] if len(shape) == 2 else 1)[:, None]) + np.arange(shape[-1])
        places.append(place.ravel())
    shaping = 0 if algorithm.detached_predictor else outputs
    first = 0 if wide else obs_dim
    lengths = Lengths(*((0,) * n for n in (inputs, actions, outputs, actions + outputs, shaping, first, deep, evaluates)))
    return structure, lengths, np.concatenate(places)


def torso_of(network, width):
    """Return (rows, channels, side) of a network's convolution over binary screens, and zeros if there is none. Raises ValueError."""
    if not network.convolutions:
        return 0, 0, 0
    first, out = network.convolutions[0], isqrt(network.obs_dim // LANES)
    if len(network.convolutions) > 1 or first[1:] != (LANES, KERNEL, 1) or network.algorithm.hidden_layers > 1:
        raise ValueError(f"engine='fused' takes one convolution of {LANES} filters of {KERNEL}x{KERNEL} and one hidden layer: use 'torch'")
    numbers = LANES * (first.inputs * KERNEL**2 + 1)
    return -(-numbers // width), first.inputs, out + KERNEL - 1


class Lengths(NamedTuple):
    """Tuples whose lengths are constants of the compiled code, because they are part of their types."""

    inputs: tuple
    actions: tuple
    outputs: tuple
    heads: tuple  # both paths'
    shaping: tuple  # the predictor's outputs whose gradient reaches the hidden layer: all or none
    first: tuple  # inputs of the first hidden layer; none if observations are wide
    second: tuple  # one element if there is a second hidden layer
    policy: tuple  # one element if next actions are those of a given policy


@part(**FAST)
def fold(structure, net):
    """Fold gain and offset of each LayerNorm into the heads after it, once per step.

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
        # With a ReLU after the norm nothing can be folded; a direct predictor consists of its bias alone.
        inside = not structure.norm_first and k < structure.heads[0] + structure.heads[1]
        net.constants[k] = biases[k] + (net.constants[k] if inside else number(0))


@part(**FAST)
def normaliser(kind, features, moments, scale, mean):
    """Compute the normalisation of a path for each row, as a mean to subtract and a scale to multiply by."""
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
    """Compute the heads of every row if the norms come before the ReLU, into branch.dots."""
    if slopes is None:
        return
    x, heads, affines, norms, dots = branch.x, net.heads, net.affines, branch.norms, branch.dots
    n, main, inputs = structure.features, structure.heads[0], lengths.inputs
    normed_heads_forward(net.params, x, n, heads, affines, norms, 0, 0, inputs, lengths.actions, dots, slopes)
    normed_heads_forward(net.params, x, n, heads, affines, norms, 1, main, inputs, lengths.outputs, dots, slopes)


@part(**FAST)
def inputs_forward(structure, net, branch, lengths, torso):
    """Compute what the last hidden layer gets from below, if that is not the observations themselves, into branch.x."""
    if torso is not None:
        screens_forward(structure, net.below, torso, branch.below, branch.x)
        return
    below_forward(net.below, branch.observations, structure.features, lengths.first, lengths.second, branch.below, branch.x)


@part(**FAST)
def inputs_backward(structure, net, branch, lengths, torso, gradient):
    """Compute the gradient, (rows, features), of everything below the last hidden layer."""
    if torso is not None:
        screens_backward(structure, net.below, torso, branch.below, gradient)
        return
    x, features, batch = branch.observations, structure.features, structure.batch
    below_backward(net.below, x, features, batch, lengths.first, lengths.second, branch.below, gradient)


@part(**FAST)
def forward(structure, net, branch, lengths, wanted):
    """Compute the heads of every row without their constants, into branch.dots.

    wanted: a tuple with as many elements as there are heads to compute, those of the actions or all.
    """
    inputs_forward(structure, net, branch, lengths, branch.torso)
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
    """Compute the predictor's scale and bias for each row, into branch.prediction."""
    scale, bias = branch.prediction
    k = structure.heads[0]
    for r in range(len(scale)):
        raw = branch.dots[k, r] + net.constants[k]
        scale[r] = exp(raw) if structure.positive_scale else raw
        bias[r] = branch.dots[k + 1, r] + net.constants[k + 1]


@part(forceinline=True, **FAST)
def taken_values(structure, net, branch, lengths, result):
    """Compute the predictor's output for Q(s, a) of the actions taken, into result (batch,)."""
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
