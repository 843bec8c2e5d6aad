"""The paper in PyTorch: networks, losses, Adam, and the step that moves its own learning rate.

Every tensor has a leading axis over agents, which share nothing; any device, any float type.
This is the specification that the fused engine is held to, and the code that the book shows.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch.nn.functional import conv2d, layer_norm, normalize, relu

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # Adam's defaults, for weights and learning rate alike


class Batch(NamedTuple):
    """Transitions that the agents learn from in one step."""

    observations: torch.Tensor  # (agents, batch, obs_dim)
    actions: torch.Tensor  # (agents, batch)
    rewards: torch.Tensor  # (agents, batch)
    next_observations: torch.Tensor  # (agents, batch, obs_dim)
    terminated: torch.Tensor  # (agents, batch)


class EvaluationBatch(NamedTuple):
    """A `Batch` from which agents learn the value of a given policy instead of the best one.

    This is fitted Q evaluation (Le et al., 2019): Q-learning with the policy's action in place of the maximum.
    """

    observations: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    next_observations: torch.Tensor
    terminated: torch.Tensor
    next_actions: torch.Tensor  # (agents, batch): what the policy does in s'


def linear(weights, layer, inputs):
    """One linear layer an agent: (agents, batch, inputs) -> (agents, batch, outputs)."""
    bias = weights[f"{layer}.bias"][:, None]  # (agents, 1, outputs)
    outputs = torch.baddbmm(bias, inputs, weights[f"{layer}.weight"].mT)
    return outputs.to(bias.dtype)  # under autocast the layer alone is in bfloat16, not the norms and losses that follow


def torso(network, weights, observations):
    """What the first hidden layer reads, (agents, batch, network.obs_dim).

    observations: (agents, batch, obs_dim), passed on as they are where there are no convolutions;
    else images of 0 to 255 in any type, (agents, batch, channels, height, width).
    """
    if not network.convolutions:
        return observations
    x = observations.to(weights["conv_0.weight"].dtype) / 255
    for i, convolution in enumerate(network.convolutions):
        of_every_agent = torch.vmap(partial(conv2d, stride=convolution.stride))
        x = relu(of_every_agent(x, weights[f"conv_{i}.weight"], weights[f"conv_{i}.bias"]))
    return x.flatten(2)


def hidden(network, weights, observations):
    """The last hidden layer before its ReLU: (agents, batch, features)."""
    before_relu = linear(weights, "hidden_0", torso(network, weights, observations))
    if network.algorithm.hidden_layers == 2:
        before_relu = linear(weights, "hidden_1", relu(before_relu))
    return before_relu


def features(network, weights, before_relu, path):
    """ReLU and the normalisation of one path, "main" or "predictor" (section 10)."""

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
    """Q(s, a) of every action: (agents, batch, actions)."""
    return linear(weights, "head", features(network, weights, before_relu, "main"))


def predictor(network, weights, before_relu):
    """The asymmetric predictor's scale and bias for each state, both (agents, batch, 1).

    Direct: two learned numbers (SSAQ has one). Meta: a linear layer on the hidden features
    before the main normalisation, so the predictor depends on the state (section 3.4). Detached,
    it learns without shaping those features, in every gradient, the hyperobjective's included.
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
    """What the predictor makes of Q: scale * Q + bias; Q itself without a predictor."""
    if network.algorithm.predictor == "none":
        return q
    scale, bias = predictor(network, weights, before_relu)
    return scale * q + bias


def losses(network, params, target_params, batch, discount):
    """Mean squared Bellman error of each agent, (agents,), with the predictor on Q(s, a) only.

    Differentiated in `params` alone it gives the semi-gradient, for `target_params` are then a
    constant; with the same tensor in both places, the residual gradient (section 12).
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
    """Each agent's gradient of its own loss, (agents, parameters): agents are summed, not averaged."""
    params = params.detach().requires_grad_()
    return torch.autograd.grad(losses_of(params).sum(), params)[0]


def inner(a, b):
    """Inner product of each agent's vectors: (agents,)."""
    return (a * b).sum(-1)


def adam_direction(first_moment, second_moment, gradient, count, beta_2=BETA_2):
    """Adam's direction for step `count` (from 1) and both new moments (Kingma and Ba, 2014)."""
    first_moment = BETA_1 * first_moment + (1 - BETA_1) * gradient
    second_moment = beta_2 * second_moment + (1 - beta_2) * gradient.square()
    mean = first_moment / (1 - BETA_1**count)
    root = (second_moment / (1 - beta_2**count)).sqrt()
    return mean / (root + EPSILON), first_moment, second_moment


def objective_gradient(network, agents, state, batch):
    """Gradient of the hyperobjective at the present weights, (agents, parameters).

    The semi-gradient bootstraps from the present target network, as a constant.
    """

    def objective(theta):
        residual = network.algorithm.hyperobjective == "residual"
        return losses(network, theta, theta if residual else state.target_params, batch, agents.discount)

    return gradient(objective, state.params)


def hyper_step(network, agents, state, batch):
    """Move every learning rate against its hypergradient, Eqs. (5) and (7).

    Adam acts on log(learning rate): the paper's raw form blows up at hyper_lr = 0.1. The form
    "raw" is nevertheless the paper's, and may go below 0; "square" acts on a with rate = a**2.
    Adam counts the steps of the weights that there has been a direction of: from 1 at the first
    gradient step where the rate moves last, at the second where it moves first.
    """
    algorithm, rate = network.algorithm, state.learning_rate
    slope = -inner(objective_gradient(network, agents, state, batch), state.direction)  # Eq. (7), (agents,)
    if algorithm.rate_form == "log":
        slope = slope * rate  # d loss / d log(rate)
    elif algorithm.rate_form == "square":
        slope = slope * 2 * rate.sqrt()  # d loss / d a
    direction, first, second = adam_direction(
        state.hyper_first_moment, state.hyper_second_moment, slope, state.gradient_step, algorithm.hyper_beta_2
    )
    change = -agents.hyper_lr * direction
    if algorithm.rate_form == "log":
        moved = rate * torch.exp(change)  # Eq. (5)
    elif algorithm.rate_form == "raw":
        moved = rate + change
    else:  # the state holds a's square alone: where a becomes negative, go on with -a
        a = rate.sqrt() + change
        moved, first = a.square(), torch.where(a < 0, -first, first)
    learning_rate = torch.where(agents.hyper_lr > 0, moved, rate)
    return state._replace(learning_rate=learning_rate, hyper_first_moment=first, hyper_second_moment=second)


def follow(target_params, target_rest, params, target_rate):
    """The target network's step, (1 - beta) * target + beta * params, Eq. (2), and what rounding leaves out of it.

    The target network really is at target_params + target_rest: with beta = 1e-6 its step is shorter than the distance
    between two float32 numbers, so what the sum cannot hold waits for the next one (Kahan, 1965). With beta = 1 the
    target is the parameters.
    """
    change = target_rate * (params - target_params - target_rest) + target_rest
    followed = target_params + change
    rest = change - (followed - target_params)
    copied = target_rate == 1
    return torch.where(copied, params, followed), torch.where(copied, 0, rest)


def weight_step(network, agents, state, batch):
    """Move the weights along the semi-gradient, Eq. (6), and the target network after them, Eq. (2)."""
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
    """One gradient step of every agent; hypergradients: whether any agent's hyper_lr is above 0.

    The rate moves first, by the new minibatch's gradient along the last direction, except at the
    first step, which has none: Eqs. (5) and (6). Or last, by the gradient of the same minibatch
    at the new weights along the direction just taken: Algorithm 2.
    """
    if network.algorithm.rate_first and state.gradient_step == 0:
        hypergradients = False
    return later_step(network, agents, state, batch, hypergradients)


def later_step(network, agents, state, batch, hypergradients):
    """A gradient step after the first; nothing in it depends on what is in the tensors."""
    rate_first = network.algorithm.rate_first
    if hypergradients and rate_first:
        state = hyper_step(network, agents, state, batch)
    state = weight_step(network, agents, state, batch)
    if hypergradients and not rate_first:
        state = hyper_step(network, agents, state, batch)
    return state
