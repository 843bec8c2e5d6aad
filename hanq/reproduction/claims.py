"""The paper's claims, each with a test: paired by seed, and corrected by Holm's method for there being many.

Two algorithms with the same seed share dataset, initial weights, minibatches and evaluation starts, so they are compared seed by seed:
a *contrast* is a weighted sum of scores that one seed got, such as HANQ's minus DQN's. Its mean over seeds is tested against a bound by
flipping signs, a permutation test, which assumes that the contrast is symmetric around its mean. A claim about several contrasts holds if
all of them do, so it is as uncertain as the least certain.

A claim's *p* is twice the smaller of two values. The one for the claim is the largest of its contrasts' one-sided p-values; the one
against it is the smallest times their number (Bonferroni). With two bounds, as of `EQUAL`, the evidence for a contrast is the larger of
the one-sided p-values at the bounds (two one-sided tests), and the evidence against it twice the smaller one.
The claims themselves are in `hanq.reproduction.claimed`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import NamedTuple

import numpy as np
import xarray
from scipy import stats

from hanq.reproduction import paper
from hanq.training.run import GRID
from hanq.training.scores import average_over_training, best_of_grid

MARGIN = 5.0  # points of score: how much lower still "matches", and how far apart is still "equally well"
LEVEL = 0.05  # of the family of all claims
RESAMPLES = 10_000
ABOVE, NOT_BELOW, EQUAL = "is above", "is not below", "equals"


@dataclass(frozen=True)
class Score:
    """What each seed got: a result's score, averaged over some of its gradient steps."""

    result: str
    """As `paper.result` takes it."""
    steps: tuple[int, int] = (0, paper.STEPS)
    learning_rate: float | None = None
    """Where a result holds a grid of learning rates; by default the one with the best average over training."""


Contrast = tuple[tuple[float, Score], ...]
"""Weights, and what they multiply."""


class Claim(NamedTuple):
    """One sentence of the paper, in our words."""

    chapter: str
    """Of the book, which looks at it closely."""
    place: str
    """In the paper."""
    text: str
    relation: str
    """What is said of every contrast: `ABOVE` 0, `NOT_BELOW` 0 by more than `MARGIN`, or `EQUAL` to 0 within it."""
    contrasts: tuple[Contrast, ...]
    """Empty where there is no result of the paper's size."""
    contrast: str = ""
    """The contrasts in words, such as "HANQ − DQN"."""

    @property
    def tested(self) -> str:
        """The contrast in words with its bound; empty where there is no result."""
        bounds = {ABOVE: "> 0", NOT_BELOW: f"> −{MARGIN:g}", EQUAL: f"between −{MARGIN:g} and {MARGIN:g}"}
        return f"{self.contrast} {bounds[self.relation]}" if self.contrasts else ""


class Finding(NamedTuple):
    """A claim, what became of it, and the least certain of its contrasts."""

    claim: Claim
    verdict: str
    """`holds`, `does not hold`, `undecided`, or `not run` at the paper's size."""
    p: float
    """Two-sided, after Holm's correction; see the top of this file."""
    mean: tuple[float, float, float]
    """The contrast's mean over seeds, and its 95% interval."""
    middle: tuple[float, float, float]
    """The same for its interquartile mean."""
    ahead: tuple[float, float, float]
    """Share of the seeds on which it is above 0: the probability of improvement on one seed's data."""

    @property
    def leans(self) -> str:
        """Where the interval of the mean, uncorrected, points if the claim is undecided: `for` it, `against` it, or nowhere.

        For it: all of the interval is where the claim wants the mean. Against it: the mean is beyond the bound, and all of the interval
        on that side of 0.
        """
        if self.verdict != "undecided":
            return ""
        mean, low, high = self.mean
        margin = 0.0 if self.claim.relation == ABOVE else MARGIN
        if low > -margin and (self.claim.relation != EQUAL or high < margin):
            return "for"
        above = self.claim.relation == EQUAL and mean > margin and low > 0
        return "against" if above or (mean < -margin and high < 0) else ""


def minus(one: Score, *others: Score, times: float = 1.0) -> tuple[Contrast, ...]:
    """A contrast for each other score: one minus `times` that."""
    return tuple(((1.0, one), (-times, other)) for other in others)


def seed_values(score: Score, folder: str | PathLike = "results") -> xarray.DataArray:
    """(seed,): see `Score`."""
    curves = paper.result(score.result, folder).score
    rate = score.learning_rate or best_of_grid(average_over_training(curves))["learning_rate"]
    chosen = curves.sel(learning_rate=rate, method="nearest").sel(gradient_step=slice(*score.steps))
    return average_over_training(chosen).squeeze([name for name in GRID if name in chosen.dims]).reset_coords(drop=True)


def flips(values):
    """One-sided p-values for a mean above 0 and one below 0, by flipping the signs of seeds."""
    settings = dict(permutation_type="samples", n_resamples=RESAMPLES)
    sides = ("greater", "less")
    return tuple(
        stats.permutation_test([values], np.sum, alternative=side, rng=np.random.default_rng(0), **settings).pvalue for side in sides
    )


def bootstrap_t(values):
    """The same by the studentised bootstrap (Efron, 1979; Hall, 1988), which does not assume symmetry."""
    drawn = np.random.default_rng(0).choice(values - values.mean(), (RESAMPLES, len(values)))
    ratios, ours = drawn.mean(1) / drawn.std(1, ddof=1), values.mean() / values.std(ddof=1)
    return tuple((1 + np.sum(found)) / (1 + RESAMPLES) for found in (ratios >= ours, ratios <= ours))


def judge(claims: list[Claim], folder: str | PathLike = "results", test: Callable = flips) -> list[Finding]:
    """A `Finding` for each claim, in the same order. test: `flips` or `bootstrap_t`."""
    compared = dict.fromkeys(score for claim in claims for contrast in claim.contrasts for _, score in contrast)
    scores = {score: seed_values(score, folder) for score in compared}
    values = [
        [np.sum([weight * scores[score].values for weight, score in contrast], 0) for contrast in claim.contrasts] for claim in claims
    ]
    return decide(claims, values, test)


def decide(claims, values, test=flips):
    """`judge` where each claim's contrasts are arrays already: a list a claim, each (seeds,)."""
    run = [place for place, contrasts in enumerate(values) if contrasts]
    tests = {place: [chances(contrast, claims[place].relation, test) for contrast in values[place]] for place in run}
    sides = {place: (max(yes for yes, _ in found), min(1.0, len(found) * min(no for _, no in found))) for place, found in tests.items()}
    adjusted = dict(zip(run, holm([min(1.0, 2 * min(sides[place])) for place in run]), strict=True))
    findings = []
    for place, claim in enumerate(claims):
        if place not in adjusted:
            findings.append(Finding(claim, "not run", np.nan, *[(np.nan,) * 3] * 3))
            continue
        yes, no = sides[place]
        verdict = "undecided" if adjusted[place] >= LEVEL else "holds" if yes < no else "does not hold"
        ranks = [(yes, -np.mean(contrast) / np.std(contrast)) for (yes, _), contrast in zip(tests[place], values[place], strict=True)]
        hardest = values[place][ranks.index(max(ranks))]
        findings.append(Finding(claim, verdict, adjusted[place], *sizes(hardest)))
    return findings


def chances(contrast, relation, test=flips):
    """How likely so good a result would be if what is said of the contrast were false, and so bad a one if it were true."""
    if relation == EQUAL:  # two one-sided tests
        above, under = test(contrast + MARGIN), test(contrast - MARGIN)
        return max(above[0], under[1]), min(1.0, 2 * min(above[1], under[0]))
    return test(contrast + MARGIN * (relation == NOT_BELOW))


def holm(p_values):
    """Holm's correction for several tests: the smallest p-value times their number, the next times one less, and never less again."""
    p_values, order = np.asarray(p_values, float), np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1)))
    return adjusted


def sizes(contrast):
    """(mean, low, high) of the mean, of the interquartile mean, and of the share of seeds above 0; 95% intervals."""
    found = [(np.mean(contrast), np.mean), (stats.trim_mean(contrast, 0.25), lambda sample, axis: stats.trim_mean(sample, 0.25, axis=axis))]
    intervals = []
    for value, statistic in found:
        drawn = stats.bootstrap((contrast,), statistic, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(0))
        intervals.append((value, *drawn.confidence_interval))
    wins = int(np.sum(contrast > 0))
    share = stats.binomtest(wins, len(contrast)).proportion_ci(method="wilson")
    return [tuple(map(float, one)) for one in (*intervals, (wins / len(contrast), share.low, share.high))]
