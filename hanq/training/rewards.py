"""The unit of the rewards: what `hanq.train` multiplies them by while it learns, and how that is undone afterwards."""

from dataclasses import replace

import numpy as np

from hanq.algorithm import Network
from hanq.data.arguments import number, shown
from hanq.data.dataset import Dataset
from hanq.data.returns import discounted_returns

SPREAD = 100.0  # of the discounted returns that "auto" aims at, near Pendulum's own, on which the paper's settings were found
LEAST, MOST = 1e-30, 1e30  # of a scale: what float32 still holds in the gradients' squares is less


def reward_scales(value: object, dataset: Dataset, discounts: np.ndarray) -> np.ndarray:
    """What the rewards of each dataset are multiplied by, (datasets,) float64.

    value: a positive number, or "auto", which makes the standard deviation of the discounted returns in each dataset,
    counted from every transition to the end of its episode, `SPREAD`. ValueError names what is not allowed.
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
    """The dataset with its rewards multiplied; with scales of 1, of the same bits. ValueError where float32 cannot hold them."""
    rewards = (scales[:, None] * dataset.rewards).astype(np.float32)
    if not np.isfinite(rewards).all():
        raise ValueError(f"reward_scale={scales.max():g} makes rewards too large for float32: use a smaller number")
    return replace(dataset, rewards=rewards)


def in_the_rewards_unit(network: Network, params: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Parameters whose Q-values are in the unit of the rewards as logged, from those learned from scaled ones.

    params: (agents, network.size); scales: (agents,). Q-values and the predictor's bias are linear in their last layer.
    """
    natural = params.copy()
    views, factor = network.views(natural), (1 / scales).astype(params.dtype)
    for name in ("head.weight", "head.bias"):
        views[name] *= factor.reshape(-1, *[1] * (views[name].ndim - 1))
    if network.algorithm.predictor != "none" and network.algorithm.predictor_bias:
        for name in {"predictor.weight", "predictor.bias"} & set(views):
            views[name][:, 1] *= factor.reshape(-1, *[1] * (views[name].ndim - 2))
    return natural
