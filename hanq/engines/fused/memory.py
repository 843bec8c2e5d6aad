"""What one agent's passes through its networks read and write, and where it lies."""

from typing import NamedTuple

import numpy as np
from numba import njit

from hanq.engines.fused.kernels import FAST
from hanq.engines.fused.vector import LANES


@njit(**FAST)
def matrix(rows, columns, dtype):
    """Zeros (rows, columns) that start at a cache line."""
    memory = np.zeros(rows * columns + 64, dtype)
    skip = (-memory.ctypes.data % 64) // memory.itemsize
    return memory[skip : skip + rows * columns].reshape((rows, columns))


class Below(NamedTuple):
    """Memory for what lies below the last hidden layer, of one minibatch at a time; the first three for another layer."""

    h: np.ndarray  # (features, batch): the first hidden layer's features
    h_back: np.ndarray  # (batch, features): the same for the way back
    d_h: np.ndarray  # (batch, features): gradient by them
    z_back: np.ndarray  # (batch, features): what they are in the layer above, without its biases
    d_z: np.ndarray  # (batch, features): gradient by those


def new_below(structure, dtype):
    """A `Below`, or None for one hidden layer of few inputs: made in Python, for what is None is not compiled."""
    if structure.below == 0:
        return None
    width, columns = (-(-size // LANES) * LANES for size in (structure.features, structure.batch))
    back = matrix.py_func(4 * columns, width, dtype).reshape((4, columns, width))
    return Below(matrix.py_func(width, columns, dtype), *back)


class Net(NamedTuple):
    """One set of parameters and what is derived from it once a step."""

    every: np.ndarray  # (rows, features): all parameters,
    below: np.ndarray  # those below the last hidden layer,
    params: np.ndarray  # and the rest
    heads: np.ndarray  # (heads, features): gain * w
    affines: np.ndarray  # (4, features): each path's gain and offset
    shifts: np.ndarray  # (heads,): sum(gain * w)
    constants: np.ndarray  # (heads,): offset . w + bias


class Branch(NamedTuple):
    """One state of every transition, s or s', on its way through a network and back."""

    observations: np.ndarray  # (obs_rows, batch)
    x: np.ndarray  # (inputs, batch), which are those, or (features, batch) from the layer below
    x_back: np.ndarray  # (inputs, batch) or (batch, features)
    below: Below  # or None
    dots: np.ndarray  # (heads, batch): heads without their constants
    moments: np.ndarray  # (4, batch): of the features, see `heads_forward`
    norms: np.ndarray  # (4, batch): each path's scale and mean
    slopes: np.ndarray  # (2 * heads, batch): only where norms come first
    prediction: np.ndarray  # (2, batch): the predictor's scale and bias
    value: np.ndarray  # (batch,): Q of the action, without the predictor
    deltas: np.ndarray  # (heads, batch): d loss / d head
    factors: np.ndarray  # (5, batch): see `heads_backward`
    action: np.ndarray  # (batch,): the one taken, or the best
    order: np.ndarray  # (batch + 1,): rows sorted by action, one to spare
    starts: np.ndarray  # (actions + 1,): where in `order` each action's rows start


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


@njit(**FAST)
def new_net(structure, every):
    heads, width = structure.heads[0] + 2, every.shape[1]
    derived = matrix(heads + 6, width, every.dtype)
    sums = np.zeros((2, heads), every.dtype)
    below, params = every[: structure.below], every[structure.below :]
    return Net(every, below, params, derived[:heads], derived[heads : heads + 4], sums[0], sums[1])


@njit(**FAST)
def new_branch(structure, below, columns, dtype):
    inputs, heads = structure.obs_rows, structure.heads[0] + 2
    rows = matrix(inputs + 4 * heads + 16, columns, dtype)
    observations, rest = rows[:inputs], rows[inputs:]
    x, x_back = observations, observations
    if below is not None:
        x, x_back = matrix(len(below.h), columns, dtype), below.z_back
    dots, deltas, slopes, rest = rest[:heads], rest[heads : 2 * heads], rest[2 * heads : 4 * heads], rest[4 * heads :]
    return Branch(
        observations,
        x,
        x_back,
        below,
        dots,
        rest[:4],
        rest[4:8],
        slopes,
        rest[8:10],
        rest[10],
        deltas,
        rest[11:16],
        np.zeros(columns, np.int32),
        np.zeros(columns + 1, np.int64),
        np.zeros(structure.heads[0] + 1, np.int64),
    )


@njit(inline="always", **FAST)
def new_learner(structure, below, vectors, places, moving):
    """A `Learner` from vectors (6, size) whose elements belong at `places` of the matrices."""
    width = (structure.features + LANES - 1) // LANES * LANES
    columns = (structure.batch + LANES - 1) // LANES * LANES
    dtype, rows = vectors.dtype, structure.rows
    memory = matrix(9 * rows, width, dtype)
    for k in range(6):
        flat = memory[k * rows : (k + 1) * rows].reshape(-1)
        for i in range(len(places)):
            flat[places[i]] = vectors[k, i]
    batch = matrix(5, columns, dtype)
    return Learner(
        new_net(structure, memory[:rows]),
        new_net(structure, memory[rows : 2 * rows]),
        memory[2 * rows : 3 * rows],
        memory[3 * rows : 4 * rows],
        memory[4 * rows : 5 * rows],
        memory[5 * rows : 6 * rows],
        memory[6 * rows : 7 * rows],
        memory[7 * rows : 8 * rows],
        memory[8 * rows : 9 * rows],
        new_branch(structure, below, columns, dtype),
        new_branch(structure, below, columns, dtype),
        batch[0],
        batch[1],
        batch[2],
        batch[3],
        batch[4],
        moving,
    )
