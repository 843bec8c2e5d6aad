"""Choices that the paper leaves open, which only the experiments of the chapter *What the paper leaves open* vary."""

from dataclasses import dataclass
from math import inf

OPEN_CHOICES = {
    "detached_predictor": (False, True),
    "norm_affine": (False, True),
    "rate_first": (False, True),
    "rate_form": ("log", "raw", "square", "plain"),
}
RANGES = {"hyper_beta_2": (0.0, 1.0), "hyper_second_moment": (0.0, inf)}  # at least, and below


@dataclass(frozen=True, eq=False, kw_only=True)
class OpenChoices:
    """Fields of every `Algorithm` that the paper does not specify, or that the book varies to see whether they matter. Keep the defaults
    unless you study them."""

    detached_predictor: bool = False
    """Whether the gradient of the metapredictor is kept from reaching the hidden layer."""
    norm_affine: bool = True
    """Whether LayerNorm learns a gain and an offset."""
    rate_first: bool = True
    """Whether the learning rate moves before the weights, Eqs. (5) and (6), or after, as Algorithm 2 prints."""
    rate_form: str = "log"
    """What Adam moves: the `log` of the learning rate, the rate itself (`raw`), or the number of which it is the `square`. Or, without
    Adam, a `plain` gradient step on the rate, as Eq. (5) and Algorithm 2 print it."""
    hyper_beta_2: float = 0.999
    """Decay rate of the second moment in the Adam of the learning rate."""
    hyper_second_moment: float = 0.0
    """Initial value of that second moment; bias correction treats it as 0."""
