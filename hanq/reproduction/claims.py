"""What the paper claims, and the rule by which our results confirm each claim or not.

The rules: "above" means that a whole 95% interval lies above the other's; "matches" that the intervals overlap or that HANQ's
lies above; "equally well" that the interval of the difference, seed by seed, contains zero.
"""

from os import PathLike

import pandas

from hanq.reproduction import ledger, paper
from hanq.training import scores

COLUMNS = ["claim", "ours", "verdict", "chapter", "headline"]
CONTROL = ("Pendulum", "Acrobot", "CartPole")


def verdicts(folder: str | PathLike = "results") -> pandas.DataFrame:
    """A pandas.DataFrame with a line for each claim, judged from the result files in `folder`.

    Its columns: claim; ours, what we found, as text; verdict ("holds", "does not hold" or "not run at full size");
    chapter, the stem of the chapter with the evidence; headline, whether the first page of the book names it.
    Raises what `ledger.compare` and `paper.result` raise where results are missing or damaged.
    """
    lines = Lines(ledger.compare(folder), folder)
    judged = [*about_dqn(lines), *about_parts(lines), *about_rivals(lines), *about_curves(folder)]
    return pandas.DataFrame(judged, columns=COLUMNS)


class Lines:
    """The ledger's lines, found by what the paper prints."""

    def __init__(self, found, folder):
        self.found, self.folder = found, folder
        self.hanq = {environment: self.one("1", environment, "HANQ", "hyper_lr=0.1") for environment in CONTROL}

    def one(self, table, environment, algorithm, setting=""):
        wanted = [table, environment, algorithm, setting]
        return self.found[(self.found[["table", "environment", "algorithm", "setting"]] == wanted).all(axis=1)].iloc[0]

    def others(self, table, environment="Pendulum"):
        """The lines of a table that are not HANQ's own result."""
        chosen = self.found[(self.found.table == table) & (self.found.environment == environment)]
        return [line for line in chosen.itertuples() if line.result != self.hanq["Pendulum"].result]

    def alike(self, one, other):
        gain = scores.interval(paper.seed_scores(one.result, self.folder) - paper.seed_scores(other.result, self.folder))
        return bool(gain.low <= 0 <= gain.high)


def judge(claim, lines, rule, chapter, headline=False):
    """One line of `verdicts`: the rule is asked only where every result has the paper's size."""
    if any(line.overlap == "" for line in lines):
        return claim, "", "not run at full size", chapter, headline
    ours = f"{lines[0].ours_mean:.0f} against {highest(lines[1:]):.0f}" + (" or less" if len(lines) > 2 else "")
    return claim, ours, "holds" if rule(*lines) else "does not hold", chapter, headline


def highest(lines):
    return max(line.ours_mean for line in lines)


def above(one, other):
    return bool(one.ours_low > other.ours_high)


def matches(one, other):
    return bool(one.ours_high >= other.ours_low)


def about_dqn(lines):
    """HANQ against DQN, environment by environment (Tables 1 and 5)."""
    dqn = {environment: lines.one("1", environment, "DQN", paper.BEST) for environment in CONTROL}
    seaquest = [lines.one("5", "Seaquest", *key) for key in (("HANQ", "hyper_lr=0"), ("DQN", "best target_rate in 1e-4..1e-6"))]
    for environment in ("Pendulum", "Acrobot"):
        yield judge(f"HANQ matches or outscores DQN on {environment}", [lines.hanq[environment], dqn[environment]], matches, "hanq", True)
    yield judge("HANQ matches or outscores DQN on Seaquest", seaquest, matches, "seaquest", True)
    yield judge("On CartPole DQN scores above HANQ", [dqn["CartPole"], lines.hanq["CartPole"]], above, "hanq", True)
    yield judge("On Pendulum HANQ is above every DQN of Table 1", [lines.hanq["Pendulum"], *lines.others("1")], above_all, "hanq")


def above_all(first, *others):
    return all(above(first, other) for other in others)


def twice_all(first, *others):
    return all(first.ours_mean > 2 * other.ours_mean for other in others)


def unmatched(first, *others):
    return not any(matches(other, first) for other in others)


def about_parts(lines):
    """What HANQ scores without one of its parts, or with others in their place (Tables 2, 3, 4 and 7)."""
    hanq, acrobot = lines.hanq["Pendulum"], lines.hanq["Acrobot"]
    without = lines.one("2", "Pendulum", "w/o any predictor")
    symmetric = lines.one("2", "Pendulum", "symmetrized")
    variants = [lines.one("2", environment, line.algorithm) for line in lines.others("2") for environment in CONTROL[:2]]

    def none_above_on_both(*_):
        return not any(above(one, hanq) and above(two, acrobot) for one, two in zip(variants[::2], variants[1::2], strict=True))

    yield judge("Without any predictor HANQ's score on Pendulum falls", [hanq, without], above, "ablations", True)
    yield judge("With the predictor on both sides it falls too", [hanq, symmetric], above, "ablations")
    claim = "No variant of the predictor is above HANQ on both Pendulum and Acrobot"
    yield judge(claim, [hanq, *lines.others("2")], none_above_on_both, "ablations")
    claim = "Without either norm less than half of HANQ's score on Pendulum is left"
    yield judge(claim, [hanq, *lines.others("3")], twice_all, "ablations", True)
    yield judge("HANQ's pair of norms is above the eight others", lines.others("4"), above_all, "ablations")
    for environment in CONTROL[:2]:
        pair = [lines.hanq[environment], lines.one("7", environment, "HANQ", "semi-gradient hyperobjective")]
        yield judge(f"Both hyperobjectives work equally well on {environment}", pair, lines.alike, "hypergradients")


def about_rivals(lines):
    """Other ways to HANQ's score on Pendulum (PQN, and Tables 6, 8 and 9)."""
    hanq = lines.hanq["Pendulum"]
    claim = "HANQ scores far above PQN (over twice its score, by the paper's numbers)"
    yield judge(claim, [hanq, *lines.others("text")], twice_all, "ablations", True)
    claim = "A deeper DQN does not outscore HANQ"
    yield judge(claim, [hanq, *lines.others("6")], lambda first, *rest: highest(rest) <= first.ours_mean, "ablations")
    claim = "Hypergradients do not let DQN match HANQ"
    yield judge(claim, [hanq, *lines.others("8")], unmatched, "hypergradients", True)
    claim = "No tuned discount takes DQN's mean into HANQ's interval"
    yield judge(claim, [hanq, *lines.others("9")], lambda first, *rest: highest(rest) < first.ours_low, "ablations", True)


def kept(curve):
    """Mean of the last 20,000 steps as a share of the highest; curve: (gradient_step,)."""
    return float(curve[-10:].mean() / curve.max())


def at_best_rate(curves):
    """Each seed's curve at the learning rate with the best average over training: (seed, gradient_step)."""
    return curves.score.sel(scores.best_of_grid(scores.average_over_training(curves.score))).squeeze().reset_coords(drop=True)


def about_curves(folder):
    """The shapes of the paper's learning curves (Figs. 3a, 3b, 4a, 5 and 6b)."""
    names = ("fig3a-DQN", "fig3b-DQN", "fig3b-SSAQ", "fig4a-SSANQ", "fig6b-HANQ", "fig7-HSSAQ")
    curves = {name: paper.result(name, folder) for name in names}
    best = {name: at_best_rate(found) for name, found in curves.items()}
    dqn, hanq, hssaq = (best[name].mean("seed") for name in ("fig3a-DQN", "fig6b-HANQ", "fig7-HSSAQ"))
    fixed = curves["fig3b-SSAQ"].score.sel(learning_rate=10**-2.5).mean("seed").squeeze()
    peak = {name: float(found.score.mean("seed").max()) for name, found in curves.items()}
    early = [float(curve.sel(gradient_step=slice(0, 20_000)).mean()) for curve in (hanq, dqn)]
    norm = scores.interval(scores.average_over_training(best["fig4a-SSANQ"]) - scores.average_over_training(best["fig3b-SSAQ"]))

    def line(claim, ours, holds, chapter, headline=False):
        return claim, ours, "holds" if holds else "does not hold", chapter, headline

    yield line("DQN's score degrades as training goes on", f"it keeps {kept(dqn):.0%} of its peak", kept(dqn) < 0.9, "q-learning", True)
    pair = peak["fig3b-SSAQ"], peak["fig3b-DQN"]
    claim = "Without target networks, one learned number more than doubles DQN's peak"
    yield line(claim, f"{pair[0]:.0f} against {pair[1]:.0f}", pair[0] > 2 * pair[1], "asymmetry", True)
    gain = f"{scores.text(norm['mean'], norm.low, norm.high)} points, seed by seed"
    yield line("LayerNorm alone does not change SSAQ's score much", gain, bool(norm.low <= 0 <= norm.high), "normalization", True)
    claim = "Hypergradients stabilise SSAQ at its first learning rate"
    yield line(claim, f"it keeps {kept(hssaq):.0%} of its peak, not {kept(fixed):.0%}", kept(hssaq) > kept(fixed) + 0.1, "hypergradients")
    pair = peak["fig7-HSSAQ"], peak["fig3a-DQN"]
    yield line(
        "SSAQ with hypergradients does not reach DQN's peak", f"{pair[0]:.0f} against {pair[1]:.0f}", pair[0] < pair[1], "hypergradients"
    )
    claim = "HANQ learns faster than DQN, by the mean of the first 20,000 steps"
    yield line(claim, f"{early[0]:.0f} against {early[1]:.0f}", early[0] > early[1], "hanq", True)
    claim, ours = "HANQ is more stable than DQN", f"it keeps {kept(hanq):.0%} of its peak, DQN {kept(dqn):.0%}"
    yield line(claim, ours, kept(hanq) > kept(dqn), "hanq", True)
