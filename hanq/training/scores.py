"""Computes the paper's numbers from curves: averages over training, intervals, and the best point of a grid.

All functions take and return labelled xarray data. Intervals are over the dimension "seed".
"""

import numpy as np
import xarray
from scipy.stats import bootstrap

RESAMPLES = 10_000


def average_over_training(values: xarray.DataArray) -> xarray.DataArray:
    """Average over gradient steps, which gives the score of the paper's tables (section 4)."""
    return values.mean("gradient_step", skipna=False)


def interval(values: xarray.DataArray, level: float = 0.95) -> xarray.Dataset:
    """Average over seeds, with a percentile bootstrap interval.

    values: any dimensions including "seed", with at least 2 seeds. level: the share of intervals that contain the true mean, above 0
    and below 1. Returns an xarray.Dataset of mean, low and high over the
    other dimensions. The interval is based on 10,000 resamples of the seeds and is deterministic. If a value is not finite,
    mean, low and high are NaN. Raises ValueError for fewer seeds, or another level.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level} is not allowed: use a number above 0 and below 1, such as 0.95")
    if values.sizes.get("seed", 0) < 2:
        raise ValueError(f"values has {values.sizes.get('seed', 0)} seeds: an interval needs at least 2")
    data = values.transpose(..., "seed")
    flat = data.values.reshape(-1, data.sizes["seed"]).astype(np.float64)
    finite = np.isfinite(flat).all(-1)
    low, high = np.full(len(flat), np.nan), np.full(len(flat), np.nan)
    if finite.any():
        found = bootstrap(
            (flat[finite],),
            np.mean,
            axis=-1,
            n_resamples=RESAMPLES,
            confidence_level=level,
            method="percentile",
            rng=np.random.default_rng(0),
            batch=max(1, 20_000_000 // flat.size),
        )
        low[finite], high[finite] = found.confidence_interval
    mean = np.where(finite, flat.mean(-1), np.nan)
    dims, shape = data.dims[:-1], data.shape[:-1]
    coords = {name: data[name] for name in dims if name in data.coords}
    return xarray.Dataset({name: (dims, column.reshape(shape)) for name, column in (("mean", mean), ("low", low), ("high", high))}, coords)


def best_of_grid(scores: xarray.DataArray) -> dict[str, float]:
    """Return the grid point with the best mean over seeds, as {dimension: value}.

    scores: averaged over training, with the dimension "seed" and those of the grid. A point whose mean is not finite is never
    the best; raises ValueError if there is no other. To choose and report on the same seeds is optimistic, so report the chosen
    point on seeds that took no part in the choice.
    """
    means = scores.mean("seed", skipna=False)
    if not np.isfinite(means).any():
        raise ValueError("scores has no grid point with a finite mean: none is the best")
    means = means.where(np.isfinite(means), -np.inf)
    place = means.argmax(...)
    return {str(name): means[name].values[int(index)].item() for name, index in place.items()}


def text(mean: float, low: float, high: float) -> str:
    """A score with its interval as the book prints it: 89.0 (81.2 to 95.1); of one seed, 89.0 (no interval)."""
    return f"{mean:.1f} (no interval)" if np.isnan(low) else f"{mean:.1f} ({low:.1f} to {high:.1f})"
