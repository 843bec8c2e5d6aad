"""Promise: a claim of the paper is judged by tests whose answers are known on made-up data."""

from pathlib import Path

import numpy as np
import pytest
import xarray
from scipy import stats

from hanq.data.foundations import records
from hanq.reproduction import claimed, claims, ledger, paper
from hanq.reproduction.claims import ABOVE, EQUAL, NOT_BELOW, Claim, Score, bootstrap_t, decide, flips, holm, minus, seed_values, sizes

FOLDER = Path(__file__).parents[2] / "book" / "results"
NOISE = np.random.default_rng(0).normal(0, 10, 30)
NOISE -= NOISE.mean()


def verdicts(*cases):
    """The verdicts on claims given as (relation, contrasts), judged together."""
    made_up = [Claim("", "", "", relation, ()) for relation, _ in cases]
    return [finding.verdict for finding in decide(made_up, [contrasts for _, contrasts in cases])]


@pytest.mark.parametrize(
    ("relation", "shift", "verdict"),
    [
        (ABOVE, 20, "holds"),
        (ABOVE, 0, "undecided"),
        (ABOVE, -20, "does not hold"),
        (NOT_BELOW, 20, "holds"),
        (NOT_BELOW, 3, "holds"),  # 8 points above the bound, as 20 would be above 0
        (NOT_BELOW, -5, "undecided"),  # at the bound
        (NOT_BELOW, -20, "does not hold"),
        (EQUAL, 5, "undecided"),
        (EQUAL, 20, "does not hold"),
        (EQUAL, -20, "does not hold"),
    ],
)
def test_a_claim_holds_where_the_contrast_lies_clearly_on_its_side_of_the_bound(relation, shift, verdict):
    assert verdicts((relation, [NOISE + shift])) == [verdict]


def test_two_scores_are_equal_only_if_the_seeds_say_so_with_certainty():
    assert verdicts((EQUAL, [NOISE / 5])) == ["holds"]
    assert verdicts((EQUAL, [3 * NOISE])) == ["undecided"]  # no difference seen is no equality shown


def test_a_claim_about_several_contrasts_is_as_uncertain_as_the_least_certain():
    assert verdicts((ABOVE, [NOISE + 20, NOISE + 30])) == ["holds"]
    assert verdicts((ABOVE, [NOISE + 20, NOISE])) == ["undecided"]
    assert verdicts((ABOVE, [NOISE + 20, NOISE - 20])) == ["does not hold"]


def test_the_finding_shows_the_least_certain_contrast():
    (finding,) = decide([Claim("", "", "", ABOVE, ())], [[NOISE + 20, NOISE + 7, NOISE + 30]])
    assert finding.mean[0] == pytest.approx(7)


def test_what_is_certain_alone_may_not_be_among_many():
    one, many = (ABOVE, [NOISE + 4.5]), [(ABOVE, [NOISE])] * 30
    assert verdicts(one) == ["holds"]
    assert verdicts(one, *many)[0] == "undecided"


def test_a_claim_without_a_result_is_not_run_and_does_not_count_among_the_tests():
    assert verdicts((ABOVE, [NOISE + 4.5]), *[(ABOVE, [])] * 30) == ["holds", *["not run"] * 30]


def test_holms_correction_is_what_one_finds_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.2]) == pytest.approx([0.2])


def test_flipping_signs_counts_the_arrangements_that_are_as_far_out():
    """Of the eight signs of (1, 2, 3) one has so high a mean, and of (1, 2, -3) five."""
    assert flips(np.array([1.0, 2.0, 3.0])) == pytest.approx((1 / 8, 1))
    assert flips(np.array([1.0, 2.0, -3.0])) == pytest.approx((5 / 8, 5 / 8))


def test_flipping_signs_rejects_as_often_as_it_should():
    rng = np.random.default_rng(1)
    rejected = [min(flips(rng.normal(size=30))) < 0.025 for _ in range(100)]
    assert 0.01 < np.mean(rejected) < 0.11


def test_the_studentised_bootstrap_agrees_with_students_t_on_normal_data_and_rejects_as_often_as_it_should():
    values = NOISE + 4.0
    above, below = bootstrap_t(values)
    assert above == pytest.approx(stats.ttest_1samp(values, 0, alternative="greater").pvalue, abs=0.02)
    assert above + below == pytest.approx(1, abs=1e-3)
    rng = np.random.default_rng(1)
    skewed = [min(bootstrap_t(rng.exponential(size=30) - 1)) < 0.025 for _ in range(200)]
    assert np.mean(skewed) < 0.1


@pytest.mark.parametrize(
    ("relation", "values", "leans"),
    [
        (ABOVE, NOISE + 4.5, "for"),  # the 95% interval is about 3.6 to either side
        (ABOVE, NOISE, ""),
        (ABOVE, NOISE - 4.5, "against"),
        (NOT_BELOW, NOISE - 0.5, "for"),  # all of it above -5
        (NOT_BELOW, NOISE - 3.0, ""),
        (NOT_BELOW, NOISE - 6.0, "against"),  # below 0, though perhaps not below -5
        (EQUAL, NOISE + 6.0, "against"),
        (EQUAL, NOISE - 6.0, "against"),
        (EQUAL, NOISE, "for"),
        (EQUAL, NOISE + 3.0, ""),
    ],
)
def test_an_undecided_claim_leans_where_its_uncorrected_interval_lies(relation, values, leans):
    many = [np.append(NOISE[:-1], 1e3)] * 30  # certain of nothing
    findings = decide([Claim("", "", "", which, ()) for which in (relation, *[ABOVE] * 30)], [[values], *([one] for one in many)])
    assert (findings[0].verdict, findings[0].leans) == ("undecided", leans)


def test_only_an_undecided_claim_leans():
    (finding,) = decide([Claim("", "", "", ABOVE, ())], [[NOISE + 20]])
    assert finding.verdict == "holds" and finding.leans == ""


def test_what_is_tested_names_the_factor_of_the_second_score():
    for claim in claimed.CLAIMS:
        factors = {-weight for contrast in claim.contrasts for weight, _ in contrast if weight < 0}
        assert (2.0 in factors) == ("− 2 × " in claim.tested)
        assert bool(claim.contrast) == bool(claim.contrasts)
        assert ("each" in claim.contrast) == (len(claim.contrasts) > 1)


def test_sizes_are_the_mean_the_interquartile_mean_and_the_share_of_seeds_ahead():
    mean, middle, ahead = sizes(np.append(np.arange(1.0, 16.0), -1000.0))
    assert (mean[0], middle[0], ahead[0]) == (-55.0, 7.5, 15 / 16)
    assert all(low <= value <= high for value, low, high in (mean, middle, ahead))
    assert mean[1] < -100 and middle[1] > 0  # one lost seed of sixteen moves the mean, not the middle


@pytest.fixture
def folder(tmp_path):
    """Two made-up results, "made-a" with one learning rate and "made-b" with two."""
    for name, rates, level in (("a", [1e-2], 10.0), ("b", [1e-3, 1e-2], 0.0)):
        axes = {"learning_rate": rates, "hyper_lr": [0.0], "target_rate": [1.0], "discount": [0.99], "weight_decay": [0.0]}
        axes |= {"seed": [0, 1, 2], "gradient_step": [100, 200, 300]}
        values = np.zeros([len(values) for values in axes.values()]) + level + np.arange(3.0)[:, None]  # the seed
        values[-1] += np.array([0, 0, 9.0])  # the last step, of the larger rate
        path = paper.path_of(f"made-{name}", tmp_path)
        path.parent.mkdir(exist_ok=True)
        records.save(xarray.Dataset({"score": ((*axes,), values)}, axes), path)
    return tmp_path


def test_a_score_is_averaged_over_its_steps_at_its_learning_rate(folder):
    assert seed_values(Score("made-a"), folder).values.tolist() == [13, 14, 15]
    assert seed_values(Score("made-a", (0, 200)), folder).values.tolist() == [10, 11, 12]
    assert seed_values(Score("made-b"), folder).values.tolist() == [3, 4, 5]  # the better rate
    assert seed_values(Score("made-b", learning_rate=1e-3), folder).values.tolist() == [0, 1, 2]


def test_a_claim_is_judged_by_the_difference_seed_by_seed(folder):
    a, b = Score("made-a"), Score("made-b")
    (finding,) = claims.judge([Claim("", "", "", ABOVE, minus(a, b, times=2.0))], folder)
    assert finding.mean == pytest.approx((6, 5, 7), abs=0.5) and finding.ahead[0] == 1


def test_every_claim_names_a_chapter_and_results_that_are_there():
    for claim in claimed.CLAIMS:
        assert (FOLDER.parent / f"{claim.chapter}.ipynb").exists()
        for contrast in claim.contrasts:
            assert all(paper.path_of(score.result, FOLDER).exists() for _, score in contrast)


def test_the_tables_of_the_claims_are_whole():
    found = {(claim.place, claim.text): len(claim.contrasts) for claim in claimed.CLAIMS}
    sizes_of = {place: max(count for (where, _), count in found.items() if where == place) for place, _ in found}
    assert [sizes_of[f"Table {name}"] for name in "12346789"] == [6, 5, 2, 8, 6, 1, 5, 30]


def test_seaquest_is_not_judged_before_its_results_have_the_papers_size():
    """The two claims about it have no contrasts; once the ledger can compare its scores, they must."""
    seaquest = ledger.compare(FOLDER).query("environment == 'Seaquest'")
    if (seaquest.overlap != "").any():
        assert all(claim.contrasts for claim in claimed.CLAIMS if claim.chapter == "seaquest")
