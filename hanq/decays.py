"""rate_form "decays": Adam's decays tuned along with the learning rate, by their own hypergradients, on the fused engine.

As the public code of Chandra et al. (2019) does: beta = (tanh(u) + 1) / 2 for both decays of the weights' Adam, and
the learning rate and both u are moved by one Adam with hyper_lr. The moments of the step before count as constants.
"""

from math import sqrt, tanh

import numpy as np

from hanq import fused
from hanq.caching import njit
from hanq.fused import draw, objective_gradient, semi_gradient, slope_along
from hanq.kernels import FAST
from hanq.memory import matrix
from hanq.optimiser import follow, number_direction
from hanq.population import State
from hanq.reference import BETA_1, BETA_2, EPSILON
from hanq.sources import VERSION
from hanq.whole import whole_njit


@njit(**FAST)
def decay(u):
    """A decay between 0 and 1 of any number."""
    return (tanh(float(u)) + 1) / 2


@njit(**FAST)
def hyper_step(hyper, learner, moving, changes, hyper_lr, lagging, count):
    """Move the learning rate and both decays against their hypergradients.

    moving: (3, 3), the learning rate and both u, each with hyper-Adam's moments. changes: of the last direction by each decay.
    """
    rate = moving[0, 0]
    slopes = (
        -slope_along(hyper, learner, lagging, learner.direction),
        -rate * slope_along(hyper, learner, lagging, changes[0]),
        -rate * slope_along(hyper, learner, lagging, changes[1]),
    )
    for i in range(3):
        beta = decay(moving[i, 0])
        by_number = 2 * beta * (1 - beta) if i > 0 else 1.0  # d beta / d u
        moving[i, 0] -= hyper_lr * number_direction(moving[i], slopes[i] * by_number, hyper.beta_2, count)


@njit(**FAST)
def adam(params, gradient, first, second, direction, changes, moving, rates, count):
    """`optimiser.adam` with decays of its own, and what they change in its direction: every array (rows * features,)."""
    beta_1, beta_2 = decay(moving[1, 0]), decay(moving[2, 0])
    left_1, left_2 = 1 - beta_1**count, 1 - beta_2**count
    growth_1, growth_2 = count * beta_1 ** (count - 1) / left_1, count * beta_2 ** (count - 1) / left_2
    for i in range(len(params)):
        slope = gradient[i] + rates.weight_decay * params[i]
        by_beta_1, by_beta_2 = first[i] - slope, second[i] - slope * slope
        first[i] = beta_1 * first[i] + (1 - beta_1) * slope
        second[i] = beta_2 * second[i] + (1 - beta_2) * slope * slope
        mean, square = first[i] / left_1, second[i] / left_2
        root = sqrt(square)
        direction[i] = mean / (root + EPSILON)
        changes[0, i] = (by_beta_1 / left_1 + mean * growth_1) / (root + EPSILON)
        changes[1, i] = 0
        if root > 0:
            changes[1, i] = -direction[i] * (by_beta_2 / left_2 + square * growth_2) / (2 * root * (root + EPSILON))
        params[i] -= moving[0, 0] * direction[i]


def compiled(version):
    """`train_agent`; its cache on disk belongs to one version of the sources."""

    @whole_njit(fastmath=FAST["fastmath"], error_model="numpy")
    def train_agent(structure, hyper, lengths, places, table, seed, rates, first_step, steps, moving, below, vectors):
        """Gradient steps of one agent, in place.

        moving: (3, 3), see `hyper_step`. vectors: (8, size), in `State`'s order and then the direction's changes.
        """
        _ = version
        learner = fused.new_learner(structure, below, vectors[:6], places, moving[0])
        shape = learner.direction.shape
        changes = matrix(2 * shape[0], shape[1], vectors.dtype).reshape((2, shape[0] * shape[1]))
        for i in range(len(places)):
            changes[0, places[i]], changes[1, places[i]] = vectors[6, i], vectors[7, i]
        lagging = rates.target_rate != 1
        kept = (learner.net.every, learner.target_net.every, learner.target_rest, learner.first_moment, learner.second_moment, learner.direction)
        for gradient_step in range(first_step, first_step + steps):
            draw(structure, learner, table, seed, gradient_step)
            semi_gradient(structure, learner, lengths, rates.discount, lagging)
            if hyper.rate_first and gradient_step > 1:
                objective_gradient(structure, hyper, learner, lengths, rates, lagging)
                hyper_step(hyper, learner, moving, changes, rates.hyper_lr, lagging, gradient_step - 1)
            adam(kept[0].reshape(-1), learner.semi.reshape(-1), kept[3].reshape(-1), kept[4].reshape(-1), kept[5].reshape(-1),
                 changes, moving, rates, gradient_step)  # fmt: skip
            follow(kept[1].reshape(-1), kept[2].reshape(-1), kept[0].reshape(-1), rates.target_rate)
            if not hyper.rate_first:
                other = lagging and not hyper.residual
                semi_gradient(structure, learner, lengths, rates.discount, other)
                objective_gradient(structure, hyper, learner, lengths, rates, other)
                hyper_step(hyper, learner, moving, changes, rates.hyper_lr, other, gradient_step)
        for i in range(len(places)):
            for k in range(6):
                vectors[k, i] = kept[k].reshape(-1)[places[i]]
            vectors[6, i], vectors[7, i] = changes[0, places[i]], changes[1, places[i]]

    return train_agent


train_agent = compiled(VERSION)


class Engine(fused.Engine):
    """`fused.Engine` with both decays tuned.

    In its `State` direction is (agents, 3, parameters), with what each decay changes in it, and
    hyper_first_moment is `hyper_step`'s moving, (agents, 3, 3).
    """

    train_agent = staticmethod(train_agent)

    def advance(self, state, steps):
        """`steps` gradient steps on from a state of NumPy arrays, to another."""
        if state.gradient_step == 0:
            state = at_the_start(state)
        vectors = np.concatenate([np.stack(state[1:6], axis=1), state.direction], axis=1).astype(self.dtype)
        moving = state.hyper_first_moment.astype(self.dtype)

        self.train(state.gradient_step + 1, steps, moving, vectors)
        columns = (np.ascontiguousarray(vectors[:, k]) for k in range(5))
        return State(state.gradient_step + steps, *columns, np.ascontiguousarray(vectors[:, 5:]),
                     moving[:, 0, 0].copy(), moving, state.hyper_second_moment)  # fmt: skip


def at_the_start(state):
    """The first state with room for the decays, which start at Adam's defaults."""
    agents, parameters = state.params.shape
    moving = np.zeros((agents, 3, 3))
    moving[:, 0, 0], moving[:, 1:, 0] = state.learning_rate, np.arctanh([2 * BETA_1 - 1, 2 * BETA_2 - 1])
    moving[:, :, 2] = state.hyper_second_moment[:, None]
    return state._replace(direction=np.zeros((agents, 3, parameters), np.float32), hyper_first_moment=moving)
