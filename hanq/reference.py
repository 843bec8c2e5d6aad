"""The paper in PyTorch: networks, losses, Adam, and a gradient step that adapts its own learning rate.

Every tensor has a leading axis over agents, which are independent of each other. All devices and float types are supported.
This module is the specification with which the fused engine is compared, and the code on which the book is based.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch.nn.functional import conv2d, layer_norm, normalize, relu

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # Adam's defaults, for weights and learning rate alike


class Batch(NamedTuple):
    """The transitions from which the agents learn in one step."""

    observations: torch.Tensor  # (agents, batch, obs_dim)
    actions: torch.Tensor  # (agents, batch)
    rewards: torch.Tensor  # (agents, batch)
    next_observations: torch.Tensor  # (agents, batch, obs_dim)
    terminated: torch.Tensor  # (agents, batch)


class EvaluationBatch(NamedTuple):
    """A `Batch` from which agents learn the value of a given policy instead of that of the best one.

    This is fitted Q evaluation (Le et al., 2019): Q-learning with the action of the policy in place of the maximum.
    """

    observations: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    next_observations: torch.Tensor
    terminated: torch.Tensor
    next_actions: torch.Tensor  # (agents, batch): what the policy does in s'


def linear(weights, layer, inputs):
    """Apply one linear layer per agent: (agents, batch, inputs) -> (agents, batch, outputs)."""
    bias = weights[f"{layer}.bias"][:, None]  # (agents, 1, outputs)
    outputs = torch.baddbmm(bias, inputs, weights[f"{layer}.weight"].mT)
    return outputs.to(bias.dtype)  # under autocast only the layer is in bfloat16, not the norms and losses after it


def torso(network, weights, observations):
    """Return the inputs of the first hidden layer, (agents, batch, network.obs_dim).

    observations: (agents, batch, obs_dim), returned unchanged if there are no convolutions; otherwise images with values from 0
    to network.brightest in any type, (agents, batch, channels, height, width).
    """
    if not network.convolutions:
        return observations
    x = observations.to(weights["conv_0.weight"].dtype) / network.brightest
    for i, convolution in enumerate(network.convolutions):
        of_every_agent = torch.vmap(partial(conv2d, stride=convolution.stride))
        x = relu(of_every_agent(x, weights[f"conv_{i}.weight"], weights[f"conv_{i}.bias"]))
    return x.flatten(2)


def hidden(network, weights, observations):
    """Return the last hidden layer before its ReLU: (agents, batch, features)."""
    before_relu = linear(weights, "hidden_0", torso(network, weights, observations))
    if network.algorithm.hidden_layers == 2:
        before_relu = linear(weights, "hidden_1", relu(before_relu))
    return before_relu


def features(network, weights, before_relu, path):
    """Apply the ReLU and the normalisation of one path, "main" or "predictor" (section 10)."""

    def norm(x):
        kind = getattr(network.algorithm, f"{path}_norm")
        if kind == "layer":
            x = layer_norm(x, x.shape[-1:])
            if not network.algorithm.norm_affine:
                return x
            return x * weights[f"{path}_norm.weight"][:, None] + weights[f"{path}_norm.bias"][:, None]
        return normalize(x, dim=-1) if kind == "l2" else x

    return relu(norm(before_relu)) if network.algorithm.norm_first else norm(relu(before_relu))


def q_values(network, weights, before_relu):
    """Return Q(s, a) of every action: (agents, batch, actions)."""
    return linear(weights, "head", features(network, weights, before_relu, "main"))


def predictor(network, weights, before_relu):
    """Return the scale and bias of the asymmetric predictor for each state, both (agents, batch, 1).

    A direct predictor consists of two learned numbers (SSAQ has one). A metapredictor is a linear layer on the hidden features
    before the main normalisation, so that scale and bias depend on the state (section 3.4). If it is detached, no gradient,
    including that of the hyperobjective, flows from it into these features.
    """
    algorithm = network.algorithm
    if algorithm.predictor == "meta":
        before_relu = before_relu.detach() if algorithm.detached_predictor else before_relu
        outputs = linear(weights, "predictor", features(network, weights, before_relu, "predictor"))
    else:
        outputs = weights["predictor.bias"][:, None].expand(-1, before_relu.shape[1], -1)
    scale = outputs[..., :1].exp() if algorithm.positive_scale else outputs[..., :1]
    return scale, outputs[..., 1:] if algorithm.predictor_bias else torch.zeros_like(scale)


def predicted(network, weights, before_relu, q):
    """Apply the predictor to Q: scale * Q + bias, or Q itself without a predictor."""
    if network.algorithm.predictor == "none":
        return q
    scale, bias = predictor(network, weights, before_relu)
    return scale * q + bias


def losses(network, params, target_params, batch, discount):
    """Return the mean squared Bellman error of each agent, (agents,), with the predictor on Q(s, a) only.

    Its derivative with respect to `params` alone is the semi-gradient, with `target_params` as a constant. With the same tensor
    for both arguments, its derivative is the residual gradient (section 12).
    params, target_params: (agents, network.size). discount: (agents,).
    """
    weights, target_weights = network.views(params), network.views(target_params)

    before_relu = hidden(network, weights, batch.observations)
    q = predicted(network, weights, before_relu, q_values(network, weights, before_relu))
    taken = q.gather(-1, batch.actions[..., None])[..., 0]  # (agents, batch)

    before_relu = hidden(network, target_weights, batch.next_observations)
    next_q = q_values(network, target_weights, before_relu)
    if network.algorithm.symmetric:
        next_q = predicted(network, target_weights, before_relu, next_q)
    if isinstance(batch, EvaluationBatch):
        bootstrap = next_q.gather(-1, batch.next_actions[..., None])[..., 0]  # (agents, batch)
    else:
        bootstrap = next_q.max(-1).values
    target = batch.rewards + discount[:, None] * (1 - batch.terminated) * bootstrap  # (agents, batch)
    return (taken - target).square().mean(-1)


def gradient(losses_of, params):
    """Return each agent's gradient of its own loss, (agents, parameters); losses are summed over agents, not averaged."""
    params = params.detach().requires_grad_()
    return torch.autograd.grad(losses_of(params).sum(), params)[0]


def inner(a, b):
    """Return the inner product of each agent's vectors: (agents,)."""
    return (a * b).sum(-1)


def adam_direction(first_moment, second_moment, gradient, count, beta_2=BETA_2):
    """Return Adam's direction for step `count`, from 1, and both new moments (Kingma and Ba, 2014)."""
    first_moment = BETA_1 * first_moment + (1 - BETA_1) * gradient
    second_moment = beta_2 * second_moment + (1 - beta_2) * gradient.square()
    mean = first_moment / (1 - BETA_1**count)
    root = (second_moment / (1 - beta_2**count)).sqrt()
    return mean / (root + EPSILON), first_moment, second_moment


def objective_gradient(network, agents, state, batch):
    """Return the gradient of the hyperobjective at the present weights, (agents, parameters).

    The semi-gradient bootstraps from the present target network, as a constant.
    """

    def objective(theta):
        residual = network.algorithm.hyperobjective == "residual"
        return losses(network, theta, theta if residual else state.target_params, batch, agents.discount)

    return gradient(objective, state.params)


def hyper_step(network, agents, state, batch):
    """Move every learning rate against its hypergradient, Eqs. (5) and (7).

    Adam acts on log(learning rate), because on the rate itself it diverges at the paper's hyper_lr = 0.1. That form is "raw", and
    "plain" is the gradient step that the paper prints; both may make rates negative. "square" acts on a, where the rate is a**2.
    Adam counts the directions of the weights so far: from 1 at the first gradient step if the rate moves last, or at the second
    if it moves first.
    """
    algorithm, rate = network.algorithm, state.learning_rate
    slope = -inner(objective_gradient(network, agents, state, batch), state.direction)  # Eq. (7), (agents,)
    if algorithm.rate_form == "log":
        slope = slope * rate  # d loss / d log(rate)
    elif algorithm.rate_form == "square":
        slope = slope * 2 * rate.sqrt()  # d loss / d a
    direction, first, second = slope, state.hyper_first_moment, state.hyper_second_moment
    if algorithm.rate_form != "plain":
        direction, first, second = adam_direction(first, second, slope, state.gradient_step, algorithm.hyper_beta_2)
    change = -agents.hyper_lr * direction
    if algorithm.rate_form == "log":
        moved = rate * torch.exp(change)  # Eq. (5)
    elif algorithm.rate_form in ("raw", "plain"):
        moved = rate + change
    else:  # the state only holds the square of a: if a becomes negative, continue with -a
        a = rate.sqrt() + change
        moved, first = a.square(), torch.where(a < 0, -first, first)
    learning_rate = torch.where(agents.hyper_lr > 0, moved, rate)
    return state._replace(learning_rate=learning_rate, hyper_first_moment=first, hyper_second_moment=second)


def follow(target_params, target_rest, params, target_rate):
    """Move the target network to (1 - beta) * target + beta * params, Eq. (2). Returns it, and what rounding leaves out of it.

    The exact target network is target_params + target_rest. With beta = 1e-6 its steps are shorter than the distance between
    two float32 numbers, so that what the sum cannot hold is kept for the next step (Kahan, 1965). With beta = 1 the target
    equals the parameters.
    """
    change = target_rate * (params - target_params - target_rest) + target_rest
    followed = target_params + change
    rest = change - (followed - target_params)
    copied = target_rate == 1
    return torch.where(copied, params, followed), torch.where(copied, 0, rest)


def weight_step(network, agents, state, batch):
    """Move the weights along the semi-gradient, Eq. (6), and then the target network, Eq. (2)."""
    params, count = state.params, state.gradient_step + 1
    semi = gradient(lambda theta: losses(network, theta, state.target_params, batch, agents.discount), params)
    penalised = semi + agents.weight_decay[:, None] * params
    direction, first, second = adam_direction(state.first_moment, state.second_moment, penalised, count)
    params = params - state.learning_rate[:, None] * direction  # Eq. (6)
    target_params, target_rest = follow(state.target_params, state.target_rest, params, agents.target_rate[:, None])
    return state._replace(
        gradient_step=count,
        params=params,
        target_params=target_params,
        target_rest=target_rest,
        first_moment=first,
        second_moment=second,
        direction=direction,
    )


def step(network, agents, state, batch, hypergradients):
    """Take one gradient step of every agent. hypergradients: whether the hyper_lr of any agent is above 0.

    Either the learning rate moves first, by the gradient of the new minibatch along the last direction, except at the first
    step, which has no last direction: Eqs. (5) and (6). Or it moves last, by the gradient of the same minibatch at the new
    weights along the direction just taken: Algorithm 2.
    """
    if network.algorithm.rate_first and state.gradient_step == 0:
        hypergradients = False
    return later_step(network, agents, state, batch, hypergradients)


def later_step(network, agents, state, batch, hypergradients):
    """Take a gradient step after the first. Its operations do not depend on the values in the tensors."""
    rate_first = network.algorithm.rate_first
    if hypergradients and rate_first:
        state = hyper_step(network, agents, state, batch)
    state = weight_step(network, agents, state, batch)
    if hypergradients and not rate_first:
        state = hyper_step(network, agents, state, batch)
    return state
