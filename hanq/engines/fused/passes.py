"""The compiled forward pass of a minibatch through one network, and what it stores for the backward pass.

Two paths lead from the hidden layer, each with its own normalisation: path 0, the main one, to the heads of the actions, and
path 1 to the heads of the metapredictor, for its scale and its bias.

Everything is stored for one agent, with the rows of the minibatch on the last axis, (batch,), padded to whole vectors. Padding
holds finite numbers that nothing reads.
"""

from math import exp, sqrt

import numpy as np

from hanq.algorithm import NORM_EPSILON
from hanq.data.foundations.compiling import part
from hanq.engines.fused.dense import below_backward, below_forward
from hanq.engines.fused.kernels import FAST, heads_forward, normed_heads_forward
from hanq.engines.fused.screens import screens_backward, screens_forward

LAYER, L2 = NORM_EPSILON["layer"], NORM_EPSILON["l2"]


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
