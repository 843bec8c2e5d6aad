"""How well a choice without a simulator turns out: rank correlations and regrets of the study `offline_choice`."""

import numpy as np
import pandas
import xarray
from scipy.stats import rankdata

from hanq.training.scores import interval

ALL = "all"  # algorithms, to choose among these as well
REWARDS = {"Pendulum": (-16.3, 0.0), "Acrobot": (-1.0, 0.0), "CartPole": (0.0, 1.0)}  # least and greatest, as a log shows
HORIZON = 100  # 1 / (1 - discount)
ORIENTED = {  # what is made of each estimate so that more of it is better
    "fqe": lambda value: value,
    "possible_fqe": lambda value: value,
    "wis": lambda value: value,
    "own_q": lambda value: value,
    "bellman_error": lambda value: -value,
    "drift": lambda value: -abs(value),
    "scale": lambda value: -abs(np.log(value)),
}


def compare(found: xarray.Dataset, truth: str = "score") -> pandas.DataFrame:
    """One row for each environment, algorithm and estimate; means over seeds, each with its interval of 95%.

    possible_fqe is fqe without the values that no policy can have, as where fitted Q evaluation has diverged; it was added once
    the first results had shown such values.
    found: as `offline_choice.result` gives it. truth: "score" of the last parameters, or "average_score" over training.
    Each seed chooses among its own agents, one a learning rate. correlation: Spearman's, of estimate and truth over these
    agents; `ranked` says for how many seeds there is one, for where all are alike there is none, and it has an interval only
    where that is most of them. regret: the best agent's score less the chosen one's, where equals share the choice; random_regret:
    the same of a choice at random; gain: by how much the estimate's is less, seed by seed.
    """
    found = possible(found.isel(job=np.flatnonzero((found.factor == 1) & (found.reward_scale == "1"))))
    rows = []
    for environment in dict.fromkeys(found.environment.values):
        here = found.isel(job=np.flatnonzero(found.environment.values == environment))
        groups = {name: np.flatnonzero(here.algorithm.values == name) for name in dict.fromkeys(here.algorithm.values)}
        if len(groups) > 1:
            groups[ALL] = np.arange(here.sizes["job"])
        for algorithm, jobs in groups.items():
            agents = here.isel(job=jobs).stack(agent=("job", "learning_rate"), create_index=False).transpose("seed", "agent")
            for estimate in ORIENTED:
                with np.errstate(all="ignore"):
                    better = ORIENTED[estimate](agents[estimate].values.astype(np.float64))
                rows.append(dict(environment=environment, algorithm=algorithm, estimate=estimate) | _judged(better, agents[truth].values))
    return pandas.DataFrame(rows)


def possible(found: xarray.Dataset) -> xarray.Dataset:
    """With `possible_fqe`: NaN where fqe is beyond the extreme discounted returns by more than a tenth of their distance."""
    low, high = (HORIZON * xarray.DataArray([REWARDS[name][i] for name in found.environment.values], dims="job") for i in (0, 1))
    margin = 0.1 * (high - low)
    return found.assign(possible_fqe=found.fqe.where((found.fqe >= low - margin) & (found.fqe <= high + margin)))


def correlation(better: np.ndarray, truth: np.ndarray) -> float:
    """Spearman's rank correlation, NaN where either is the same for all; what is no number is the worst."""
    ranks = [rankdata(np.nan_to_num(one, nan=-np.inf)) for one in (better, truth)]
    if min(np.ptp(one) for one in ranks) == 0:
        return np.nan
    return float(np.corrcoef(*ranks)[0, 1])


def regret(better: np.ndarray, truth: np.ndarray) -> float:
    """The best truth less that of whom the estimate says is best, on average over equals; what is no number is the worst."""
    better = np.nan_to_num(better, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    return float(truth.max() - truth[better == better.max()].mean())


def _judged(better, truth):
    """Both (seeds, agents) -> the columns of one row."""
    correlations = np.array([correlation(*one) for one in zip(better, truth, strict=True)])
    ranked = np.isfinite(correlations)
    regrets = np.array([regret(*one) for one in zip(better, truth, strict=True)])
    random = truth.max(axis=1) - truth.mean(axis=1)
    row = {"ranked": int(ranked.sum())}
    usable = 2 * ranked.sum() > len(ranked) and ranked.sum() > 1
    for name, values in {
        "correlation": correlations[ranked] if usable else np.full(2, np.nan),
        "regret": regrets,
        "random_regret": random,
        "gain": random - regrets,
    }.items():
        found = interval(xarray.DataArray(values, dims="seed"))
        row |= {name: float(found["mean"]), f"{name}_low": float(found.low), f"{name}_high": float(found.high)}
    return row


def by_unit(found: xarray.Dataset, truth: str = "average_score") -> pandas.DataFrame:
    """HANQ's scores where the rewards are multiplied: a row for each environment, reward_scale, factor and learning rate.

    Left out are an environment and reward_scale for which the file has no factor of 1, or no other.
    found and truth as in `compare`. mean, low and high: over seeds; difference: to the same agents' score at a factor of 1,
    seed by seed, with its interval. moved: whether the mean lies outside the interval of the score at a factor of 1.
    """
    here = found[truth].isel(job=np.flatnonzero(found.algorithm.values == "HANQ"))
    labels = list(zip(*(here[name].values.tolist() for name in ("environment", "reward_scale", "factor")), strict=True))
    rows = []
    for place, (environment, reward_scale, factor) in sorted(enumerate(labels), key=lambda one: one[1]):
        measured = {one[2] for one in labels if one[:2] == (environment, reward_scale)}
        if 1.0 not in measured or len(measured) == 1:
            continue
        usual = here.isel(job=labels.index((environment, reward_scale, 1.0)))
        for rate in here.learning_rate.values:
            values, others = (one.sel(learning_rate=rate).reset_coords(drop=True).astype(float) for one in (here.isel(job=place), usual))
            row = dict(environment=environment, reward_scale=reward_scale, factor=factor, learning_rate=rate)
            for name, of in {"": values, "difference": values - others}.items():
                one = interval(of)
                row |= {f"{name}_{part}".strip("_"): float(one[part]) for part in ("mean", "low", "high")}
            at_one = interval(others)
            rows.append(row | {"moved": not at_one.low <= row["mean"] <= at_one.high})
    return pandas.DataFrame(rows)
