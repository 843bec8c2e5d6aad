"""The networks of an algorithm: their parameters, and how these are stored in one vector."""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

from hanq.algorithm.family import Algorithm

NORM_EPSILON = {"layer": 1e-5, "l2": 1e-12}  # PyTorch's defaults


class Convolution(NamedTuple):
    """One convolution without padding, and the ReLU after it."""

    inputs: int
    outputs: int
    kernel: int
    stride: int


FILTERS, FILTER_SIDE = 16, 3


@dataclass(frozen=True)
class Network:
    """The networks of an algorithm for one problem: their parameters, and how these are stored.

    All parameters of an agent form one vector, so that optimisers and target networks are arithmetic on vectors. Everywhere,
    `params` has the shape (..., size).
    """

    algorithm: Algorithm
    obs_dim: int
    """The number of inputs of the hidden layer: of the observation, or of the output of the convolutions."""
    actions: int
    convolutions: tuple[Convolution, ...] = ()
    brightest: int = 255
    """The largest value of a pixel, by which the convolutions' inputs are divided: 255, or 1 for binary screens."""

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The name and shape of every parameter, in the order of `params`.

        Weights are (outputs, inputs), as in torch.nn.Linear, or as in Conv2d. The main network comes first, so that algorithms
        with the same main network start from the same weights for the same seed.
        """
        algorithm, width = self.algorithm, self.algorithm.hidden_features
        shapes: dict[str, tuple[int, ...]] = {}
        for i, (inputs, outputs, kernel, _) in enumerate(self.convolutions):
            shapes |= {f"conv_{i}.weight": (outputs, inputs, kernel, kernel), f"conv_{i}.bias": (outputs,)}
        shapes |= {"hidden_0.weight": (width, self.obs_dim), "hidden_0.bias": (width,)}
        if algorithm.hidden_layers == 2:
            shapes |= {"hidden_1.weight": (width, width), "hidden_1.bias": (width,)}
        shapes |= {"head.weight": (self.actions, width), "head.bias": (self.actions,)}
        outputs = 1 + algorithm.predictor_bias
        if algorithm.predictor == "meta":
            shapes["predictor.weight"] = (outputs, width)
        if algorithm.predictor != "none":
            shapes["predictor.bias"] = (outputs,)
        if algorithm.main_norm == "layer" and algorithm.norm_affine:
            shapes |= {"main_norm.weight": (width,), "main_norm.bias": (width,)}
        if algorithm.predictor == "meta" and algorithm.predictor_norm == "layer" and algorithm.norm_affine:
            shapes |= {"predictor_norm.weight": (width,), "predictor_norm.bias": (width,)}
        return shapes

    @cached_property
    def size(self) -> int:
        """The number of parameters of one agent."""
        return sum(prod(shape) for shape in self.shapes.values())

    def views(self, params: Any) -> dict[str, Any]:
        """Return each parameter by name as a view of `params`: (..., size) -> {name: (..., *shape)}."""
        views, start = {}, 0
        for name, shape in self.shapes.items():
            stop = start + prod(shape)
            views[name] = params[..., start:stop].reshape(*params.shape[:-1], *shape)
            start = stop
        return views


def screen_network(algorithm: Algorithm, screen: tuple[int, int, int], actions: int) -> Network:
    """Return the network of Young and Tian (2019) for binary screens, (channels, height, width).

    It has one convolution of 16 filters of 3x3 pixels with a ReLU, below the algorithm's hidden layer; theirs has 128 features.
    """
    channels, height, width = screen
    inputs = FILTERS * (height - FILTER_SIDE + 1) * (width - FILTER_SIDE + 1)
    return Network(algorithm, inputs, actions, (Convolution(channels, FILTERS, FILTER_SIDE, 1),), brightest=1)
