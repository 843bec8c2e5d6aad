"""The structure of a deep Q-learner, as a value.

Every row of the paper's tables is an `Algorithm`. A variant is `dataclasses.replace(HANQ, predictor_norm="none")`, never a
subclass.
"""

from dataclasses import asdict, dataclass, fields, replace
from os import PathLike
from typing import Any, Self

from hanq.algorithm.choices import OPEN_CHOICES, RANGES, OpenChoices

CHOICES = {
    "predictor": ("none", "direct", "meta"),
    "main_norm": ("none", "layer", "l2"),
    "predictor_norm": ("none", "layer", "l2"),
    "hyperobjective": ("residual", "semi"),
    "hidden_layers": (1, 2),
    "positive_scale": (False, True),
    "predictor_bias": (False, True),
    "symmetric": (False, True),
    "norm_first": (False, True),
} | OPEN_CHOICES
# What a predictor of each kind does not read; such fields do not count in ==.
UNUSED = {
    "none": ("positive_scale", "predictor_bias", "symmetric", "predictor_norm", "detached_predictor"),
    "direct": ("predictor_norm", "detached_predictor"),
    "meta": (),
}


@dataclass(frozen=True, eq=False)
class Algorithm(OpenChoices):
    """The structure of one member of the HANQ family (paper, sections 3 and 4).

    Numbers such as the learning rate are arguments of `hanq.train`, because they may vary within a population, whereas the
    structure may not. Hypergradients are used wherever `hyper_lr > 0`; at `hanq.train`'s default of 0, HANQ trains without them.

    Raises ValueError for a value that is not allowed.
    """

    predictor: str = "none"
    """`none` (DQN), `direct` (learned numbers, as in SSAQ) or `meta` (a linear layer)."""
    positive_scale: bool = True
    """Whether the predictor's scale is the exponential of the learned number."""
    predictor_bias: bool = True
    """Whether the predictor adds a learned bias after scaling."""
    symmetric: bool = False
    """Whether the predictor is applied to Q(s', a') too ("symmetrized")."""
    main_norm: str = "none"
    """Normalisation of the features from which the Q-values are computed."""
    predictor_norm: str = "none"
    """Normalisation of the features from which the metapredictor's outputs are computed."""
    norm_first: bool = False
    """Whether both normalisations come before the ReLU instead of after it."""
    hyperobjective: str = "residual"
    """The loss whose derivative adapts the learning rate: `residual` or `semi` (section 12)."""
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
        """Return the fields as a dict, with fields that have no effect set to their defaults."""
        values = asdict(self)
        unused = list(UNUSED[self.predictor])
        norms = [self.main_norm] + [self.predictor_norm] * ("predictor_norm" not in unused)
        unused += ["norm_first"] * (set(norms) == {"none"}) + ["norm_affine"] * ("layer" not in norms)
        for field in fields(self):
            if field.name in unused:
                values[field.name] = field.default
        return values

    def essential(self) -> dict[str, Any]:
        """Return `canonical` without the fields at their defaults, so that adding fields later does not change it."""
        values = self.canonical()
        return {field.name: values[field.name] for field in fields(self) if values[field.name] != field.default}

    @classmethod
    def stored(cls, values: dict[str, Any], path: str | PathLike) -> Self:
        """Return the algorithm recorded in a file. Fields added since the file was written take their defaults.

        Raises ValueError naming the file and a field or value that is unknown.
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


DQN = Algorithm()
DQN_LN = replace(DQN, main_norm="layer")
DQN_L2N = replace(DQN, main_norm="l2")
PQN = replace(DQN_LN, norm_first=True)
SSAQ = Algorithm(predictor="direct", positive_scale=False, predictor_bias=False)
SSANQ = replace(SSAQ, main_norm="layer")
HANQ = Algorithm(predictor="meta", main_norm="layer", predictor_norm="l2")
"""The H of its name needs `hyper_lr` above 0: the paper's Table 1 has 0.1, its Table 5 (Seaquest) 0."""
