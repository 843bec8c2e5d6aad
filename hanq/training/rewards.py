"""The scale of rewards during learning, and how it is undone afterwards."""

from dataclasses import replace

import numpy as np

from hanq.algorithm import Network
from hanq.data.dataset import Dataset
from hanq.data.foundations.arguments import number, shown
from hanq.data.returns import discounted_returns

SPREAD = 100.0  # the standard deviation that "auto" gives to returns; close to Pendulum's, for which the paper's settings were found
LEAST, MOST = 1e-30, 1e30  # the range of allowed factors


def reward_scales(value: object, dataset: Dataset, discounts: np.ndarray) -> np.ndarray:
    """Return the factor for the rewards of each dataset, (datasets,) float64.

    value: a positive number, or "auto", which gives the discounted returns in each dataset, from every transition to the end of
    its episode, a standard deviation of `SPREAD`. Raises ValueError for anything else.
    """
    if isinstance(value, str) and value == "auto":
        return _of_returns(dataset, discounts)
    found = number(value)
    if found is None or not LEAST <= found <= MOST:
        raise ValueError(f"reward_scale={shown(value)} is not allowed: use a number from {LEAST:g} to {MOST:g}, or 'auto'")
    return np.full(len(dataset.seeds), float(found))


def _of_returns(dataset, discounts):
    if len(discounts) > 1:
        raise ValueError(
            f"reward_scale='auto' needs one discount, but discount={shown(discounts.tolist())}: train them apart, or use a number"
        )
    spread = discounted_returns(dataset, float(discounts[0])).std(axis=1)
    for seed, one in zip(dataset.seeds.tolist(), spread.tolist(), strict=True):
        if not LEAST <= one <= MOST:
            raise ValueError(
                f"reward_scale='auto' needs discounted returns that vary, but those of the dataset of seed {seed} have a "
                f"standard deviation of {one:g}: use a number"
            )
    return SPREAD / spread


def scaled(dataset: Dataset, scales: np.ndarray) -> Dataset:
    """Multiply the rewards of a dataset; factors of 1 change no bit. Raises ValueError if float32 cannot hold the result."""
    rewards = (scales[:, None] * dataset.rewards).astype(np.float32)
    if not np.isfinite(rewards).all():
        raise ValueError(f"reward_scale={scales.max():g} makes rewards too large for float32: use a smaller number")
    return replace(dataset, rewards=rewards)


def in_the_rewards_unit(network: Network, params: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Convert parameters learned from scaled rewards to parameters whose Q-values refer to the original rewards.

    params: (agents, network.size). scales: (agents,). This is possible because Q-values and the predictor's bias are linear in
    the parameters of their last layer.
    """
    natural = params.copy()
    views, factor = network.views(natural), (1 / scales).astype(params.dtype)
    for name in ("head.weight", "head.bias"):
        views[name] *= factor.reshape(-1, *[1] * (views[name].ndim - 1))
    if network.algorithm.predictor != "none" and network.algorithm.predictor_bias:
        for name in {"predictor.weight", "predictor.bias"} & set(views):
            views[name][:, 1] *= factor.reshape(-1, *[1] * (views[name].ndim - 2))
    return natural
