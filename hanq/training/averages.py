"""Averages over held-out episodes, each with a 95% interval.

Transitions within an episode are not independent, so an interval treats whole episodes as the random sample. It uses Student's
t on the influence of each episode, which for a ratio of sums comes from its linearisation. With fewer than two episodes its
ends are NaN.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import t


class Average(NamedTuple):
    mean: float
    low: float
    high: float


UNKNOWN = Average(np.nan, np.nan, np.nan)


class Episodes(NamedTuple):
    """The episodes of one dataset, with one element per episode in each field."""

    starts: np.ndarray  # the first row
    lengths: np.ndarray
    terminated: np.ndarray  # false if the episode was cut off


def episodes_of(ends: np.ndarray, terminated: np.ndarray) -> Episodes:
    """Find the episodes of a dataset from `hanq.data.returns.ends` and its `terminated`, each (size,)."""
    last = np.flatnonzero(ends)
    starts = np.concatenate([[0], last[:-1] + 1])
    return Episodes(starts, last + 1 - starts, terminated[last])


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> Average:
    """Sum, over terms, the ratio of the two sums over episodes. Both arrays are (episodes, terms)."""
    count, total = len(numerator), denominator.sum(0)
    means = numerator.sum(0) / total  # (terms,)
    influence = (count * (numerator - means * denominator) / total).sum(-1)  # (episodes,)
    half = t.ppf(0.975, count - 1) * influence.std(ddof=1) / np.sqrt(count) if count > 1 else np.nan
    found = float(means.sum())
    return Average(found, found - half, found + half)


def mean(values: np.ndarray) -> Average:
    """Average values, (episodes,)."""
    values = values[:, None].astype(np.float64)
    return ratio(values, np.ones_like(values))


def over_transitions(values: np.ndarray, episodes: Episodes) -> Average:
    """Average values, (size,), over all transitions."""
    sums = np.add.reduceat(values.astype(np.float64), episodes.starts)
    return ratio(sums[:, None], episodes.lengths[:, None])


def importance_sampling(agrees: np.ndarray, rewards: np.ndarray, discount: float, episodes: Episodes) -> tuple[Average, int]:
    """Estimate a deterministic policy's discounted return by per-decision weighted importance sampling (Precup et al., 2000).

    agrees: (size,), whether the logged action, which is uniformly random, is the policy's. At each step, all episodes that have
    followed the policy so far have the same weight, and all others have weight 0, so the reward of the step is averaged over
    the former. Returns the estimate and the number of steps after which no episode is left.
    """
    lengths, size = episodes.lengths, len(agrees)
    first_other = np.minimum.reduceat(np.where(agrees, size, np.arange(size)), episodes.starts)
    followed = np.minimum(first_other - episodes.starts, lengths)  # steps for which an episode followed the policy
    steps = int(followed.max())
    if steps == 0:
        return UNKNOWN, 0
    step = np.arange(steps)
    here = step < followed[:, None]  # (episodes, steps)
    ended = ((followed == lengths) & episodes.terminated)[:, None] & ~here  # known to bring no further reward
    rows = np.minimum(episodes.starts[:, None] + step, size - 1)
    earned = np.where(here, discount**step * rewards[rows].astype(np.float64), 0.0)
    return ratio(earned, (here | ended).astype(np.float64)), steps
