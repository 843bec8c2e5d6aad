"""Promise: figures are labelled where the eye looks, and algorithms keep their colours."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

from hanq import plots


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=9))
def test_labels_keep_their_order_their_distance_and_the_axis(wanted):
    places = plots.spread(wanted, 7.0, 0.0, 100.0)
    assert (np.diff(places[np.argsort(wanted, kind="stable")]) >= 7 - 1e-9).all()
    assert places.min() >= -1e-9 and places.max() <= 100 + 1e-9


def test_labels_that_do_not_meet_stay_at_their_curves():
    assert plots.spread([30.0, 10.0, 90.0], 5.0, 0.0, 100.0).tolist() == [30.0, 10.0, 90.0]


def test_labels_that_meet_share_the_way():
    assert plots.spread([50.0, 50.0], 10.0, 0.0, 100.0).tolist() == [45.0, 55.0]


def test_no_two_algorithms_share_a_colour():
    assert len(set(plots.COLOURS.values())) == len(plots.COLOURS)


@pytest.mark.parametrize(("rate", "text"), [(1e-3, "$10^{-3}$"), (10**-2.5, "$10^{-2.5}$"), (1.0, "$10^{0}$")])
def test_rates_are_written_as_the_paper_writes_them(rate, text):
    assert plots.power_of_ten(rate) == text


def test_each_learning_rate_has_a_curve_a_band_and_a_label():
    rates = [1e-3, 1e-2]
    values = np.random.default_rng(0).normal(size=(2, 4, 3))
    coords = {"learning_rate": rates, "seed": range(4), "gradient_step": [1000, 2000, 3000]}
    figure = plots.rate_panels({"panel": xarray.DataArray(values, coords)}, ylabel="score", ylim=(-5, 5))
    (axes,) = figure.axes
    assert np.allclose([line.get_ydata() for line in axes.lines], values.mean(1))
    assert len(axes.collections) == 2
    assert [text.get_text() for text in axes.texts] == ["$10^{-3}$", "$10^{-2}$"]
    plt.close(figure)


def test_a_table_is_markdown():
    assert plots.table(["a", "b"], [[1, "x"]]) == "| a | b |\n| --- | --- |\n| 1 | x |"
