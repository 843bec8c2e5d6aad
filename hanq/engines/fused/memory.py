"""The memory of one agent: the arrays that its passes through the networks read and write."""

from typing import NamedTuple

import numpy as np

from hanq.engines.fused.screens import KERNEL
from hanq.engines.fused.vector import LANES, padded


def matrix(rows, columns, dtype):
    """Return zeros (rows, columns), aligned to a cache line."""
    memory = np.zeros(rows * columns + 64, dtype)
    skip = (-memory.ctypes.data % 64) // memory.itemsize
    return memory[skip : skip + rows * columns].reshape(rows, columns)


class Below(NamedTuple):
    """Memory for what is below the last hidden layer. The first three arrays belong to the first of two hidden layers."""

    h: np.ndarray  # (features, batch): the first hidden layer's features
    h_back: np.ndarray  # (batch, features): the same for the backward pass
    d_h: np.ndarray  # (batch, features): the gradient with respect to them
    z_back: np.ndarray  # (batch, features): the pre-activations of the layer above, without its biases
    d_z: np.ndarray  # (batch, features): the gradient with respect to those


def new_below(structure, dtype):
    """Make a `Below`, or return None for one hidden layer with few inputs. Code for None is not compiled."""
    if structure.below == 0:
        return None
    width, columns = padded(structure.features), padded(structure.batch) + (LANES if structure.torso else 0)  # with a spare row
    return Below(matrix(width, columns, dtype), *matrix(4 * columns, width, dtype).reshape(4, columns, width))


class Torso(NamedTuple):
    """Memory for a convolution over binary screens, in one branch; all but the first five arrays belong to both branches."""

    screens: np.ndarray  # (batch, words) uint64: the bits of each screen
    h: np.ndarray  # (positions * (batch + 1), filters): after the ReLU; a position's last row is spare
    rows: np.ndarray  # (positions, batch + 8): first those with something under the filter, last the others, between them the spare row
    counts: np.ndarray  # (positions,): in how many rows something lies there
    ground: np.ndarray  # (1, filters): relu(bias), which is h wherever nothing lies under the filter
    taps: np.ndarray  # (n, 2) int32: the positions that a bit has a part in, each with its row of the filters
    starts: np.ndarray  # (bits + 1,): where each bit's taps start
    before_relu: np.ndarray  # (positions, filters): of one screen
    touched: np.ndarray  # (positions,): 1 where something lies under the filter
    background: np.ndarray  # (positions + 1, features): what the hidden layer makes of `ground`, and the sum
    transposed: np.ndarray  # (features, filters): the hidden weights of one position
    d_background: np.ndarray  # (1, features): the gradient with respect to z, summed over the other rows of one position
    d_before: np.ndarray  # (positions * (batch + 1), filters): the gradient with respect to the convolution


def taps_of(structure):
    """Return `taps` and `starts` of a `Torso`."""
    out = structure.side - KERNEL + 1
    taps, starts = [], [0]
    for channel, y, x in np.ndindex(structure.channels, structure.side, structure.side):
        for i, j in np.ndindex(KERNEL, KERNEL):
            if 0 <= y - i < out and 0 <= x - j < out:
                taps.append(((y - i) * out + x - j, (channel * KERNEL + i) * KERNEL + j))
        starts.append(len(taps))
    return np.array(taps, np.int32), np.array(starts)


def new_torsos(structure, dtype):
    """Make a `Torso` for each of the two branches, or return None twice for a network without convolution."""
    if structure.torso == 0:
        return None, None
    batch, width, positions = padded(structure.batch), padded(structure.features), (structure.below - structure.torso) // LANES
    words = -(-structure.channels * structure.side**2 // 64)
    shared = (
        *taps_of(structure),
        matrix(positions, LANES, dtype),
        np.zeros(positions, np.int64),
        matrix(positions + 1, width, dtype),
        matrix(width, LANES, dtype),
        matrix(1, width, dtype),
        matrix(positions * (batch + 1), LANES, dtype),
    )
    return tuple(
        Torso(
            np.zeros((batch, words), np.uint64),
            matrix(positions * (batch + 1), LANES, dtype),
            np.zeros((positions, batch + 8), np.int64),
            np.zeros(positions, np.int64),
            matrix(1, LANES, dtype),
            *shared,
        )
        for _ in range(2)
    )


class Net(NamedTuple):
    """One set of parameters and what is derived from it once per step."""

    every: np.ndarray  # (rows, features): all parameters,
    below: np.ndarray  # those below the last hidden layer,
    params: np.ndarray  # and the rest
    heads: np.ndarray  # (heads, features): gain * w
    affines: np.ndarray  # (4, features): each path's gain and offset
    shifts: np.ndarray  # (heads,): sum(gain * w)
    constants: np.ndarray  # (heads,): offset . w + bias


class Branch(NamedTuple):
    """The forward and backward pass of a minibatch's states s, or of its states s'."""

    observations: np.ndarray  # (obs_rows, batch)
    x: np.ndarray  # (inputs, batch): the same, or (features, batch): pre-activations from the layer below
    x_back: np.ndarray  # (inputs, batch) or (batch, features)
    below: Below  # or None
    torso: Torso  # or None
    dots: np.ndarray  # (heads, batch): heads without their constants
    moments: np.ndarray  # (4, batch): of the features, see `heads_forward`
    norms: np.ndarray  # (4, batch): each path's scale and mean
    slopes: np.ndarray  # (2 * heads, batch); None unless norms come before the ReLU
    prediction: np.ndarray  # (2, batch): the predictor's scale and bias
    value: np.ndarray  # (batch,): Q of the action, without the predictor
    deltas: np.ndarray  # (heads, batch): d loss / d head
    factors: np.ndarray  # (5, batch): see `heads_backward`
    action: np.ndarray  # (batch,): the action taken, or the best one
    order: np.ndarray  # (batch + 1,): the rows sorted by action, and a spare element
    starts: np.ndarray  # (actions + 1,): the position in `order` where the rows of each action start


class Learner(NamedTuple):
    """One agent's memory: matrices (rows, features), and vectors (batch,)."""

    net: Net
    target_net: Net
    target_rest: np.ndarray
    first_moment: np.ndarray
    second_moment: np.ndarray
    direction: np.ndarray
    semi: np.ndarray  # gradients: the semi-gradient,
    objective: np.ndarray  # the residual one through Q(s, a),
    through_target: np.ndarray  # and through max Q(s', a')
    state: Branch
    following: Branch
    value: np.ndarray
    bootstrap: np.ndarray
    rewards: np.ndarray
    continues: np.ndarray
    errors: np.ndarray
    moving: np.ndarray  # (3,): the learning rate and hyper-Adam's moments


def new_net(structure, every):
    heads, width = structure.heads[0] + 2, every.shape[1]
    derived = matrix(heads + 6, width, every.dtype)
    sums = np.zeros((2, heads), every.dtype)
    below, params = every[: structure.below], every[structure.below :]
    return Net(every, below, params, derived[:heads], derived[heads : heads + 4], sums[0], sums[1])


def new_branch(structure, below, torso, dtype):
    columns, heads = padded(structure.batch), structure.heads[0] + 2
    observations = x = x_back = matrix(structure.obs_rows, columns, dtype)
    if below is not None:
        x, x_back = matrix(len(below.h), columns, dtype), below.z_back
    rows = matrix(2 * heads + 16, columns, dtype)
    dots, deltas, rest = rows[:heads], rows[heads : 2 * heads], rows[2 * heads :]
    return Branch(
        observations,
        x,
        x_back,
        below,
        torso,
        dots,
        rest[:4],
        rest[4:8],
        matrix(2 * heads, columns, dtype) if structure.norm_first else None,
        rest[8:10],
        rest[10],
        deltas,
        rest[11:16],
        np.zeros(columns, np.int32),
        np.zeros(columns + 1, np.int64),
        np.zeros(structure.heads[0] + 1, np.int64),
    )


def new_learner(structure, vectors, places, moving):
    """Return a `Learner` and its parameters, (9, rows * features). The first six hold vectors (6, size) of a `State`, at `places`."""
    memory = matrix(9 * structure.rows, padded(structure.features), vectors.dtype)
    memory = memory.reshape(9, structure.rows, -1)
    params = memory.reshape(9, -1)
    params[:6, places] = vectors
    nets = new_net(structure, memory[0]), new_net(structure, memory[1])
    below = new_below(structure, vectors.dtype)
    branches = [new_branch(structure, below, torso, vectors.dtype) for torso in new_torsos(structure, vectors.dtype)]
    return Learner(*nets, *memory[2:], *branches, *matrix(5, padded(structure.batch), vectors.dtype), moving), params
