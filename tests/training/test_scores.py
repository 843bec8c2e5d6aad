"""Promise: tables hold averages over training with percentile-bootstrap intervals over seeds."""

import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

from hanq.data.environments import find
from hanq.training.scores import average_over_training, best_of_grid, interval, text

SAMPLES = np.random.default_rng(0).normal(50, 10, 30)
nan = float("nan")


def labelled(values, *dims):
    values = np.asarray(values, float)
    coords = {dim: 10.0 ** -np.arange(size) if dim != "seed" else np.arange(size) for dim, size in zip(dims, values.shape, strict=True)}
    return xarray.DataArray(values, coords, dims)


@pytest.mark.parametrize(("name", "low", "high"), [("Pendulum", -1500, -200), ("Acrobot", -500, -100), ("CartPole", 0, 500)])
def test_table_10s_endpoints_are_0_and_100(name, low, high):
    np.testing.assert_array_equal(find(name).score(labelled([low, high], "seed")), [0, 100])


def test_the_average_over_training_weighs_every_evaluation_alike():
    values = labelled([[0, 50, 100], [10, 10, 40]], "seed", "gradient_step")
    assert average_over_training(values).values.tolist() == [50, 20]


def test_the_mean_is_over_seeds_and_the_interval_is_of_it():
    found = interval(labelled(SAMPLES, "seed"))
    assert found["mean"].item() == pytest.approx(SAMPLES.mean(), rel=1e-12)
    assert found.low < found["mean"] < found.high
    half_width = 1.96 * SAMPLES.std() / np.sqrt(30)  # what the bootstrap of a mean tends to
    assert found.high.item() - found.low.item() == pytest.approx(2 * half_width, rel=0.05)


def test_the_interval_is_a_percentile_bootstrap():
    """Of a skewed sample, where the percentile interval is no mirror image of the "basic" one."""
    rng = np.random.default_rng(1)
    skewed = rng.exponential(10, 12)
    means = skewed[rng.integers(12, size=(200_000, 12))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    assert abs((low + high) / 2 - skewed.mean()) > 0.4
    found = interval(labelled(skewed, "seed"))
    assert (found.low.item(), found.high.item()) == (pytest.approx(low, abs=0.15), pytest.approx(high, abs=0.15))


def test_another_level_gives_another_percentile():
    rng = np.random.default_rng(2)
    means = SAMPLES[rng.integers(30, size=(200_000, 30))].mean(1)
    found = interval(labelled(SAMPLES, "seed"), level=0.5)
    np.testing.assert_allclose([found.low, found.high], np.percentile(means, [25, 75]), atol=0.1)


def test_an_interval_of_two_seeds_is_what_one_finds_by_hand():
    """Resamples of (0, 1) have means 0, 1/2, 1 with chances 1/4, 1/2, 1/4."""
    found = interval(labelled([0, 1], "seed"))
    assert (found.low.item(), found["mean"].item(), found.high.item()) == (0, 0.5, 1)
    half = interval(labelled([0, 1], "seed"), level=0.4)
    assert (half.low.item(), half.high.item()) == (0.5, 0.5)


def test_equal_seeds_have_an_interval_of_width_0():
    found = interval(labelled([7.0] * 5, "seed"))
    assert found.low == found["mean"] == found.high == 7


def test_an_interval_is_the_same_whenever_and_beside_whatever_it_is_computed():
    alone = interval(labelled(SAMPLES, "seed"))
    rows = labelled(np.stack([SAMPLES[::-1] * 2, SAMPLES, SAMPLES + 5]), "learning_rate", "seed")
    for _ in range(2):
        beside = interval(rows).isel(learning_rate=1).drop_vars("learning_rate")
        xarray.testing.assert_allclose(beside, alone, rtol=1e-12)


def test_dimensions_and_coordinates_are_kept_in_any_order():
    rng = np.random.default_rng(3)
    values = labelled(rng.normal(size=(2, 8, 3)), "learning_rate", "seed", "gradient_step")
    found = interval(values)
    assert found.low.dims == found["mean"].dims == ("learning_rate", "gradient_step")
    np.testing.assert_allclose(found["mean"], values.mean("seed"))
    xarray.testing.assert_equal(found.learning_rate, values.learning_rate)
    xarray.testing.assert_equal(found, interval(values.transpose("seed", "learning_rate", "gradient_step")))


@settings(deadline=None, derandomize=True, max_examples=20)
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12), st.floats(-1e3, 1e3))
def test_intervals_hold_the_mean_lie_within_the_values_and_shift_with_them(values, shift):
    found, moved = (interval(labelled(np.array(values) + by, "seed")) for by in (0, shift))
    slack = 1e-9 * (1 + max(map(abs, values)))
    assert min(values) - slack <= found.low <= found.high <= max(values) + slack
    np.testing.assert_allclose([moved[name] for name in moved], [found[name] + shift for name in found], atol=1e-7)


@pytest.mark.parametrize("bad", [nan, np.inf, -np.inf])
def test_no_agent_is_dropped_a_value_that_is_not_finite_makes_its_row_nan(bad):
    rows = labelled([[1, 2, bad], [1, 2, 3]], "learning_rate", "seed")
    found = interval(rows)
    assert np.isnan([found[name].values[0] for name in ("mean", "low", "high")]).all()
    assert np.isfinite([found[name].values[1] for name in ("mean", "low", "high")]).all()


def test_no_evaluation_and_no_seed_is_dropped_from_an_average():
    assert np.isnan(average_over_training(labelled([[1, nan]], "seed", "gradient_step"))).all()
    assert best_of_grid(labelled([[100, nan], [1, 2]], "learning_rate", "seed")) == {"learning_rate": 0.1}


def test_an_interval_needs_two_seeds():
    for values in (labelled([1], "seed"), labelled([1, 2], "learning_rate")):
        with pytest.raises(ValueError, match="an interval needs at least 2"):
            interval(values)


def test_the_best_of_a_grid_has_the_highest_mean_over_seeds():
    scores = np.zeros((3, 2, 4))
    scores[2, 1] = [10, 30, 20, 20]
    scores[0, 0] = [70, 0, 0, 0]  # the best single seed is not the best point
    best = best_of_grid(labelled(scores, "learning_rate", "hyper_lr", "seed"))
    assert best == {"learning_rate": 0.01, "hyper_lr": 0.1}
    assert all(isinstance(value, float) for value in best.values())


def test_a_grid_point_that_is_not_finite_is_never_the_best():
    for bad in (nan, np.inf, -np.inf):
        assert best_of_grid(labelled([[bad, bad], [-5, -6]], "learning_rate", "seed")) == {"learning_rate": 0.1}


def test_a_score_is_printed_with_its_interval_if_it_has_one():
    assert text(88.96, 81.24, 95.1) == "89.0 (81.2 to 95.1)"
    assert text(88.96, float("nan"), float("nan")) == "89.0 (no interval)"


@pytest.mark.parametrize("level", [95, 0, 1, -1.0, nan])
def test_a_level_is_a_share(level):
    with pytest.raises(ValueError, match=f"^level={level} is not allowed: use a number above 0 and below 1"):
        interval(labelled([1, 2], "seed"), level)
