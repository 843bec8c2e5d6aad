"""What several test files share: every kind of algorithm, a random problem, small datasets."""

import os
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
import xarray

import hanq
from hanq.algorithm import Agents, State
from hanq.reference import Batch

TORCH = dict(engine="torch", progress=False)  # how tests of the PyTorch engine call hanq.train

W = 6  # hidden features: small enough for finite differences
DQN, HANQ, SSAQ = (replace(algorithm, hidden_features=W) for algorithm in (hanq.DQN, hanq.HANQ, hanq.SSAQ))
ALGORITHMS = {
    "DQN": DQN,
    "DQN, two layers": replace(DQN, hidden_layers=2),
    "DQN-LN": replace(hanq.DQN_LN, hidden_features=W),
    "DQN-LN, two layers": replace(hanq.DQN_LN, hidden_features=W, hidden_layers=2),
    "DQN-L2N": replace(hanq.DQN_L2N, hidden_features=W),
    "PQN": replace(hanq.PQN, hidden_features=W),
    "L2 norm first": replace(hanq.DQN_L2N, hidden_features=W, norm_first=True),
    "SSAQ": SSAQ,
    "SSANQ": replace(hanq.SSANQ, hidden_features=W),
    "SSAQ, symmetric, semi": replace(SSAQ, symmetric=True, hyperobjective="semi"),
    "HANQ": HANQ,
    "w/o metapredictor": replace(HANQ, predictor="direct"),
    "w/o LN": replace(HANQ, main_norm="none"),
    "w/o predictor norm": replace(HANQ, predictor_norm="none"),
    "LN predictor norm": replace(HANQ, predictor_norm="layer"),
    "w/o positive scale": replace(HANQ, positive_scale=False),
    "w/o bias": replace(HANQ, predictor_bias=False),
    "symmetric": replace(HANQ, symmetric=True),
    "semi": replace(HANQ, hyperobjective="semi"),
    "w/o affine": replace(HANQ, norm_affine=False, predictor_norm="layer"),
    "PQN w/o affine, two layers": replace(hanq.PQN, hidden_features=W, norm_affine=False, hidden_layers=2),
    "detached": replace(HANQ, detached_predictor=True),
    "detached, symmetric, norm first": replace(HANQ, detached_predictor=True, symmetric=True, norm_first=True, predictor_norm="layer"),
    "rate last": replace(HANQ, rate_first=False),
    "rate last, semi": replace(HANQ, rate_first=False, hyperobjective="semi"),
    "raw": replace(HANQ, rate_form="raw"),
    "square": replace(HANQ, rate_form="square"),
    "plain": replace(HANQ, rate_form="plain"),
    "rate last, plain": replace(HANQ, rate_first=False, rate_form="plain"),
    "rate last, square, other Adam": replace(HANQ, rate_first=False, rate_form="square", hyper_beta_2=0.9, hyper_second_moment=1e-3),
    "HANQ, norm first, two layers": replace(HANQ, norm_first=True, hidden_layers=2),
    "everything else": hanq.Algorithm(
        predictor="meta",
        positive_scale=False,
        predictor_bias=False,
        symmetric=True,
        main_norm="l2",
        predictor_norm="layer",
        norm_first=True,
        hyperobjective="semi",
        hidden_layers=2,
        hidden_features=W,
    ),
}


def normal(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def random_batch(generator, agents, size=8, obs_dim=4, actions=3):
    """Transitions of random numbers, about a third of them terminated."""
    return Batch(
        observations=normal(generator, agents, size, obs_dim),
        actions=torch.randint(actions, (agents, size), generator=generator),
        rewards=normal(generator, agents, size),
        next_observations=normal(generator, agents, size, obs_dim),
        terminated=(torch.rand(agents, size, generator=generator) < 0.35).to(torch.float64),
    )


def problem(algorithm, agents=3, seed=0):
    """(network, params, target_params, batch, discount) of random numbers in float64."""
    generator = torch.Generator().manual_seed(seed)
    network = hanq.Network(algorithm, obs_dim=4, actions=3)
    params, target_params = (0.5 * normal(generator, agents, network.size) for _ in range(2))
    discount = torch.linspace(0.7, 0.99, agents, dtype=torch.float64)
    return network, params, target_params, random_batch(generator, agents), discount


def float64_agents(**columns):
    """`Agents` for `reference.step` in float64; unnamed columns take hanq.train's defaults."""
    count = len(columns["learning_rate"])
    defaults = dict(
        seeds=range(count),
        datasets=range(count),
        hyper_lr=[0.0] * count,
        target_rate=[1.0] * count,
        discount=[0.99] * count,
        weight_decay=[0.0] * count,
    )
    kinds = dict.fromkeys(("seeds", "datasets"), torch.int64)
    columns = {name: torch.tensor(list(values), dtype=kinds.get(name, torch.float64)) for name, values in (defaults | columns).items()}
    return Agents(**columns)


def first_state(params, agents, hyper_second_moment=0.0):
    """The state before the first step, from given parameters."""
    zeros, none = torch.zeros_like(params), torch.zeros(len(params), dtype=params.dtype)
    return State(0, params, params, zeros, zeros, zeros, zeros, agents.learning_rate, none, none + hyper_second_moment)


@cache
def small_pendulum(seeds=4):
    """A small collected dataset, made once for the whole suite."""
    return hanq.collect("Pendulum", range(seeds), size=100, episode_length=50)


def logged(size=6, obs_dim=3, seeds=None):
    """Good arguments of from_arrays: plain lists and doubles, as a user has them."""
    rng, lead = np.random.default_rng(0), () if seeds is None else (seeds,)
    return dict(
        observations=rng.normal(size=(*lead, size, obs_dim)),
        actions=np.broadcast_to(np.arange(size) % 3, (*lead, size)),
        rewards=rng.normal(size=(*lead, size)),
        next_observations=rng.normal(size=(*lead, size, obs_dim)),
        terminated=rng.random((*lead, size)) < 0.3,
    )


ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(hanq.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
CHILD = dict(env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)  # of subprocess.Popen, for a program that uses hanq


def numbers(value=0.0):
    """Something to save."""
    return xarray.Dataset({"x": ("i", np.full(2_000, value))})


def names(folder):
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())
