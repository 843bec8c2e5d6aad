"""`reference.step` as one compiled loop an agent: the fast engine on a CPU.

One agent at a time per thread, so that its weights, optimiser and minibatch stay in a core's
own caches. `reference` remains the specification; tests hold this to it.

An agent's numbers lie in a matrix (rows, features padded to whole vectors): a row of weights for
each input, the hidden biases, the heads of the actions and of the predictor, each norm's gain and
offset where it has them, and last the heads' biases.
"""

from concurrent.futures import ThreadPoolExecutor
from math import exp, sqrt
from typing import NamedTuple

import numba
import numpy as np
from numba import njit

from hanq.generator import MINIBATCH, splitmix64, stream_key, to_integer
from hanq.kernels import FAST, read_features, read_normalised, spread_gradient, spread_normalised
from hanq.reference import BETA_1, BETA_2, EPSILON
from hanq.vector import LANES

NORMS, PREDICTORS = ("none", "layer", "l2"), ("none", "direct", "meta")
LAYER, L2 = 1e-5, 1e-12  # what keeps each norm from dividing by 0


class Structure(NamedTuple):
    """What never changes in a run, as integers."""

    inputs: int
    features: int
    actions: int
    outputs: int  # of the metapredictor's layer; 0 without one
    batch: int
    norm_first: int
    main_norm: int
    predictor_norm: int
    predictor: int
    positive_scale: int
    predictor_bias: int
    symmetric: int
    residual: int
    norm_rows: int  # where gains and offsets start
    bias_row: int  # where the heads' biases start
    rows: int


def structure_of(network, batch_size):
    """The `Structure` of a network, and where each of its parameters lies in the matrix."""
    algorithm = network.algorithm
    inputs, features, actions = network.obs_dim, algorithm.hidden_features, network.actions
    width = padded(features)
    outputs = 1 + algorithm.predictor_bias if algorithm.predictor == "meta" else 0
    norms = [algorithm.main_norm, algorithm.predictor_norm if outputs else "none"]
    norm_rows = inputs + 1 + actions + outputs
    bias_row = norm_rows + 2 * norms.count("layer")
    rows = bias_row + -(-(actions + 2) // width)
    structure = Structure(
        inputs, features, actions, outputs, batch_size, int(algorithm.norm_first and norms != ["none", "none"]),
        NORMS.index(norms[0]), NORMS.index(norms[1]), PREDICTORS.index(algorithm.predictor),
        int(algorithm.positive_scale), int(algorithm.predictor_bias), int(algorithm.symmetric), int(algorithm.hyperobjective == "residual"),
        norm_rows, bias_row, rows,
    )  # fmt: skip
    first = {"hidden_0.weight": 0, "hidden_0.bias": inputs, "head.weight": inputs + 1,
             "predictor.weight": inputs + 1 + actions, "main_norm.weight": norm_rows,
             "main_norm.bias": norm_rows + 1, "predictor_norm.weight": bias_row - 2,
             "predictor_norm.bias": bias_row - 1}  # fmt: skip
    places = []
    for name, shape in network.shapes.items():
        if name in ("head.bias", "predictor.bias"):
            start = bias_row * width + (actions if name == "predictor.bias" else 0)
            places.append(start + np.arange(shape[0]))
        else:
            matrix = first[name] * width + np.arange(shape[0] if name == "hidden_0.weight" else shape[-1])
            row = width * np.arange(shape[-1] if name == "hidden_0.weight" else shape[0] if len(shape) == 2 else 1)
            grid = row[:, None] + matrix
            places.append((grid.T if name == "hidden_0.weight" else grid).ravel())
    return structure, np.concatenate(places)


def padded(n):
    """n rounded up to whole vectors."""
    return -(-n // LANES) * LANES


class Net(NamedTuple):
    """One set of parameters and what is derived from it once a step."""

    params: np.ndarray  # (rows, features)
    heads: np.ndarray  # (actions + 2, features): g * w
    affines: np.ndarray  # (4, features): main gain and offset, predictor gain and offset
    shifts: np.ndarray  # (actions + 2,): sum of g * w
    constants: np.ndarray  # (actions + 2,): b . w + bias


class Branch(NamedTuple):
    """One pass of a minibatch through a network: s or s'. All but `starts` end in (batch,)."""

    x: np.ndarray  # (inputs, batch)
    dots: np.ndarray  # (actions + 2, batch): heads without their constants
    moments: np.ndarray  # (4, batch)
    norms: np.ndarray  # (4, batch): main scale and mean, predictor scale and mean
    slopes: np.ndarray  # (2 (actions + 2), batch), where norms come first
    prediction: np.ndarray  # (2, batch): predictor scale and bias
    action: np.ndarray  # the taken one; the best one
    value: np.ndarray  # Q of that action, without the predictor
    deltas: np.ndarray  # (actions + 2, batch): d loss / d head output
    factors: np.ndarray  # (5, batch): see `spread_gradient`
    order: np.ndarray  # rows sorted by action
    starts: np.ndarray  # (actions + 1,)


@njit(**FAST)
def matrix(rows, columns, like):
    """Zeros (rows, columns) that start at a cache line."""
    memory = np.zeros(rows * columns + 64, like.dtype)
    skip = (-memory.ctypes.data % 64) // memory.itemsize
    return memory[skip : skip + rows * columns].reshape((rows, columns))


@njit(**FAST)
def new_net(structure, params):
    heads, width = structure.actions + 2, params.shape[1]
    return Net(params, matrix(heads, width, params), matrix(4, width, params),
               np.zeros(heads, params.dtype), np.zeros(heads, params.dtype))  # fmt: skip


@njit(**FAST)
def new_branch(structure, x):
    heads, batch = structure.actions + 2, x.shape[1]
    return Branch(
        x, matrix(heads, batch, x), matrix(4, batch, x), matrix(4, batch, x), matrix(2 * heads, batch, x),
        matrix(2, batch, x), np.zeros(batch, np.int32), matrix(1, batch, x)[0], matrix(heads, batch, x),
        matrix(5, batch, x), np.zeros(batch, np.int64), np.zeros(structure.actions + 1, np.int64),
    )  # fmt: skip


@njit(**FAST)
def fold(structure, net):
    """Multiply LayerNorm's gain into the heads, its offset into their constants.

    LN(h) . w = rstd * (h . (g w) - mean * sum(g w)) + b . w
    """
    params, heads, affines, shifts, constants = net
    biases = params.reshape(-1)[structure.bias_row * params.shape[1] :]
    one, features = params.dtype.type(1), structure.features
    for path in range(2):
        layer = (structure.main_norm if path == 0 else structure.predictor_norm) == 1
        gain, offset = affines[2 * path], affines[2 * path + 1]
        row = structure.norm_rows if path == 0 else structure.bias_row - 2
        for f in range(features):
            gain[f] = params[row, f] if layer else one
            offset[f] = params[row + 1, f] if layer else one - one
        first = 0 if path == 0 else structure.actions
        for k in range(first, first + (structure.actions if path == 0 else structure.outputs)):
            weights, head = params[structure.inputs + 1 + k], heads[k]
            shift, constant = params.dtype.type(0), params.dtype.type(0)
            for f in range(features):
                head[f] = gain[f] * weights[f]
                shift += head[f]
                constant += offset[f] * weights[f]
            shifts[k], constants[k] = shift, constant
    for k in range(structure.actions + 2):
        outside = structure.norm_first or k >= structure.actions + structure.outputs
        constants[k] = biases[k] if outside else constants[k] + biases[k]


@njit(**FAST)
def normaliser(kind, features, moments, scale, mean):
    """One path's normalisation of each row as a mean to subtract and a scale to multiply with."""
    number = moments.dtype.type
    n, layer, l2 = number(features), number(LAYER), number(L2)
    for r in range(len(scale)):
        if kind == 1:
            deviation = moments[0, r] / n
            mean[r] = moments[3, r] + deviation
            scale[r] = number(1) / sqrt(moments[1, r] / n - deviation * deviation + layer)
        elif kind == 2:
            length = sqrt(moments[2, r])
            scale[r] = number(1) / (l2 if length < l2 else length)
            mean[r] = number(0)
        else:
            scale[r], mean[r] = number(1), number(0)


@njit(**FAST)
def centre(dots, scale, mean, shift):
    """rstd * (h . (g w) - mean * sum(g w))"""
    for r in range(len(dots)):
        dots[r] = scale[r] * (dots[r] - mean[r] * shift)


@njit(**FAST)
def forward(structure, net, branch, inputs, actions, outputs, heads):
    """Heads of a minibatch without their constants, into branch.dots.

    heads: as many as are wanted, the actions' alone or with the predictor's.
    """
    x, norms, features = branch.x, branch.norms, structure.features
    floor = x.dtype.type(-np.inf if structure.norm_first else 0)
    read_features(net.params, x, features, floor, net.heads, inputs, heads, branch.dots, branch.moments)
    normaliser(structure.main_norm, features, branch.moments, norms[0], norms[1])
    normaliser(structure.predictor_norm, features, branch.moments, norms[2], norms[3])
    if structure.norm_first:
        read_normalised(net.params, x, features, norms[0:1], norms[1:2], net.affines[0:2], net.heads, 0,
                        inputs, actions, branch.dots, branch.slopes)  # fmt: skip
        read_normalised(net.params, x, features, norms[2:3], norms[3:4], net.affines[2:4], net.heads,
                        structure.actions, inputs, outputs, branch.dots, branch.slopes)  # fmt: skip
        return
    for k in range(len(heads)):
        path = 0 if k < structure.actions else 2
        centre(branch.dots[k], norms[path], norms[path + 1], net.shifts[k])


@njit(**FAST)
def predict(structure, net, branch):
    """The predictor's scale and bias for each row, into branch.prediction."""
    scale, bias = branch.prediction
    a = structure.actions
    if structure.predictor == 0:
        scale[:] = 1
        bias[:] = 0
        return
    for r in range(len(scale)):
        raw = branch.dots[a, r] + net.constants[a]
        scale[r] = exp(raw) if structure.positive_scale else raw
        bias[r] = branch.dots[a + 1, r] + net.constants[a + 1]


@njit(**FAST)
def taken(structure, net, branch, result):
    """The predictor's Q(s, a) of the taken actions, into result (batch,)."""
    predict(structure, net, branch)
    for r in range(len(result)):
        a = branch.action[r]
        branch.value[r] = branch.dots[a, r] + net.constants[a]
        result[r] = branch.prediction[0, r] * branch.value[r] + branch.prediction[1, r]


@njit(**FAST)
def best(structure, net, branch, result):
    """max_a Q(s', a) of each row, the first of equals or a NaN, into result (batch,)."""
    if structure.symmetric:
        predict(structure, net, branch)
    scale, bias = branch.prediction
    for a in range(structure.actions):
        for r in range(len(result)):
            q = branch.dots[a, r] + net.constants[a]
            predicted = scale[r] * q + bias[r] if structure.symmetric else q
            if a == 0 or predicted > result[r] or (predicted != predicted and result[r] == result[r]):
                result[r] = predicted
                branch.action[r] = a
                branch.value[r] = q


@njit(**FAST)
def sort_by_action(structure, branch):
    """Rows of the minibatch in the order of their actions."""
    k = 0
    for a in range(structure.actions):
        branch.starts[a] = k
        for r in range(structure.batch):
            branch.order[k] = r
            k += branch.action[r] == a
    branch.starts[structure.actions] = k


@njit(**FAST)
def head_errors(structure, branch, errors, use_predictor):
    """d loss / d head outputs, into branch.deltas, from errors = d loss / d predicted (batch,)."""
    deltas, a = branch.deltas, structure.actions
    scale = branch.prediction[0]
    for k in range(a):
        for r in range(structure.batch):
            error = errors[r] * scale[r] if use_predictor else errors[r]
            deltas[k, r] = error if branch.action[r] == k else 0
    for r in range(structure.batch):
        slope = branch.value[r] * scale[r] if structure.positive_scale else branch.value[r]
        deltas[a, r] = errors[r] * slope if use_predictor else 0
        deltas[a + 1, r] = errors[r] if use_predictor and structure.predictor_bias else 0


@njit(**FAST)
def normaliser_factors(structure, net, branch, path, constant, multiple):
    """What one path's normalisation takes from the gradient: constant + multiple * activation.

    Added to constant and multiple, (batch,).
    """
    kind = structure.predictor_norm if path else structure.main_norm
    if kind == 0:
        return
    number = constant.dtype.type
    first = structure.actions if path else 0
    heads = structure.outputs if path else structure.actions
    scale, mean = branch.norms[2 * path], branch.norms[2 * path + 1]
    share = number(1) / number(structure.features if kind == 1 else 1)
    clamped = number(1) / number(L2)
    half = structure.actions + 2
    for k in range(first, first + heads):
        for r in range(structure.batch):
            delta = branch.deltas[k, r] * share
            along = branch.slopes[half + k, r] if structure.norm_first else branch.dots[k, r]
            through = branch.slopes[k, r] if structure.norm_first else net.shifts[k]
            slope = -scale[r] * scale[r] * delta * along
            if kind == 1:
                constant[r] += -scale[r] * delta * through - slope * mean[r]
                multiple[r] += slope
            elif scale[r] != clamped:
                multiple[r] += slope


@njit(**FAST)
def gradient(structure, net, branch, errors, use_predictor, inputs, actions, outputs, result):
    """Gradient of one branch, (rows, features), from errors = d loss / d predicted, (batch,)."""
    result[:] = 0
    head_errors(structure, branch, errors, use_predictor)
    if structure.norm_first:
        after_relu(structure, net, branch, inputs, actions, outputs, result)
    else:
        before_relu(structure, net, branch, inputs, outputs, result)
    biases = result.reshape(-1)[structure.bias_row * result.shape[1] :]
    for k in range(structure.actions + 2):
        biases[k] = total(branch.deltas[k], structure.batch)


@njit(**FAST)
def total(values, n):
    result = values.dtype.type(0)
    for r in range(n):
        result += values[r]
    return result


@njit(**FAST)
def before_relu(structure, net, branch, inputs, outputs, result):
    """Hidden layer, heads and norms where the norms follow the ReLU."""
    factors, deltas, norms, batch = branch.factors, branch.deltas, branch.norms, structure.batch
    factors[:] = 0
    for k in range(structure.actions):
        for r in range(batch):
            factors[0, r] += norms[0, r] * deltas[k, r]
    for k in range(structure.outputs):
        for r in range(batch):
            factors[3 + k, r] = norms[2, r] * deltas[structure.actions + k, r]
    for path in range(2):
        normaliser_factors(structure, net, branch, path, factors[1], factors[2])
    spread_gradient(net.params, branch.x, net.heads, factors, branch.order, branch.starts, inputs, outputs, result)
    for path in range(2):
        unfold(structure, net, branch, path, result)


@njit(**FAST)
def unfold(structure, net, branch, path, result):
    """Gradient of one LayerNorm's gain and offset, and of the heads behind it."""
    if (structure.predictor_norm if path else structure.main_norm) != 1:
        return
    number, row = result.dtype.type, structure.bias_row - 2 if path else structure.norm_rows
    first = structure.actions if path else 0
    scale, mean = branch.norms[2 * path], branch.norms[2 * path + 1]
    gain, offset = net.affines[2 * path], net.affines[2 * path + 1]
    for k in range(first, first + (structure.outputs if path else structure.actions)):
        shifted, plain = number(0), number(0)
        for r in range(structure.batch):
            shifted += scale[r] * mean[r] * branch.deltas[k, r]
            plain += branch.deltas[k, r]
        head, weights = result[structure.inputs + 1 + k], net.params[structure.inputs + 1 + k]
        for f in range(structure.features):
            centred = head[f] - shifted
            head[f] = gain[f] * centred + offset[f] * plain
            result[row, f] += weights[f] * centred
            result[row + 1, f] += weights[f] * plain


@njit(**FAST)
def after_relu(structure, net, branch, inputs, actions, outputs, result):
    """Hidden layer, heads and norms where the norms stand before the ReLU."""
    norms, affines = branch.norms, net.affines
    for path in range(2):
        factors = branch.factors[0:2]
        factors[:] = 0
        normaliser_factors(structure, net, branch, path, factors[0], factors[1])
        scale, mean = norms[2 * path : 2 * path + 1], norms[2 * path + 1 : 2 * path + 2]
        d_affines = branch_affines(structure, path, result)
        if path == 0:
            spread_normalised(net.params, branch.x, structure.batch, scale, mean, affines[0:2], factors,
                              branch.deltas, 0, inputs, actions, result, d_affines)  # fmt: skip
        else:
            spread_normalised(net.params, branch.x, structure.batch, scale, mean, affines[2:4], factors,
                              branch.deltas, structure.actions, inputs, outputs, result, d_affines)  # fmt: skip
    result[: structure.norm_rows, structure.features :] = 0  # padding


@njit(**FAST)
def branch_affines(structure, path, result):
    """Where a norm's gradient goes; nowhere that is read, where it has none."""
    kind = structure.predictor_norm if path else structure.main_norm
    row = structure.bias_row - 2 if path else structure.norm_rows
    return result[row : row + 2] if kind == 1 else np.zeros((2, result.shape[1]), result.dtype)


@njit(**FAST)
def inner(a, b):
    a, b = a.reshape(-1), b.reshape(-1)
    result = a.dtype.type(0)
    for i in range(len(a)):
        result += a[i] * b[i]
    return result


@njit(**FAST)
def adam(params, target, gradient, first, second, direction, learning_rate, decay, target_rate, count):
    """Adam's step, Eq. (6), and the target's, Eq. (2); all arrays (rows * features,)."""
    number = params.dtype.type
    beta_1, beta_2, epsilon, one = number(BETA_1), number(BETA_2), number(EPSILON), number(1)
    rest_1, rest_2 = number(1 - BETA_1), number(1 - BETA_2)
    unbias_1, unbias_2 = number(1 / (1 - BETA_1**count)), number(1 / (1 - BETA_2**count))
    for i in range(len(params)):
        slope = gradient[i] + decay * params[i]
        first[i] = beta_1 * first[i] + rest_1 * slope
        second[i] = beta_2 * second[i] + rest_2 * slope * slope
        direction[i] = first[i] * unbias_1 / (sqrt(second[i] * unbias_2) + epsilon)
        params[i] -= learning_rate * direction[i]
        target[i] = (one - target_rate) * target[i] + target_rate * params[i]


@njit(**FAST)
def hyper_step(moving, hyper_lr, slope, count):
    """Move the learning rate against its hypergradient, Eqs. (5) and (7).

    moving: (3,) the learning rate and hyper-Adam's moments.
    """
    number = moving.dtype.type
    log_slope = slope * moving[0]
    moving[1] = number(BETA_1) * moving[1] + number(1 - BETA_1) * log_slope
    moving[2] = number(BETA_2) * moving[2] + number(1 - BETA_2) * log_slope * log_slope
    root = sqrt(moving[2] / number(1 - BETA_2**count))
    direction = moving[1] / number(1 - BETA_1**count) / (root + number(EPSILON))
    moving[0] *= exp(-hyper_lr * direction)


@njit(**FAST)
def draw(structure, table, seed, gradient_step, x, next_x, action, rewards, continues):
    """A minibatch, as `generator.minibatch` has it, from table (size, 2 inputs + 3)."""
    key = stream_key(np.uint64(seed), np.uint64(MINIBATCH), np.uint64(gradient_step))
    inputs = structure.inputs
    for r in range(structure.batch):
        transition = table[to_integer(splitmix64(key, np.uint64(r)), len(table))]
        for i in range(inputs):
            x[i, r] = transition[i]
            next_x[i, r] = transition[inputs + i]
        rewards[r] = transition[2 * inputs]
        continues[r] = transition[2 * inputs + 1]
        action[r] = np.int32(transition[2 * inputs + 2])


@njit(**FAST)
def scatter(values, places, like):
    """A parameter vector as a matrix like `like`."""
    result = matrix(like[0], like[1], values)
    flat = result.reshape(-1)
    for i in range(len(places)):
        flat[places[i]] = values[i]
    return result


@njit(**FAST)
def gather(values, places, result):
    flat = values.reshape(-1)
    for i in range(len(places)):
        result[i] = flat[places[i]]


@njit(nogil=True, cache=True, **FAST)
def train_agent(structure, inputs, actions, outputs, heads, places, table, seed, first_step, steps, rates, moving, vectors):
    """Gradient steps of one agent, in place.

    rates: hyper_lr, target_rate, discount, weight_decay. moving: learning rate and hyper-Adam's
    moments. vectors: (5, size) params, target_params, first_moment, second_moment, direction.
    """
    shape = (structure.rows, (structure.features + LANES - 1) // LANES * LANES)
    params, target_params = scatter(vectors[0], places, shape), scatter(vectors[1], places, shape)
    first, second = scatter(vectors[2], places, shape), scatter(vectors[3], places, shape)
    direction = scatter(vectors[4], places, shape)
    semi, objective, through_target = matrix(shape[0], shape[1], params), matrix(shape[0], shape[1], params), matrix(shape[0], shape[1], params)
    rows = (structure.batch + LANES - 1) // LANES * LANES
    net, target_net = new_net(structure, params), new_net(structure, target_params)
    state = new_branch(structure, matrix(structure.inputs, rows, params))
    next_x = matrix(structure.inputs, rows, params)
    following, target_following = new_branch(structure, next_x), new_branch(structure, next_x)
    work = matrix(6, rows, params)
    value, bootstrap, rewards, continues, errors = work[0], work[1], work[2], work[3], work[4]
    hyper_lr, target_rate, discount, decay = rates
    number = params.dtype.type
    twice = number(2) / number(structure.batch)
    for gradient_step in range(first_step, first_step + steps):
        lagging = target_rate != 1 or not np.array_equal(vectors[0], vectors[1]) and gradient_step == first_step
        hyper = hyper_lr > 0 and gradient_step > 1
        draw(structure, table, seed, gradient_step, state.x, next_x, state.action, rewards, continues)
        fold(structure, net)
        forward(structure, net, state, inputs, actions, outputs, heads)
        taken(structure, net, state, value)
        sort_by_action(structure, state)
        if lagging:
            fold(structure, target_net)
            bootstraps(structure, target_net, target_following, inputs, actions, outputs, heads, bootstrap)
        else:
            bootstraps(structure, net, following, inputs, actions, outputs, heads, bootstrap)
        for r in range(structure.batch):
            errors[r] = twice * (value[r] - (rewards[r] + discount * continues[r] * bootstrap[r]))
        gradient(structure, net, state, errors, structure.predictor > 0, inputs, actions, outputs, semi)
        if hyper:
            slope = -inner(semi, direction)
            if structure.residual:
                if lagging:
                    bootstraps(structure, net, following, inputs, actions, outputs, heads, bootstrap)
                    for r in range(structure.batch):
                        errors[r] = twice * (value[r] - (rewards[r] + discount * continues[r] * bootstrap[r]))
                    gradient(structure, net, state, errors, structure.predictor > 0, inputs, actions, outputs, objective)
                    slope = -inner(objective, direction)
                for r in range(structure.batch):
                    errors[r] *= -discount * continues[r]
                sort_by_action(structure, following)
                gradient(structure, net, following, errors, structure.predictor > 0 and structure.symmetric, inputs, actions, outputs, through_target)
                slope -= inner(through_target, direction)
            hyper_step(moving, hyper_lr, slope, gradient_step - 1)
        adam(params.reshape(-1), target_params.reshape(-1), semi.reshape(-1), first.reshape(-1), second.reshape(-1),
             direction.reshape(-1), moving[0], decay, target_rate, gradient_step)  # fmt: skip
    for values, out in ((params, vectors[0]), (target_params, vectors[1]), (first, vectors[2]), (second, vectors[3]), (direction, vectors[4])):
        gather(values, places, out)


@njit(**FAST)
def bootstraps(structure, net, branch, inputs, actions, outputs, heads, result):
    """max_a Q(s', a) of each row under one set of parameters, into result (batch,)."""
    if structure.symmetric:
        forward(structure, net, branch, inputs, actions, outputs, heads)
    else:
        forward(structure, net, branch, inputs, actions, (), actions)
    best(structure, net, branch, result)


class Engine:
    """The population trained by `train_agent`, an agent at a time on each thread."""

    name = "fused"

    def __init__(self, network, agents, dataset, batch_size, device=None, dtype=np.float32):
        self.agents, self.dtype = agents, dtype
        self.structure, self.places = structure_of(network, batch_size)
        s = self.structure
        self.lengths = [(0,) * n for n in (s.inputs, s.actions, s.outputs, s.actions + s.outputs)]
        columns = (dataset.observations, dataset.next_observations, dataset.rewards[..., None],
                   1 - dataset.terminated[..., None].astype(dtype), dataset.actions[..., None])  # fmt: skip
        self.tables = np.concatenate([column.astype(dtype) for column in columns], axis=-1)
        rates = (agents.hyper_lr, agents.target_rate, agents.discount, agents.weight_decay)
        self.rates = np.stack(rates, axis=1).astype(dtype)

    def advance(self, state, steps):
        """`steps` gradient steps on from a state of NumPy arrays, to another."""
        vectors = np.stack(state[1:6], axis=1).astype(self.dtype)  # (agents, 5, size)
        moving = np.stack(state[6:9], axis=1).astype(self.dtype)  # (agents, 3)

        def one(agent):
            train_agent(self.structure, *self.lengths, self.places, self.tables[self.agents.datasets[agent]],
                        self.agents.seeds[agent], state.gradient_step + 1, steps, self.rates[agent],
                        moving[agent], vectors[agent])  # fmt: skip

        with ThreadPoolExecutor(numba.get_num_threads()) as pool:
            list(pool.map(one, range(len(vectors))))
        return type(state)(state.gradient_step + steps, *vectors.swapaxes(0, 1), *moving.T)
