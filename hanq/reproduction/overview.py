"""The ledger as a reader sees it: names in words, agreement first, differences with intervals, and one picture of everything."""

import re

import matplotlib.pyplot as plt
import numpy as np

from hanq.reproduction.chance import CHANCE, is_at_chance
from hanq.training import plots, scores

VARIANTS = {  # of HANQ, as Tables 2, 3 and 5 name them
    "w/o positive scale": "without positive scale",
    "w/o bias": "without bias",
    "w/o metapredictor": "without metapredictor",
    "w/o any predictor": "without any predictor",
    "symmetrized": "predictor on both sides",
    "w/o l2N": "without ℓ2 norm",
    "w/o LN": "without LayerNorm",
}
NORMS = {"l2N": "ℓ2", "LN": "LayerNorm", "none": "none"}
TITLES = {
    "1": "Table 1: HANQ and DQN",
    "2": "Table 2: the predictor changed",
    "3": "Table 3: normalisations removed",
    "4": "Table 4: normalisations exchanged",
    "5": "Table 5: Seaquest",
    "6": "Table 6: DQN with two hidden layers",
    "7": "Table 7: two hyperobjectives",
    "8": "Table 8: DQN with hypergradients",
    "9": "Table 9: DQN with a smaller discount",
    "text": "In the text: PQN",
}


def label(line) -> str:
    """The name of one line of `ledger.compare` in words: (DQN, target_rate=1) -> DQN, no target network."""
    if line.table == "4":
        return " + ".join(NORMS[norm] for norm in line.algorithm.split(" + "))
    name = VARIANTS.get(line.algorithm, line.algorithm).replace("l2N", "ℓ2N").replace(" 3-layer", "")
    setting = dict(part.split("=") for part in re.findall(r"\w+=[\w.-]+", line.setting))
    words = [f"γ = {setting['discount']}"] if "discount" in setting else []
    words += [f"κ = {np.format_float_positional(float(setting['hyper_lr']), trim='-')}"] if line.table == "8" else []
    if line.table in "1569" and not name.startswith(("HANQ", "without")):
        words.append("no target network" if setting.get("target_rate") == "1" else "target network")
    words += [line.setting] if "hyperobjective" in line.setting else []
    return ", ".join([name, *words])


def difference(line) -> tuple[float, float, float]:
    """Ours minus the paper's with a 95% interval, from the two means and intervals.

    The distances from each mean to the end of its interval are added as independent errors are, by their squares, each side by itself
    (Zou and Donner, 2008: the method of variance estimates recovery). NaN where ours has no interval.
    """
    mean = line.ours_mean - line.paper_mean
    below = np.hypot(line.ours_mean - line.ours_low, line.paper_high - line.paper_mean)
    above = np.hypot(line.ours_high - line.ours_mean, line.paper_mean - line.paper_low)
    return mean, mean - below, mean + above


def mark(line) -> str:
    """Whether our interval overlaps the paper's, as a mark with text; and whether ours has learned anything at all."""
    if line.overlap == "":
        return "– smaller run" if line.seeds else "– no result"
    if line.overlap == "no":
        return f"○ ours {'higher' if line.ours_mean > line.paper_mean else 'lower'}"
    learned = line.environment not in CHANCE or not is_at_chance(line.environment, line.ours_low)
    return "● overlaps" if learned else "◐ overlaps, at chance"


def table(lines) -> str:
    """Lines of the ledger as Markdown, agreement first; their column `label`, if they have one, names them."""
    cells = []
    for line in lines.itertuples():
        mean, low, high = difference(line)
        apart = "" if np.isnan(low) else f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"
        ours = scores.text(line.ours_mean, line.ours_low, line.ours_high) if line.seeds else ""
        printed = scores.text(line.paper_mean, line.paper_low, line.paper_high)
        cells.append([unbroken(mark(line)), getattr(line, "label", None) or label(line), *map(unbroken, (ours, printed, apart))])
    return plots.table(["agreement", "", "ours", "the paper's", "difference"], cells)


def unbroken(text: str) -> str:
    """The text of a narrow cell, which may be broken in front of an interval and after a comma only."""
    return text.replace(" ", "\u00a0").replace("\u00a0(", " (").replace(",\u00a0", ", ")


def details(lines) -> str:
    """What was chosen for each of these lines, what it took and where it is, as Markdown."""
    cells = [
        [label(line), plots.chosen(line), f"{line.core_seconds / 60:.0f}", f"`{line.file}`", line.protocol]
        for line in lines.itertuples()
        if line.seeds
    ]
    return plots.table(["", "chosen", "core minutes", "result file", "protocol"], cells)


def fold(summary: str, text: str) -> str:
    """Markdown behind a line that opens it."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def distinct(found):
    """The lines of classic control that can be compared, each result file once."""
    return found[(found.overlap != "") & (found.environment != "Seaquest")].drop_duplicates("file")


def picture(found, named: int = 5):
    """Every score of the paper across and ours upward, both with their intervals; the `named` farthest off are numbered and named."""
    figure, axes = plt.subplots(figsize=(5.6, 5.4))
    axes.plot([-10, 110], [-10, 110], color="#999999", linewidth=1)
    lines = distinct(found)
    for overlap, colour, face in [("yes", plots.COLOURS["DQN"], plots.COLOURS["DQN"]), ("no", plots.COLOURS["HANQ"], "white")]:
        part = lines[lines.overlap == overlap]
        across = [part.paper_mean - part.paper_low, part.paper_high - part.paper_mean]
        up = [part.ours_mean - part.ours_low, part.ours_high - part.ours_mean]
        axes.errorbar(
            part.paper_mean,
            part.ours_mean,
            xerr=across,
            yerr=up,
            fmt="o",
            color=colour,
            markerfacecolor=face,
            elinewidth=0.6,
            alpha=0.85,
            markersize=4,
        )
    far = lines[lines.overlap == "no"].assign(gap=lambda one: (one.ours_mean - one.paper_mean).abs()).nlargest(named, "gap")
    names = []
    for number, line in enumerate(far.itertuples(), 1):
        place = (line.paper_mean, line.ours_mean)
        axes.annotate(str(number), place, (5, -4), textcoords="offset points", va="top", fontsize="small", color="#444444")
        names.append(f"{number}  {'HANQ ' * (line.algorithm in VARIANTS)}{label(line)} ({line.environment})")
    axes.text(-8, 108, "\n".join(names), va="top", fontsize="x-small", color="#444444", linespacing=1.5)
    mean, low, high = CHANCE["Pendulum"]
    axes.axhspan(low, high, color="#eeeeee", zorder=0)
    axes.text(-9, mean, "random actions\non Pendulum", va="center", fontsize="x-small", color="#5f5f5f")
    axes.set(xlabel="the paper's score", ylabel="our score", xlim=(-10, 110), ylim=(-10, 110), aspect="equal")
    axes.grid(visible=False)
    return figure
