"""The curves behind the laboratory's live runs are the committed ones, and the site's build needs no hanq to find them."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from hanq.data.foundations.records import load
from hanq.reproduction import ledger, paper
from hanq.training import plots, scores

BOOK = Path(__file__).parents[2] / "book"
LAB_PAGE = runpy.run_path(BOOK / "_ext" / "lab_page.py")
HANQ = {"predictor": "metapredictor", "mainNorm": "LayerNorm", "predictorNorm": "l2", "targetRate": None, "hyperLr": 0.1}


@pytest.fixture(scope="module")
def curves():
    return LAB_PAGE["curves"](folders=("fig6b", "fig3a", "table1", "table2"))


def test_curves_and_intervals_are_those_of_the_figures(curves):
    found = {curve["learningRate"]: curve for curve in curves if curve["result"] == "fig6b/HANQ"}
    wanted = scores.interval(paper.result("fig6b-HANQ", BOOK / "results").score.squeeze(drop=True))
    assert sorted(found) == sorted(paper.LEARNING_RATES)
    for rate, curve in found.items():
        of_rate = wanted.sel(learning_rate=rate)
        assert curve["steps"] == of_rate.gradient_step.values.tolist()
        np.testing.assert_allclose(curve["mean"], of_rate["mean"], atol=0.051)  # rounded
        np.testing.assert_allclose(np.mean(curve["seeds"], 0), of_rate["mean"], atol=0.5)
        for end in ("low", "high"):  # both resample, each in its way
            assert np.abs(np.array(curve[end]) - of_rate[end].values).mean() < 0.3


def test_a_target_network_is_a_part_and_figures_come_before_tables(curves):
    assert {curve["parts"]["targetRate"] for curve in curves if curve["result"] == "fig3a/DQN"} == {1e-3}
    twice = [curve["result"] for curve in curves if curve["parts"] == HANQ and np.isclose(curve["learningRate"], 10**-1.5)]
    assert twice == ["fig6b/HANQ", "table1/Pendulum-HANQ-hyper_lr=0.1"]


def test_what_the_laboratory_cannot_train_is_left_out(curves):
    results = {curve["result"] for curve in curves}
    assert "table1/Pendulum-DQN-LN-target_rate=1" in results and "fig6b/HANQ" in results
    assert not [name for name in results if "Acrobot" in name or "symmetrized" in name or "tuning" in name or "w-o-bias" in name]


def test_colours_are_the_figures():
    assert LAB_PAGE["colours"]() == plots.COLOURS


def test_the_ledger_has_the_curves_of_every_score_on_classic_control():
    curves = LAB_PAGE["ledger"]()
    printed = [score for score in paper.numbers().itertuples() if score.environment != "Seaquest"]
    paths = {paper.path_of(stem, BOOK / "results") for score in printed for stem, _ in ledger.results_of(score)}
    assert len(printed) == 95 and {f"{path.parent.name}/{path.stem}" for path in paths} == set(curves)
    for path in sorted(paths)[::10]:
        curve, wanted = curves[f"{path.parent.name}/{path.stem}"], load(path).score.squeeze(drop=True)
        np.testing.assert_allclose(curve["mean"], wanted.mean("seed"), atol=0.051)
        np.testing.assert_allclose(curve["seeds"], wanted.transpose("seed", ...), atol=0.501)
        assert curve["steps"] == wanted.gradient_step.values.tolist()
