"""Promise: the ledger is shown in words, with agreement first and each difference with its interval."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas
import pytest

from hanq.reproduction import ledger, overview

FOLDER = Path(__file__).parents[2] / "book" / "results"


@pytest.fixture(scope="module")
def found():
    return ledger.compare(FOLDER)


def line(**values):
    usual = dict(table="1", environment="Acrobot", algorithm="DQN", setting="target_rate=1", seeds=30, overlap="yes", protocol="tuned")
    numbers = dict(ours_mean=50.0, ours_low=47.0, ours_high=53.0, paper_mean=40.0, paper_low=36.0, paper_high=44.0)
    return pandas.Series(usual | numbers | values)


@pytest.mark.parametrize(
    ("table", "algorithm", "setting", "name"),
    [
        ("1", "DQN-l2N", "target_rate=1", "DQN-ℓ2N, no target network"),
        ("1", "DQN", "best target_rate in 1e0..1e-4", "DQN, target network"),
        ("1", "HANQ", "hyper_lr=0.1", "HANQ"),
        ("2", "symmetrized", "", "predictor on both sides"),
        ("4", "none + l2N", "hyper_lr=0", "none + ℓ2"),
        ("6", "DQN-LN 3-layer", "target_rate=1", "DQN-LN, no target network"),
        ("7", "HANQ", "residual hyperobjective", "HANQ, residual hyperobjective"),
        ("8", "DQN", "hyper_lr=1e-1; best target_rate in 1e0..1e-3", "DQN, κ = 0.1"),
        ("9", "DQN", "discount=0.95; target_rate=1e-3", "DQN, γ = 0.95, target network"),
    ],
)
def test_a_line_is_named_in_words(table, algorithm, setting, name):
    assert overview.label(line(table=table, algorithm=algorithm, setting=setting)) == name


def test_no_name_speaks_the_command_lines_language_and_none_stands_for_two_lines_of_a_table(found):
    names = [(one.table, one.environment, overview.label(one)) for one in found.itertuples()]
    assert len(set(names)) == len(found) == 99
    assert not [name for *_, name in names if "_" in name or "=1e" in name or "l2N" in name]


def test_a_difference_adds_the_errors_of_both_by_their_squares():
    assert overview.difference(line()) == (10, 5, 15)
    assert overview.difference(line(ours_low=46.0, ours_high=50.0)) == pytest.approx((10, 10 - 32**0.5, 14))
    assert np.isnan(overview.difference(line(ours_low=np.nan, ours_high=np.nan))[1])


@pytest.mark.parametrize(
    ("values", "mark"),
    [
        ({}, "● overlaps"),
        ({"overlap": "no"}, "○ ours higher"),
        ({"overlap": "no", "paper_mean": 60.0}, "○ ours lower"),
        ({"overlap": ""}, "– smaller run"),
        ({"overlap": "", "seeds": 0}, "– no result"),
        ({"environment": "Pendulum", "ours_low": 30.0}, "◐ overlaps, at chance"),
        ({"environment": "Pendulum", "ours_low": 31.0}, "● overlaps"),
    ],
)
def test_the_mark_says_whether_we_agree_and_whether_anything_was_learned(values, mark):
    assert overview.mark(line(**values)) == mark


def test_a_table_begins_with_the_agreement_and_ends_with_the_difference():
    row = overview.table(pandas.DataFrame([line()])).splitlines()[-1]
    assert row == "| ● overlaps | DQN, no target network | 50.0 (47.0 to 53.0) | 40.0 (36.0 to 44.0) | +10.0 (+5.0 to +15.0) |"


def test_each_result_that_can_be_compared_counts_once(found):
    distinct = overview.distinct(found)
    assert distinct.file.is_unique and set(distinct.environment) == {"Pendulum", "Acrobot", "CartPole"}
    assert set(distinct.file) == set(found[(found.seeds == 30)].file)


def test_the_picture_has_a_point_for_each_of_them(found):
    (axes,) = overview.picture(found).axes
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert sum(len(line.get_xdata()) for line in points) == len(overview.distinct(found))
    plt.close("all")
