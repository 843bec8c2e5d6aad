"""The compiled optimisers: Adam for the weights of one agent, and for its learning rate."""

from math import exp, sqrt
from typing import NamedTuple

import numpy as np

from hanq.algorithm import CHOICES
from hanq.data.foundations.compiling import part
from hanq.engines.fused.kernels import EXACT, FAST
from hanq.reference import BETA_1, BETA_2, EPSILON

FORMS = CHOICES["rate_form"]
LOG, SQUARE, PLAIN = (FORMS.index(form) for form in ("log", "square", "plain"))
TINY = 1e-35  # far below what changes any weight, and still above the subnormal numbers of float32, which begin at 1.2e-38


class Hyper(NamedTuple):
    """How learning rates are adapted; constant in a run."""

    residual: bool  # the hyperobjective
    rate_first: bool
    rate_form: int  # index in FORMS
    beta_2: float


class Rates(NamedTuple):
    """The constants of one agent."""

    hyper_lr: np.floating  # kappa
    target_rate: np.floating  # beta
    discount: np.floating  # gamma
    weight_decay: np.floating


def hyper_of(algorithm):
    """Return the `Hyper` of an algorithm."""
    form = FORMS.index(algorithm.rate_form)
    return Hyper(algorithm.hyperobjective == "residual", algorithm.rate_first, form, algorithm.hyper_beta_2)


@part(**FAST)
def number_direction(moving, slope, beta_2, count):
    """Return Adam's direction for a single number, whose moments in moving[1:] are updated."""
    number = moving.dtype.type
    moving[1] = number(BETA_1) * moving[1] + number(1 - BETA_1) * slope
    moving[2] = number(beta_2) * moving[2] + number(1 - beta_2) * slope * slope
    root = sqrt(moving[2] / number(1 - beta_2**count))
    return moving[1] / number(1 - BETA_1**count) / (root + number(EPSILON))


@part(**FAST)
def hyper_step(hyper, moving, hyper_lr, slope, count):
    """Move the learning rate against its hypergradient, Eq. (5): plainly, or by Adam on the rate, its logarithm or its square root.

    moving: (3,), the learning rate and both moments. count: the number of Adam's step, from 1.
    """
    if hyper.rate_form == LOG:
        direction = number_direction(moving, slope * moving[0], hyper.beta_2, count)
        moving[0] *= exp(-hyper_lr * direction)
    elif hyper.rate_form == SQUARE:
        a = sqrt(moving[0])
        a -= hyper_lr * number_direction(moving, (a + a) * slope, hyper.beta_2, count)
        moving[0] = a * a
        if a < 0:
            moving[1] = -moving[1]  # continue with -a, see `reference`
    elif hyper.rate_form == PLAIN:
        moving[0] -= hyper_lr * slope
    else:
        moving[0] -= hyper_lr * number_direction(moving, slope, hyper.beta_2, count)


@part(**EXACT)
def unless_tiny(x, tiny):
    """Return x, or 0 if it is tiny. What decays without end would become subnormal otherwise, and each step much slower."""
    return tiny - tiny if abs(x) < tiny else x  # a 0 of their type; NaN stays NaN


@part(**FAST)
def adam(params, gradient, first, second, direction, learning_rate, weight_decay, count):
    """Take Adam's step, Eq. (6). Every array is (rows * features,)."""
    number = params.dtype.type
    beta_1, beta_2, epsilon, tiny = number(BETA_1), number(BETA_2), number(EPSILON), number(TINY)
    rest_1, rest_2 = number(1 - BETA_1), number(1 - BETA_2)
    unbias_1, unbias_2 = number(1 / (1 - BETA_1**count)), number(1 / (1 - BETA_2**count))
    for i in range(len(params)):
        penalised = gradient[i] + weight_decay * params[i]
        first[i] = unless_tiny(beta_1 * first[i] + rest_1 * penalised, tiny)
        second[i] = unless_tiny(beta_2 * second[i] + rest_2 * penalised * penalised, tiny)
        direction[i] = first[i] * unbias_1 / (sqrt(second[i] * unbias_2) + epsilon)
        params[i] -= learning_rate * direction[i]


@part(**EXACT)
def follow(target_params, target_rest, params, target_rate):
    """Do what `reference.follow` does, Eq. (2), in place. Every array is (rows * features,)."""
    if target_rate == 1:
        for i in range(len(params)):
            target_params[i], target_rest[i] = params[i], 0
        return
    tiny = params.dtype.type(TINY)
    for i in range(len(params)):
        change = unless_tiny(target_rate * (params[i] - target_params[i] - target_rest[i]) + target_rest[i], tiny)
        followed = target_params[i] + change
        target_rest[i] = change - (followed - target_params[i])
        target_params[i] = followed
