"""The network of Huang et al. (2022) for 84x84 frames, after Mnih et al. (2015), and its arithmetic."""

from dataclasses import replace
from math import prod

from hanq.algorithm import Convolution, Network

FRAMES, SIDE = 4, 84  # frames in a stack; pixels along each side of a frame
CONVOLUTIONS = (Convolution(FRAMES, 32, 8, 4), Convolution(32, 64, 4, 2), Convolution(64, 64, 3, 1))
FEATURES = 512


def output_sides():
    """Return the number of pixels along each side after each convolution: 20, 9, 7."""
    sides = [SIDE]
    for convolution in CONVOLUTIONS:
        sides.append((sides[-1] - convolution.kernel) // convolution.stride + 1)
    return sides[1:]


def seaquest_network(algorithm, actions):
    """Return the network of an algorithm for stacks of frames, (..., 4, 84, 84) with values from 0 to 255.

    It has three convolutions and one hidden layer of 512 features, in place of the algorithm's own hidden layers.
    Normalisations and metapredictor are applied to these features as to those of any hidden layer (section 11).
    """
    algorithm = replace(algorithm, hidden_layers=1, hidden_features=FEATURES)
    inputs = CONVOLUTIONS[-1].outputs * output_sides()[-1] ** 2
    return Network(algorithm, inputs, actions, CONVOLUTIONS)


def multiplications(network):
    """Count the multiply-adds of the forward pass of one stack, by weight tensor."""
    sides = dict(zip([f"conv_{i}.weight" for i in range(len(CONVOLUTIONS))], output_sides(), strict=True))
    weights = {name: shape for name, shape in network.shapes.items() if len(shape) > 1}
    return {name: prod(shape) * sides.get(name, 1) ** 2 for name, shape in weights.items()}


def step_gflop(network, batch_size):
    """Count the floating-point operations, in billions, of one gradient step without hypergradient.

    It consists of forward passes on s and s', and a backward pass on s, which costs two forward passes except that the
    first convolution needs no gradient with respect to its input.
    """
    counts = multiplications(network)
    return 2 * batch_size * (4 * sum(counts.values()) - counts["conv_0.weight"]) / 1e9
