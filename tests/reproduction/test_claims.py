"""Promise: the paper's claims are judged by rules, from results of the paper's size, and every verdict can turn."""

from pathlib import Path

import pandas
import pytest

from hanq.reproduction import claims, ledger

RESULTS = Path(__file__).parents[2] / "book" / "results"
BOOK = RESULTS.parent


@pytest.fixture(scope="module")
def found():
    return ledger.compare(RESULTS)


def judged(found):
    lines = claims.Lines(found, RESULTS)
    rows = [*claims.about_dqn(lines), *claims.about_parts(lines), *claims.about_rivals(lines)]
    return pandas.DataFrame(rows, columns=claims.COLUMNS).set_index("claim").verdict


def test_every_claim_has_a_verdict_and_a_chapter_with_the_evidence():
    table = claims.verdicts(RESULTS)
    assert set(table.verdict) <= {"holds", "does not hold", "not run at full size"}
    assert table.claim.is_unique and table.headline.any()
    for chapter in table.chapter:
        assert (BOOK / f"{chapter}.ipynb").is_file()
    assert (table.ours == "").equals(table.verdict == "not run at full size")


def test_a_claim_is_not_judged_from_a_smaller_experiment(found):
    seaquest = "HANQ matches or outscores DQN on Seaquest"
    assert judged(found)[seaquest] == "not run at full size"
    overlap = found.overlap.where(found.table != "5", "no")
    whole = found.assign(overlap=overlap, ours_low=found.ours_low.fillna(0), ours_high=found.ours_high.fillna(100))
    assert judged(whole)[seaquest] == "holds"
    smaller = found.assign(overlap="")
    assert set(judged(smaller)) == {"not run at full size"}


def test_worse_results_of_hanq_turn_the_verdicts_that_praise_it(found):
    """HANQ's scores are lowered to 5; the comparisons seed by seed read files, and stay."""
    hanq = (found.algorithm == "HANQ") & found.setting.isin(["hyper_lr=0.1", "", "residual hyperobjective"])
    worse = judged(found.assign(**{name: found[name].where(~hanq, 5.0) for name in ("ours_mean", "ours_low", "ours_high")}))
    pairs = worse.index.str.contains("hyperobjectives|pair of norms|CartPole|Seaquest|No variant")
    assert set(worse[~pairs]) == {"does not hold"}
    assert worse["On CartPole DQN scores above HANQ"] == "holds"


def test_better_variants_turn_the_verdicts_that_call_hanq_the_best(found):
    others = found.table.isin(["2", "4"]) & (found.algorithm != "HANQ") & (found.algorithm != "l2N + LN")
    better = judged(found.assign(**{name: found[name].where(~others, 200.0) for name in ("ours_mean", "ours_low", "ours_high")}))
    assert better["No variant of the predictor is above HANQ on both Pendulum and Acrobot"] == "does not hold"
    assert better["HANQ's pair of norms is above the eight others"] == "does not hold"
