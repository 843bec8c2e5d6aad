"""Every number that the book shows comes from a committed result file of a described run."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from hanq import paper, records, scores

TOP = Path(__file__).parents[1]
FOLDER = TOP / "book" / "results"
FILES = sorted(FOLDER.glob("*.nc"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_result_file_is_intact_and_says_where_it_comes_from(path):
    curves = records.load(path)  # checks the checksum
    for name in ("command", "commit", "versions", "machine", "date", "engine", "dataset_digest", "protocol"):
        assert curves.attrs[name], name
    assert re.fullmatch("[0-9a-f]{12}", curves.attrs["commit"]), "made on a changed or unknown tree"
    assert curves.attrs["wall_seconds"] > 0
    json.loads(curves.attrs["algorithm"])


@pytest.mark.parametrize("name", paper.EXPERIMENTS)
def test_an_experiment_was_run_at_full_size_with_its_settings(name):
    experiment = paper.EXPERIMENTS[name]
    for label, (_, settings) in experiment.rows.items():
        curves = paper.result(name, label, FOLDER)
        assert curves.seed.values.tolist() == list(paper.SEEDS)
        assert curves.gradient_step.values.tolist() == list(range(2_000, 200_001, 2_000))
        assert curves.attrs["protocol"] == experiment.protocol
        grid = paper.result(name, f"{label}-tuning", FOLDER) if experiment.protocol == "tuned" else curves
        for axis, values in settings.items():
            assert np.array_equal(grid[axis].values, np.atleast_1d(values)), axis


@pytest.mark.parametrize("name", [name for name in paper.EXPERIMENTS if paper.EXPERIMENTS[name].protocol == "tuned"])
def test_a_tuned_result_reports_the_best_of_its_tuning_on_other_seeds(name):
    for label in paper.EXPERIMENTS[name].rows:
        tuning, report = (paper.result(name, f"{label}{part}", FOLDER) for part in ("-tuning", ""))
        best = scores.best_of_grid(scores.average_over_training(tuning.score))
        assert {axis: report[axis].item() for axis in best} == best
        assert set(tuning.seed.values).isdisjoint(report.seed.values)


def test_the_results_stay_within_25_megabytes():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 25e6


def test_the_table_in_the_readme_is_what_the_files_say():
    readme = (TOP / "README.md").read_text()
    for label in paper.EXPERIMENTS["headline"].rows:
        averaged = scores.average_over_training(paper.result("headline", label, FOLDER).score)
        found = scores.interval(averaged.squeeze())
        assert f"{found['mean']:.1f} ({found.low:.1f} to {found.high:.1f})" in readme, label


def test_the_papers_numbers_are_all_here():
    printed = paper.numbers()
    assert len(printed) == 99
    assert (printed.ci_low <= printed["mean"]).all() and (printed["mean"] <= printed.ci_high).all()
    assert paper.number("1", "Pendulum", "HANQ", "hyper_lr=0.1") == (100.1, 98.0, 102.2)
