"""One agent in plain PyTorch, written from the paper without looking at `hanq.reference`.

Weights are a dict of names; losses use torch.nn.functional; optimisers are torch.optim.Adam.
"""

import torch
from torch.nn import functional as F


def unflatten(network, vector):
    """A vector of parameters -> {name: tensor}, in the order of `network.shapes`."""
    sizes = [torch.Size(shape).numel() for shape in network.shapes.values()]
    pieces = torch.split(vector, sizes)
    return {name: piece.view(shape) for (name, shape), piece in zip(network.shapes.items(), pieces, strict=True)}


def activate(x, norm, first, w, name):
    """Section 10: normalisation over the features, after the ReLU unless `first`."""

    def normalised(y):
        if norm == "layer":
            return F.layer_norm(y, y.shape[-1:], w.get(f"{name}.weight"), w.get(f"{name}.bias"))
        if norm == "l2":
            return y / torch.linalg.vector_norm(y, dim=-1, keepdim=True).clamp_min(1e-12)
        return y

    return F.relu(normalised(x)) if first else normalised(F.relu(x))


def q_and_prediction(algorithm, w, s):
    """Q(s, .) and what the predictor makes of it, both (batch, actions)."""
    h = F.linear(s, w["hidden_0.weight"], w["hidden_0.bias"])
    if algorithm.hidden_layers == 2:
        h = F.linear(F.relu(h), w["hidden_1.weight"], w["hidden_1.bias"])
    main = activate(h, algorithm.main_norm, algorithm.norm_first, w, "main_norm")
    q = F.linear(main, w["head.weight"], w["head.bias"])
    if algorithm.predictor == "none":
        return q, q
    omega = w["predictor.bias"].expand(len(s), -1)
    if algorithm.predictor == "meta":
        h = h.detach() if algorithm.detached_predictor else h
        x = activate(h, algorithm.predictor_norm, algorithm.norm_first, w, "predictor_norm")
        omega = F.linear(x, w["predictor.weight"], w["predictor.bias"])
    scale = torch.exp(omega[:, 0]) if algorithm.positive_scale else omega[:, 0]
    bias = omega[:, 1] if algorithm.predictor_bias else torch.zeros_like(scale)
    return q, scale[:, None] * q + bias[:, None]


def loss(network, theta, target_theta, batch, discount):
    """The Bellman error of one agent's batch; nothing is detached, that is for the caller."""
    _, guess = q_and_prediction(network.algorithm, unflatten(network, theta), batch.observations)
    taken = torch.gather(guess, 1, batch.actions[:, None]).squeeze(1)
    q, guess = q_and_prediction(network.algorithm, unflatten(network, target_theta), batch.next_observations)
    best = (guess if network.algorithm.symmetric else q).amax(1)
    return F.mse_loss(taken, batch.rewards + discount * (1.0 - batch.terminated) * best)


def training(network, theta, batches, learning_rate, discount, target_rate=None, hyper_lr=0.0, weight_decay=0.0):
    """Parameters and learning rate after each batch; target_rate None: there is no target network.

    The hypergradient is autograd through the last update, on what Adam moves: the rate's
    logarithm, the rate itself, or the number whose square it is, sign and all. A "plain" rate is
    moved by gradient descent.
    """
    algorithm = network.algorithm
    theta = theta.clone().requires_grad_()
    target = theta.detach().clone()
    forms = {"log": (torch.log, torch.exp), "square": (torch.sqrt, torch.square)} | dict.fromkeys(("raw", "plain"), (torch.clone,) * 2)
    inverse, rate_of = forms[algorithm.rate_form]
    moved_by_adam = inverse(torch.tensor(learning_rate, dtype=theta.dtype)).requires_grad_()
    adam = torch.optim.Adam([theta], lr=learning_rate, weight_decay=weight_decay)
    hyper_adam = torch.optim.Adam([moved_by_adam], lr=hyper_lr, betas=(0.9, algorithm.hyper_beta_2))
    start = torch.full_like(moved_by_adam.detach(), algorithm.hyper_second_moment)
    hyper_adam.state[moved_by_adam] = {"step": torch.tensor(0.0), "exp_avg": torch.zeros_like(start), "exp_avg_sq": start}
    optimiser = torch.optim.SGD([moved_by_adam], lr=hyper_lr) if algorithm.rate_form == "plain" else hyper_adam

    def move_rate(before, direction, batch):
        moved = before - rate_of(moved_by_adam) * direction
        through = moved if algorithm.hyperobjective == "residual" else target
        (moved_by_adam.grad,) = torch.autograd.grad(loss(network, moved, through, batch, discount), moved_by_adam)
        optimiser.step()

    last, history = None, []
    for batch in batches:
        target = theta.detach().clone() if target_rate is None else target
        if hyper_lr and algorithm.rate_first and last is not None:
            move_rate(*last, batch)
        rate = rate_of(moved_by_adam).item()
        adam.param_groups[0]["lr"] = rate
        adam.zero_grad()
        loss(network, theta, target, batch, discount).backward()
        before = theta.detach().clone()
        adam.step()
        last = before, (before - theta.detach()) / rate
        target = theta.detach().clone() if target_rate is None else (1 - target_rate) * target + target_rate * theta.detach()
        if hyper_lr and not algorithm.rate_first:
            move_rate(*last, batch)
        history.append((theta.detach().clone(), rate_of(moved_by_adam).item()))
    return history
