"""Promise: what the chapter *What reproduces* says in words is what the result files say in numbers."""

import json
from collections import Counter

import numpy as np
import pytest
from scipy import stats
from sentences import BOOK, FOLDER, check, found, hanq, meets, result, row, rows, seeds, text

from hanq.algorithm import State
from hanq.reproduction import claimed, claims, overview, paper, variations
from hanq.training import scores


def findings():
    return claimed.findings(FOLDER)


def verdicts():
    return Counter(one.verdict for one in findings())


def verdict(*texts):
    return [next(one.verdict for one in findings() if one.claim.text == text) for text in texts]


def one_of(text):
    return next(one for one in findings() if one.claim.text == text)


def size(text):
    """A claim's verdict, the size of its difference, and how wide the interval is."""
    mean, low, high = one_of(text).mean
    return one_of(text).verdict, round(mean, 1), round(high - low)


def alone(text):
    """The two-sided p-value of a claim before Holm's correction."""
    values = [
        sum(weight * claims.seed_values(score, FOLDER) for weight, score in contrast).values for contrast in one_of(text).claim.contrasts
    ]
    tests = [claims.chances(one, one_of(text).claim.relation) for one in values]
    return 2 * min(max(yes for yes, _ in tests), min(1.0, len(tests) * min(no for _, no in tests)))


def distinct():
    return overview.distinct(found())


def disagreeing():
    return distinct()[distinct().overlap == "no"]


def clear_differences():
    """How many results overlap although the interval of the difference excludes zero."""
    return sum(low > 0 or high < 0 for _, low, high in map(overview.difference, distinct()[distinct().overlap == "yes"].itertuples()))


def flattery(figure, algorithm, setting):
    """How much higher the paper's rule scores: the best of a grid on the report's seeds, minus what other seeds chose."""
    averaged = scores.average_over_training(paper.result(figure, FOLDER).score)
    return averaged.sel(scores.best_of_grid(averaged)).mean().item() - row("1", algorithm, setting).ours_mean


def rerun(figure, line):
    """Standard error of the difference of two runs with the same setting and seeds, one of a figure and one of a table."""
    grid = scores.average_over_training(paper.result(figure, FOLDER).score)
    again = grid.sel(learning_rate=line.learning_rate, method="nearest").squeeze(drop=True)
    return ((again - seeds(line.result)).std("seed", ddof=1) / 30**0.5).item()


def judged(monkeypatch, **changes):
    findings()  # which are kept, so that they have to be made before anything is changed
    for name, value in changes.items():
        monkeypatch.setattr(claims, name, value)
    return claims.judge(claimed.CLAIMS, FOLDER)


def selection():
    """The ledger's lines of the rows that are to be searched by the paper's own rule."""
    return [row(table.removeprefix("table"), name, setting, environment) for table, environment, name, setting in variations.SELECTION]


def has_own_rule(line):
    return paper.path_of(f"selection-{line.result}", FOLDER).exists()


def by_own_rule():
    return [line for line in selection() if has_own_rule(line)]


FACTS = {
    "The paper prints 99 scores and builds some two dozen claims on them": lambda: (
        len(found()) == 99 and len([one for one in findings() if one.verdict != "not run"]) == 24
    ),
    "Four of them are Seaquest's": lambda: (found().environment == "Seaquest").sum() == 4,
    "In both rows the rule takes the very learning rate that the other seeds had chosen, so choosing": lambda: (
        [line.algorithm for line in by_own_rule()] == ["DQN-l2N", "DQN-LN"]
        and all(line.overlap == "no" and line.environment == "Acrobot" for line in by_own_rule())
        and all(result(f"selection-{line.result}").learning_rate == result(line.result).learning_rate for line in by_own_rule())
        and not any(meets(line, seeds(f"selection-{line.result}")) for line in by_own_rule())
    ),
    "The remaining rows of this experiment, seven that disagree and six controls": lambda: (
        Counter(line.overlap for line in selection() if not has_own_rule(line)) == {"no": 7, "yes": 6}
    ),
    "eight that overlap are clearly apart all the same, where chance alone would make about four of 79 look so": lambda: (
        clear_differences() == 8 and (distinct().overlap == "yes").sum() == 79 and round(0.05 * 79) == 4
    ),
    "For a few of the results that overlap, that interval excludes zero": lambda: 2 <= clear_differences() <= 9,
    "HANQ's own interval overlaps the paper's in all three environments": lambda: all(
        hanq(name).overlap == "yes" for name in ("Pendulum", "Acrobot", "CartPole")
    ),
    "Every result that disagrees is a DQN's or a changed HANQ's": lambda: "HANQ" not in set(disagreeing().label),
    "On Acrobot, though, HANQ's overlaps only because it is wide": lambda: hanq("Acrobot").ours_mean < hanq("Acrobot").paper_low,
    "Thirteen hold and eleven stay undecided. None is rejected": lambda: verdicts() == {"holds": 13, "undecided": 11, "not run": 2},
    "four lean for the paper and two against it": lambda: Counter(one.leans for one in findings() if one.leans) == {"for": 4, "against": 2},
    "that HANQ matches DQN on Acrobot, where five seeds fail, and that LayerNorm changes SSAQ's score little": lambda: (
        [one.claim.text for one in findings() if one.leans == "against"]
        == ["On Acrobot, HANQ matches or outscores DQN", "LayerNorm changes SSAQ's score little"]
        and (seeds(hanq("Acrobot").result) < 10).sum() == 5
    ),
    "which the paper does not say and which thirty seeds leave undecided": lambda: (
        min(claims.flips((seeds(hanq().result) - 2 * seeds(rows("text").iloc[0].result)).values)) * 2 * 12 > 0.05
    ),
    "It gives 22 of the 24 verdicts again. By it the other two, that HANQ is above all six DQNs and that hypergradients": lambda: (
        [
            (one.claim.text, other.verdict)
            for one, other in zip(findings(), claimed.checked(FOLDER), strict=True)
            if one.verdict != other.verdict
        ]
        == [("On Pendulum, HANQ is above all six DQNs", "holds"), ("Hypergradients do not let DQN match HANQ", "holds")]
    ),
    "our program stores, a vector as large as the network": lambda: "direction" in State.__annotations__,
    "learns faster, and keeps what it has learned, and its score falls without its asymmetry": lambda: (
        verdict(
            "On Pendulum, HANQ matches or outscores DQN",
            "HANQ learns faster than DQN",
            "HANQ keeps its score better than DQN",
            "Take out asymmetry, either norm or the hypergradient, and Pendulum's score falls",
        )
        == ["holds"] * 4
    ),
    "With the typical seed a well-tuned DQN is nearly as good as HANQ": lambda: (
        abs((seeds(hanq().result) - seeds(row("1", "DQN", paper.BEST).result)).median()) < 4
    ),
    "The differences are small beside the intervals. HANQ's two numbers, 0.9 apart, even come from the same setting": lambda: (
        abs(flattery("fig3a-DQN", "DQN", paper.BEST)) < 1.96 * rerun("fig3a-DQN", row("1", "DQN", paper.BEST))
        and abs(flattery("fig3b-DQN", "DQN", "target_rate=1")) < 1
        and round(abs(flattery("fig6b-HANQ", "HANQ", "hyper_lr=0.1")), 1) == 0.9
    ),
    "For DQN with a target network the two rules chose different learning rates, $10^{-2}$ and $10^{-2.5}$": lambda: (
        scores.best_of_grid(scores.average_over_training(paper.result("fig3a-DQN", FOLDER).score))["learning_rate"] == pytest.approx(1e-2)
        and row("1", "DQN", paper.BEST).learning_rate == pytest.approx(10**-2.5)
    ),
    "In the middle half of the seeds HANQ is ahead of a well-tuned DQN by only 3.7 points (0.5 to 25.8)": lambda: (
        scores.text(*map(float, next(one.middle for one in findings() if "Pendulum, HANQ matches or outscores DQN" in one.claim.text)))
        == "3.7 (0.5 to 25.8)"
    ),
    "These six, DQN's and DQN-LN's among them, lie five to seven points above the paper's": lambda: (
        sum(5 < line.ours_mean - line.paper_mean < 7 for line in disagreeing().itertuples() if line.environment == "Acrobot") == 6
    ),
    "the pair of norms none + ℓ2 from 30.6 to 44.1 (the paper: 45.9), so that these two [no longer disagree]": lambda: (
        [round(one, 1) for one in (row("4", "none + l2N", "hyper_lr=0").ours_mean, row("4", "none + l2N", "hyper_lr=0").paper_mean)]
        == [44.1, 45.9]  # 30.6 is tested in test_open_points_searches.py
        and "no" not in (row("4", "none + l2N", "hyper_lr=0").overlap, row("2", "w/o bias").overlap)
    ),
    "It took HANQ without its bias from 63.6 to 92.4 (the paper has 94.8)": lambda: (
        [round(one, 1) for one in (row("2", "w/o bias").ours_mean, row("2", "w/o bias").paper_mean)]
        == [92.4, 94.8]  # 63.6 is tested in test_open_points.py
    ),
    "DQN without a target network at the smallest discount scores less here than in the paper": lambda: (
        list(rows("9")[rows("9").overlap == "no"].label) == ["DQN, γ = 0.75, no target network"]
    ),
    "about 0.6%: in 89 results half a miss, and we have ten": lambda: (
        len(distinct()) == 89 and len(disagreeing()) == 10 and round(100 * 2 * stats.norm.sf(2 * 1.96 / 2**0.5), 1) == 0.6
    ),
    "it learns faster and that none of its thirty agents averages below 50, where six of DQN's do": lambda: (
        seeds(hanq().result).min() > 50
        and (seeds(row("1", "DQN", paper.BEST).result) < 50).sum() == 6
        and verdict("HANQ learns faster than DQN") == ["holds"]
    ),
    "no DQN with a second hidden layer outscores HANQ holds with a difference of 2.7 points": lambda: (
        size("No DQN with a second hidden layer outscores HANQ") == ("holds", 2.7, 9)
    ),
    "no tuned discount lets DQN outscore it is undecided with one of 9.4. The first interval is nine points wide, the second 22": lambda: (
        size("No tuned discount lets DQN outscore HANQ") == ("undecided", 9.4, 22)
    ),
    "As a single question the second would pass; after the correction it is compatible with chance": lambda: (
        alone("No tuned discount lets DQN outscore HANQ") < 0.05 < alone("HSSAQ does not quite reach DQN's peak")
    ),
    'For "above" the bound is 0. For "matches" or "no lower" it is −5 points': lambda: claims.MARGIN == 5 and claims.LEVEL == 0.05,
    "we flip their signs at random, 10,000 times": lambda: claims.RESAMPLES == 10_000,
    "Most of the paper's scores reproduce from its text and its tables, among them HANQ's own on Pendulum and CartPole": lambda: (
        (distinct().overlap == "yes").mean() > 0.8 and hanq().overlap == hanq("CartPole").overlap == "yes"
    ),
    "Each of the four new ones has a *p* between 0.005 and 0.025 by itself": lambda: all(
        0.005 < alone(one.claim.text) < 0.025 for one in findings() if one.verdict == "undecided" and alone(one.claim.text) < 0.05
    ),
}


@pytest.mark.parametrize("sentence", FACTS)
def test_a_sentence_of_the_chapter_is_what_the_result_files_say(sentence):
    check("reproduction", sentence, FACTS[sentence])


def test_without_the_correction_seventeen_claims_hold_as_the_second_exercise_says(monkeypatch):
    verdicts = [one.verdict for one in judged(monkeypatch, holm=lambda p_values: np.asarray(p_values))]
    assert "Seventeen hold instead of thirteen" in text("reproduction") and verdicts.count("holds") == 17


def test_with_twice_the_margin_one_more_holds_as_the_third_exercise_says(monkeypatch):
    anew = {one.claim.text: one for one in judged(monkeypatch, MARGIN=10.0)}
    changed = [one.claim.text for one in findings() if one.verdict != anew[one.claim.text].verdict]
    assert "One more claim holds, that no tuned discount lets DQN outscore HANQ" in text("reproduction")
    assert changed == ["No tuned discount lets DQN outscore HANQ"]
    with_margin = [one.claim.text for one in findings() if one.verdict == "undecided" and one.claim.relation != claims.ABOVE]
    assert "Six of the eleven undecided claims have no margin. Of the five that have one, four" in text("reproduction")
    assert len(with_margin) == 5
    pendulum = anew["On Pendulum, both hyperobjectives work equally well"]
    assert "differ by 1.6 to 8.3 points, which is within the new margin, but Holm's correction brings their *p* to 0.076" in text(
        "reproduction"
    )
    assert [round(one, 1) for one in pendulum.mean[1:]] == [1.6, 8.3] and round(pendulum.p, 3) == 0.076


def test_every_claim_is_shown_with_its_verdict():
    shown = (BOOK / "reproduction.ipynb").read_text()
    for one in findings():
        assert one.claim.text in shown and one.verdict in shown


def test_every_claim_says_what_is_tested_and_where_it_leans():
    shown = (BOOK / "reproduction.ipynb").read_text()
    for one in findings():
        assert json.dumps(one.claim.tested, ensure_ascii=False)[1:-1] in shown
    assert [shown.count(f"undecided, leans\u00a0{way}") for way in ("for", "against")] == [4, 2]
