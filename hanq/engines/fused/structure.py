"""The structure of a network as the compiled code needs it, and where each parameter lies in an agent's matrix."""

from math import isqrt
from typing import NamedTuple

import numpy as np

from hanq.algorithm import CHOICES
from hanq.engines.fused.dense import TILE
from hanq.engines.fused.screens import KERNEL
from hanq.engines.fused.vector import LANES, padded

NORMS = CHOICES["main_norm"]
WIDE = 12  # observations with more numbers than this use the tiled product, which takes half the time at 16


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
