"""Which algorithm: the structure of a deep Q-learner, as a value; its networks; the agents that are trained by it.

Every row of the paper's tables is an `Algorithm`; a variant is
`dataclasses.replace(HANQ, predictor_norm="none")`, never a subclass.
"""

from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from math import inf, prod
from os import PathLike
from typing import Any, NamedTuple, Self

import numpy as np

CHOICES = {
    "predictor": ("none", "direct", "meta"),
    "main_norm": ("none", "layer", "l2"),
    "predictor_norm": ("none", "layer", "l2"),
    "hyperobjective": ("residual", "semi"),
    "rate_form": ("log", "raw", "square"),
    "hidden_layers": (1, 2),
    "positive_scale": (False, True),
    "predictor_bias": (False, True),
    "symmetric": (False, True),
    "norm_first": (False, True),
    "norm_affine": (False, True),
    "detached_predictor": (False, True),
    "rate_first": (False, True),
}
NORM_EPSILON = {"layer": 1e-5, "l2": 1e-12}  # what keeps a norm from dividing by 0; PyTorch's defaults
RANGES = {"hyper_beta_2": (0.0, 1.0), "hyper_second_moment": (0.0, inf)}  # at least, and below
# What a predictor of each kind does not read; such fields do not count in ==.
UNUSED = {
    "none": ("positive_scale", "predictor_bias", "symmetric", "predictor_norm", "detached_predictor"),
    "direct": ("predictor_norm", "detached_predictor"),
    "meta": (),
}


@dataclass(frozen=True, eq=False)
class Algorithm:
    """The structure of one member of the HANQ family (paper, sections 3 and 4).

    Numbers such as the learning rate belong to `hanq.train`: they may vary across a
    population, structure may not. Hypergradients are on wherever `hyper_lr > 0`.

    Raises ValueError for a value outside the allowed ones.
    """

    predictor: str = "none"
    """`none` (DQN), `direct` (learned numbers, as in SSAQ) or `meta` (a linear layer)."""
    positive_scale: bool = True
    """Whether the predictor's scale is the exponential of what is learned."""
    predictor_bias: bool = True
    """Whether the predictor adds a learned bias after scaling."""
    symmetric: bool = False
    """Whether the predictor is applied to Q(s', a') as well ("symmetrized")."""
    detached_predictor: bool = False
    """Whether the metapredictor reads its features with the gradient stopped, not shaping the hidden layer."""
    main_norm: str = "none"
    """Normalisation of the features that the Q-values are read from."""
    predictor_norm: str = "none"
    """Normalisation of the features that the metapredictor reads."""
    norm_first: bool = False
    """Whether both normalisations stand before the ReLU instead of after it."""
    norm_affine: bool = True
    """Whether every LayerNorm learns a gain and an offset."""
    hyperobjective: str = "residual"
    """The loss whose slope moves the learning rate: `residual` or `semi` (section 12)."""
    rate_first: bool = True
    """Whether the learning rate moves before the weights, Eqs. (5) and (6), or after, as Algorithm 2 prints."""
    rate_form: str = "log"
    """What Adam moves for the learning rate: its `log`, itself (`raw`), or the number it is the `square` of."""
    hyper_beta_2: float = 0.999
    """Decay of the second moment of the learning rate's Adam."""
    hyper_second_moment: float = 0.0
    """What that second moment is before the first step; its bias is corrected as if it were 0."""
    hidden_layers: int = 1
    """One hidden layer ("two-layer networks"), or two (Table 6)."""
    hidden_features: int = 128
    """Width of every hidden layer."""

    def __post_init__(self):
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if type(value) is not type(allowed[0]) or value not in allowed:
                raise ValueError(f"{name}={value!r} is not allowed: use one of {allowed}")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if type(value) is not float or not low <= value < high:
                raise ValueError(f"{name}={value!r} is not allowed: use a float of at least {low} and below {high}")
        width = self.hidden_features
        if type(width) is not int or width < 1:
            raise ValueError(f"hidden_features={width!r} is not allowed: use an integer of at least 1")
        norms = (self.main_norm, self.canonical()["predictor_norm"])
        if width == 1 and norms != ("none", "none"):
            raise ValueError(
                "hidden_features=1 contradicts a normalisation, which would leave a constant: "
                "use at least 2, or main_norm='none' and predictor_norm='none'"
            )

    def canonical(self) -> dict[str, Any]:
        """The same algorithm as a dict of fields, those without effect at their defaults."""
        values = asdict(self)
        unused = list(UNUSED[self.predictor])
        norms = [self.main_norm] + [self.predictor_norm] * ("predictor_norm" not in unused)
        unused += ["norm_first"] * (set(norms) == {"none"}) + ["norm_affine"] * ("layer" not in norms)
        for field in fields(self):
            if field.name in unused:
                values[field.name] = field.default
        return values

    def essential(self) -> dict[str, Any]:
        """`canonical` without what is at its default: the same whatever fields are added later."""
        values = self.canonical()
        return {field.name: values[field.name] for field in fields(self) if values[field.name] != field.default}

    @classmethod
    def stored(cls, values: dict[str, Any], path: str | PathLike) -> Self:
        """The algorithm that a file says it is of; fields that it lacks, for they were added later, are at their defaults.

        Raises ValueError naming the file, and the field or value that is not known here.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        try:
            if unknown:
                raise ValueError(f"{unknown[0]}={values[unknown[0]]!r} is no field of Algorithm")
            return cls(**values)
        except ValueError as error:
            raise ValueError(f"path={str(path)!r} holds an algorithm of another version of hanq: {error}") from error

    def __eq__(self, other):
        return isinstance(other, Algorithm) and self.canonical() == other.canonical()

    def __hash__(self):
        return hash(tuple(self.canonical().items()))


class Convolution(NamedTuple):
    """One convolution without padding, and the ReLU after it."""

    inputs: int
    outputs: int
    kernel: int
    stride: int


@dataclass(frozen=True)
class Network:
    """An algorithm's networks for one problem: which learned numbers there are, and where.

    All of an agent's numbers lie in one vector, so that optimisers and target networks are
    arithmetic on vectors. `params` is (..., size) wherever it appears.
    """

    algorithm: Algorithm
    obs_dim: int
    """What the hidden layer reads: the observation's numbers, or what the convolutions make of it."""
    actions: int
    convolutions: tuple[Convolution, ...] = ()

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every parameter, in the order in which `params` holds them.

        Weights are (outputs, inputs), as in torch.nn.Linear, or as in Conv2d. The main network comes first,
        so that algorithms that share it start from the same one for the same seed.
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
        """How many learned numbers one agent has."""
        return sum(prod(shape) for shape in self.shapes.values())

    def views(self, params: Any) -> dict[str, Any]:
        """Each parameter by name as a view of `params`: (..., size) -> {name: (..., *shape)}."""
        views, start = {}, 0
        for name, shape in self.shapes.items():
            stop = start + prod(shape)
            views[name] = params[..., start:stop].reshape(*params.shape[:-1], *shape)
            start = stop
        return views


class Agents(NamedTuple):
    """What distinguishes the agents: vectors of length agents, constant throughout a run."""

    seeds: np.ndarray
    datasets: np.ndarray
    """Index of the dataset that each learns from."""
    learning_rate: np.ndarray  # alpha, at the start
    hyper_lr: np.ndarray  # kappa
    target_rate: np.ndarray  # beta
    discount: np.ndarray  # gamma
    weight_decay: np.ndarray


class State(NamedTuple):
    """Everything that a run needs to go on: arrays (agents, parameters) or (agents,)."""

    gradient_step: int
    params: np.ndarray  # theta and omega
    target_params: np.ndarray  # theta bar
    target_rest: np.ndarray
    """What its precision leaves out of target_params, or a small target rate would not move them."""
    first_moment: np.ndarray
    second_moment: np.ndarray
    direction: np.ndarray
    """Adam's last direction: the last step was -learning_rate * direction."""
    learning_rate: np.ndarray  # alpha
    hyper_first_moment: np.ndarray
    hyper_second_moment: np.ndarray


DQN = Algorithm()
DQN_LN = replace(DQN, main_norm="layer")
DQN_L2N = replace(DQN, main_norm="l2")
PQN = replace(DQN_LN, norm_first=True)
SSAQ = Algorithm(predictor="direct", positive_scale=False, predictor_bias=False)
SSANQ = replace(SSAQ, main_norm="layer")
HANQ = Algorithm(predictor="meta", main_norm="layer", predictor_norm="l2")
