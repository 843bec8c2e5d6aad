"""Figures of the book: one colour per algorithm, direct labels, shaded intervals."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn
from matplotlib.colors import to_rgb
from matplotlib.ticker import FuncFormatter
from scipy.optimize import isotonic_regression

from hanq.training.scores import interval

# Hues near Okabe and Ito's, which colour-blind readers can tell apart. Each has a contrast of 3:1, on white and as the site's
# style sheet turns figures for dark mode.
COLOURS = {
    "DQN": "#00609C",
    "DQN, no target": "#5F5F5F",
    "DQN-LN": "#3A97D3",
    "DQN-l2N": "#009E73",
    "PQN": "#6B1240",
    "SSAQ": "#BD8500",
    "SSANQ": "#4A3A0C",
    "HSSAQ": "#C46A9C",
    "HANQ": "#B83F00",
}


def use_style():
    """Set the book's figure style for everything drawn afterwards."""
    seaborn.set_theme(
        context="notebook",
        style="ticks",
        rc={
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlelocation": "left",
            "axes.titlesize": "medium",
            "axes.grid": True,
            "axes.grid.axis": "y",
            "grid.color": "#e6e6e6",
            "lines.linewidth": 1.8,
        },
    )


def rate_colours(rates):
    """One colour per learning rate, from dark (small) to bright (large), the same in every figure."""
    exponents = (np.log10(np.asarray(rates, float)) + 4) / 3  # 10**-4 ... 10**-1 -> 0 ... 1
    return [plt.get_cmap("plasma")(0.62 * np.clip(exponent, 0, 1)) for exponent in exponents]


def power_of_ten(value):
    """A rate as the paper writes it: 0.001 -> $10^{-3}$, 10**-2.5 -> $10^{-2.5}$."""
    return f"$10^{{{np.log10(value):.3g}}}$"


def learning_curves(axes, curves, colours):
    """Draw mean curves over gradient steps with 95% intervals over seeds.

    axes: matplotlib axes. curves: {label: xarray.DataArray with dimensions seed and
    gradient_step}. colours: one a curve. Each curve's label stands at its right end; set the
    limits of `axes` before.
    """
    ends = []
    for (label, values), colour in zip(curves.items(), colours, strict=True):
        ends.append((mean_and_band(axes, values, label, colour), label, colour))
    axes.set_xlabel("gradient steps")
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    axes.margins(x=0)
    label_ends(axes, ends)


def mean_and_band(axes, values, label, colour):
    """Draw one mean curve and its 95% interval over seeds; return the mean's last value."""
    found = interval(values.squeeze(drop=True))
    steps = found.gradient_step.values
    axes.plot(steps, found["mean"], color=colour, label=label)
    axes.fill_between(steps, found.low, found.high, color=colour, alpha=0.15, linewidth=0)
    return float(found["mean"][-1])


def thousands(value, _=None):
    """20000 -> 20k."""
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def label_ends(axes, ends):
    """Write labels beside the right end of each curve, moved apart where they would overlap.

    ends: (y, label, colour) a curve. Call it once the limits of `axes` are set.
    """
    low, high = axes.get_ylim()
    gap = 14 * (high - low) / (axes.get_window_extent().height * 72 / axes.figure.dpi)
    places = spread([min(max(y, low), high) for y, _, _ in ends], gap, low, high)
    for place, (_, label, colour) in zip(places, ends, strict=True):
        axes.annotate(
            label,
            (1.01, place),
            xycoords=axes.get_yaxis_transform(),
            color=ink(colour),
            va="center",
            fontsize="small",
            annotation_clip=False,
        )


def ink(colour):
    """A darker shade of a colour, for text: it stands out from white at 4.5:1, where a curve needs 3:1."""
    return tuple(0.78 * part for part in to_rgb(colour))


def spread(wanted, gap, low, high):
    """Places nearest to `wanted`, in the same order, at least `gap` apart and within low to high."""
    order = np.argsort(wanted, kind="stable")
    stairs = gap * np.arange(len(wanted))
    level = isotonic_regression(np.asarray(wanted, float)[order] - stairs).x
    places = np.empty(len(wanted))
    places[order] = np.clip(level, low, max(low, high - stairs[-1])) + stairs
    return places


def colour_of(label):
    """The colour of the algorithm that a label begins with: "DQN, no target network" has that of "DQN, no target"."""
    return COLOURS[max((name for name in COLOURS if label.startswith(name)), key=len)]


def rate_panels(curves, *, ylabel, ylim):
    """A small panel for each learning rate; in each, one mean curve an algorithm with its 95% interval over seeds.

    curves: {label: xarray.DataArray with dimensions learning_rate, seed, gradient_step}, all with the same learning rates.
    Labels begin with an algorithm's name, which decides the colour. Returns the figure; its last panel is the legend.
    """
    rates = next(iter(curves.values())).learning_rate.values
    rows = -(-(len(rates) + 1) // 2)
    figure, grid = plt.subplots(rows, 2, figsize=(5.6, 0.4 + 1.45 * rows), sharex=True, sharey=True, squeeze=False)
    *panels, legend = grid.flat[: len(rates) + 1]
    for axes, rate in zip(panels, rates, strict=True):
        for label, values in curves.items():
            mean_and_band(axes, values.sel(learning_rate=rate), label, colour_of(label))
        axes.set(ylim=ylim, title=f"learning rate {power_of_ten(rate)}")
        axes.margins(x=0)
        axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    figure.supxlabel("gradient steps", fontsize="medium")
    figure.supylabel(ylabel, fontsize="medium")
    for axes in grid.flat[len(rates) :]:
        axes.axis("off")
    legend.legend(handles=panels[0].lines, loc="center", frameon=False)
    for axes in panels[-2:]:  # the lowest of each column
        axes.xaxis.set_tick_params(labelbottom=True)
    return figure


def pendulums(axes, angles, colour, columns=6):
    """Draw one pendulum for each angle, in rows; those that stand, within 0.5 radians of upright, in colour, the others grey.

    angles: (seeds,), radians; 0 is upright and positive is counter-clockwise. Returns how many stand.
    """
    standing = np.cos(angles) > np.cos(0.5)
    for i, (angle, stands) in enumerate(zip(angles, standing, strict=True)):
        x, y = 2.4 * (i % columns), -2.4 * (i // columns)
        shade = colour if stands else "#8a8a8a"
        axes.plot([x, x - np.sin(angle)], [y, y + np.cos(angle)], color=shade, linewidth=2, solid_capstyle="round")
        axes.plot(x - np.sin(angle), y + np.cos(angle), "o", color=shade, markersize=4)
        axes.plot(x, y, "o", color="#4a4a4a", markersize=2)
    axes.set_aspect("equal")
    axes.axis("off")
    return int(standing.sum())


def comparison(rows, colours, chance=None):
    """Our scores with their intervals, the paper's below each in grey; one row a score.

    rows: lines of `hanq.reproduction.ledger.compare` with a column `label`, in the order from the top.
    colours: one a row. chance: the score of random actions, drawn as a dotted line where it is given.
    A score without a result shows the paper's only. Returns the figure.
    """
    figure, axes = plt.subplots(figsize=(5.6, 1.1 + 0.5 * len(rows)))
    for place, (line, colour) in enumerate(zip(rows.itertuples(), colours, strict=True)):
        for y, whose, face, edge in ((-place + 0.12, "ours", colour, colour), (-place - 0.2, "paper", "white", "#7a7a7a")):
            mean, low, high = (getattr(line, f"{whose}_{part}") for part in ("mean", "low", "high"))
            axes.errorbar(mean, y, xerr=[[mean - low], [high - mean]], fmt="o", color=edge, markerfacecolor=face, capsize=3)
    axes.set(yticks=-np.arange(len(rows)), yticklabels=rows.label, ylim=(0.6 - len(rows), 0.6), xlabel="score, averaged over training")
    axes.grid(axis="x", color="#e6e6e6")
    axes.grid(axis="y", visible=False)
    for label, face, edge in (("ours", "#4a4a4a", "#4a4a4a"), ("the paper's", "white", "#7a7a7a")):
        axes.plot([], [], "o", color=edge, markerfacecolor=face, label=label)
    if chance is not None:
        axes.axvline(chance, color="#7a7a7a", linestyle=":", linewidth=1.2, zorder=0, label="random actions")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, borderaxespad=0, handlelength=1.2, fontsize="small")
    return figure


def chosen(line):
    """The settings behind one line of the ledger, in the paper's symbols."""
    parts = [f"α {power_of_ten(line.learning_rate)}"]
    parts += [f"κ {power_of_ten(line.hyper_lr)}"] if line.hyper_lr > 0 else []
    parts += [f"β {power_of_ten(line.target_rate)}"] if line.target_rate < 1 else []
    parts += [f"ℓ2 {power_of_ten(line.weight_decay)}"] if line.weight_decay > 0 else []
    return ", ".join(parts + ["norm before ReLU"] * bool(line.norm_first))


def table(header, rows):
    """A table as Markdown text: header and rows are sequences of what goes into the cells."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
