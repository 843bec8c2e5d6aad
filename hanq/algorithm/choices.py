"""What the paper leaves open, each choice at its default; only the experiments of *What the paper leaves open* vary them."""

from dataclasses import dataclass
from math import inf

OPEN_CHOICES = {
    "detached_predictor": (False, True),
    "norm_affine": (False, True),
    "rate_first": (False, True),
    "rate_form": ("log", "raw", "square"),
}
RANGES = {"hyper_beta_2": (0.0, 1.0), "hyper_second_moment": (0.0, inf)}  # at least, and below


@dataclass(frozen=True, eq=False, kw_only=True)
class OpenChoices:
    """Fields of every `Algorithm` that the paper does not name; leave them as they are unless they are what you study."""

    detached_predictor: bool = False
    """Whether the metapredictor reads its features with the gradient stopped, not shaping the hidden layer."""
    norm_affine: bool = True
    """Whether every LayerNorm learns a gain and an offset."""
    rate_first: bool = True
    """Whether the learning rate moves before the weights, Eqs. (5) and (6), or after, as Algorithm 2 prints."""
    rate_form: str = "log"
    """What Adam moves for the learning rate: its `log`, itself (`raw`), or the number it is the `square` of."""
    hyper_beta_2: float = 0.999
    """Decay of the second moment of the learning rate's Adam."""
    hyper_second_moment: float = 0.0
    """What that second moment is before the first step; its bias is corrected as if it were 0."""
