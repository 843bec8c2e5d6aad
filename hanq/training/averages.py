"""Averages over held-out episodes, each with a 95% interval.

An interval takes episodes as what was drawn at random, for the transitions of one are alike: Student's t on the episodes'
influences, which for a ratio of sums are its linearisation. With fewer than two episodes its ends are NaN.
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
    """Where the episodes of one dataset lie; one element an episode."""

    starts: np.ndarray  # the first row
    lengths: np.ndarray
    terminated: np.ndarray  # whether it really ended; else it was cut off


def episodes_of(ends: np.ndarray, terminated: np.ndarray) -> Episodes:
    """ends: (size,), whether each row is the last of its episode, as `hanq.data.returns.ends` has it; terminated: (size,)."""
    last = np.flatnonzero(ends)
    starts = np.concatenate([[0], last[:-1] + 1])
    return Episodes(starts, last + 1 - starts, terminated[last])


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> Average:
    """The sum over terms of what one sums to over episodes by what the other does; both (episodes, terms)."""
    count, total = len(numerator), denominator.sum(0)
    means = numerator.sum(0) / total  # (terms,)
    influence = (count * (numerator - means * denominator) / total).sum(-1)  # (episodes,)
    half = t.ppf(0.975, count - 1) * influence.std(ddof=1) / np.sqrt(count) if count > 1 else np.nan
    found = float(means.sum())
    return Average(found, found - half, found + half)


def mean(values: np.ndarray) -> Average:
    """Mean of values (episodes,)."""
    values = values[:, None].astype(np.float64)
    return ratio(values, np.ones_like(values))


def over_transitions(values: np.ndarray, episodes: Episodes) -> Average:
    """Mean of values (size,) over all rows."""
    sums = np.add.reduceat(values.astype(np.float64), episodes.starts)
    return ratio(sums[:, None], episodes.lengths[:, None])


def importance_sampling(agrees: np.ndarray, rewards: np.ndarray, discount: float, episodes: Episodes) -> tuple[Average, int]:
    """Per-decision weighted importance sampling of a deterministic policy's discounted return, and how many steps it reaches.

    agrees: (size,), whether the logged action is the policy's; the logged ones are uniformly random. The weight of an
    episode at step t is then the same for all that followed the policy until then, and 0 for the others (Precup et al.,
    2000): each step's reward is averaged over the former. The sum ends where none is left, and so does what is known.
    """
    lengths, size = episodes.lengths, len(agrees)
    first_other = np.minimum.reduceat(np.where(agrees, size, np.arange(size)), episodes.starts)
    followed = np.minimum(first_other - episodes.starts, lengths)  # steps for which an episode followed the policy
    steps = int(followed.max())
    if steps == 0:
        return UNKNOWN, 0
    step = np.arange(steps)
    here = step < followed[:, None]  # (episodes, steps)
    ended = ((followed == lengths) & episodes.terminated)[:, None] & ~here  # nothing more is to come, which is known too
    rows = np.minimum(episodes.starts[:, None] + step, size - 1)
    earned = np.where(here, discount**step * rewards[rows].astype(np.float64), 0.0)
    return ratio(earned, (here | ended).astype(np.float64)), steps
