"""Promise: figures are labelled where the eye looks, and algorithms keep their colours."""

from itertools import combinations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from hanq.training import plots


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


def test_each_learning_rate_has_a_panel_and_each_algorithm_a_curve_and_a_band_in_it():
    rates = [1e-3, 1e-2]
    coords = {"learning_rate": rates, "seed": range(4), "gradient_step": [1000, 2000, 3000]}
    names = ["DQN with a target network", "DQN, no target network"]
    curves = {name: xarray.DataArray(np.random.default_rng(i).normal(size=(2, 4, 3)), coords) for i, name in enumerate(names)}
    figure = plots.rate_panels(curves, ylabel="score", ylim=(-5, 5))
    *panels, legend = [axes for axes in figure.axes if axes.axison or axes.get_legend()]
    assert [axes.get_title("left") or axes.get_title() for axes in panels] == ["learning rate $10^{-3}$", "learning rate $10^{-2}$"]
    for axes, rate in zip(panels, rates, strict=True):
        means = [values.sel(learning_rate=rate).mean("seed") for values in curves.values()]
        assert np.allclose([line.get_ydata() for line in axes.lines], means)
        assert [line.get_color() for line in axes.lines] == [plots.COLOURS["DQN"], plots.COLOURS["DQN, no target"]]
        assert len(axes.collections) == 2
    assert [text.get_text() for text in legend.get_legend().get_texts()] == names
    plt.close(figure)


def luminance(colour):
    """Relative luminance as WCAG 2 defines it; colour: red, green and blue from 0 to 1."""
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one, other):
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def in_dark_mode(colour, ground):
    """What hanq.css makes of a colour: invert(1), hue-rotate(180deg), then blended with the ground by `screen`."""
    rotation = np.array([[-0.574, 1.430, 0.144], [0.426, 0.430, 0.144], [0.426, 1.430, -0.856]])
    turned = np.clip(rotation @ (1 - np.asarray(colour)), 0, 1)
    return 1 - (1 - turned) * (1 - ground)


@pytest.mark.parametrize("colour", [*plots.COLOURS.values(), *plots.rate_colours([1e-4, 1e-3, 1e-2, 1e-1])])
def test_every_colour_stands_out_on_white_and_in_dark_mode(colour):
    ground = np.array(to_rgb("#121212"))
    for shade, least in ((to_rgb(colour), 3), (plots.ink(colour), 4.5)):
        assert contrast(shade, (1, 1, 1)) > least
        assert contrast(in_dark_mode(shade, ground), ground) > least


SIGHT = {  # linear RGB as it is seen; Machado, Oliveira and Fernandes (2009), full severity
    "usual": np.eye(3),
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour, sight):
    """CIELAB of a colour as somebody with a kind of sight has it."""
    colour = np.array(to_rgb(colour))
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(TO_XYZ @ np.clip(np.array(SIGHT[sight]) @ linear, 0, 1) / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHT)
def test_colour_blind_readers_can_tell_any_two_algorithms_apart(sight):
    """A difference of 2 can just be seen side by side; 10 is plain."""
    for one, other in combinations(plots.COLOURS.values(), 2):
        assert np.linalg.norm(lab(one, sight) - lab(other, sight)) > 10, (one, other)


def test_pendulums_that_stand_are_drawn_in_colour_and_counted():
    figure, axes = plt.subplots()
    assert plots.pendulums(axes, np.array([0.0, 0.4, np.pi, 2 * np.pi, -1.0]), "#D55E00") == 3
    rods = [line for line in axes.lines if len(line.get_xdata()) == 2]
    assert [line.get_color() == "#D55E00" for line in rods] == [True, True, False, True, False]
    (x, tip_x), (y, tip_y) = rods[4].get_xdata(), rods[4].get_ydata()
    assert tip_x > x and tip_y > y  # clockwise of upright is to the right
    plt.close(figure)


def test_a_table_is_markdown():
    assert plots.table(["a", "b"], [[1, "x"]]) == "| a | b |\n| --- | --- |\n| 1 | x |"


@pytest.fixture
def ledger_lines():
    """Two lines as `ledger.compare` has them; the second without a result."""
    nan = float("nan")
    return pandas.DataFrame(
        {
            "label": ["PQN", "none yet"],
            "paper_mean": [43.3, 9.0],
            "paper_low": [30.2, 4.0],
            "paper_high": [57.2, 14.0],
            "ours_mean": [50.0, nan],
            "ours_low": [40.0, nan],
            "ours_high": [61.0, nan],
            "seeds": [30, 0],
            "overlap": ["yes", ""],
            "learning_rate": [1e-3, nan],
            "hyper_lr": [0.1, nan],
            "target_rate": [1.0, nan],
            "weight_decay": [1e-5, nan],
            "norm_first": [True, None],
        }
    )


def test_a_comparison_shows_both_means_and_both_intervals_of_every_row(ledger_lines):
    (axes,) = plots.comparison(ledger_lines, ["#882255", "#000000"], chance=30.6).axes
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert set(legend) == {"ours", "the paper's", "random actions"}
    assert 30.6 in [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata())]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["PQN", "none yet"]
    places = {(round(float(line.get_xdata()[0]), 1), np.sign(line.get_ydata()[0]) > 0) for line in axes.lines if len(line.get_xdata())}
    assert {(50.0, True), (43.3, False)} <= places
    segments = [segment for bars in axes.collections for segment in bars.get_segments() if len(segment)]
    ends = sorted({round(float(x), 1) for segment in segments for x in segment[:, 0]})
    assert ends == [4.0, 14.0, 30.2, 40.0, 57.2, 61.0]


def test_a_score_of_one_seed_is_shown_without_an_interval(ledger_lines):
    nan = float("nan")
    line = ledger_lines[:1].assign(ours_low=nan, ours_high=nan, overlap="", protocol="grid, 10 of 100 steps", seeds=1)
    figure = plots.comparison(line, ["#882255"])
    figure.canvas.draw()
    assert 50.0 in [float(shown.get_xdata()[0]) for shown in figure.axes[0].lines if len(shown.get_xdata())]


def test_what_was_chosen_is_named_in_the_papers_symbols(ledger_lines):
    (line, _) = ledger_lines.itertuples()
    assert plots.chosen(line) == "α $10^{-3}$, κ $10^{-1}$, ℓ2 $10^{-5}$, norm before ReLU"
