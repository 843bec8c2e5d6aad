"""Promise: the ledger sets every score of the paper beside ours, and says where ours comes from."""

import io
import shutil

import numpy as np
import pandas
import pytest

from hanq import ledger, paper, protocol, records, scores
from hanq.__main__ import main
from hanq.algorithm import HANQ
from hanq.dataset import collect
from hanq.training import train


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Quick results of Table 3 on Pendulum under their full names."""
    folder = tmp_path_factory.mktemp("results")
    for path in protocol.reproduce("table3", folder, environment="Pendulum", quick=True):
        for part in ("", "-tuning"):
            quick = path.with_name(f"{path.stem}{part}.nc")
            quick.rename(folder / quick.name.replace("-quick", ""))
    return folder


def test_every_score_of_the_paper_has_a_line_in_its_order(results):
    found, printed = ledger.compare(results), paper.numbers()
    assert found[["table", "environment", "algorithm", "setting"]].equals(printed[["table", "environment", "algorithm", "setting"]])
    assert np.array_equal(found[["paper_mean", "paper_low", "paper_high"]], printed[["mean", "ci_low", "ci_high"]])


def test_a_training_that_several_tables_share_fills_all_of_them(results):
    found = ledger.compare(results)
    done = found[found.seeds > 0]
    assert set(zip(done.table, done.algorithm, strict=True)) == {
        ("1", "HANQ"), ("2", "HANQ"), ("3", "HANQ"), ("3", "w/o l2N"), ("3", "w/o LN"), ("7", "HANQ"),
    }  # fmt: skip
    assert set(done.environment) == {"Pendulum"}
    assert done[done.algorithm == "HANQ"].ours_mean.nunique() == 1


def test_our_number_is_the_files_mean_over_steps_and_seeds(results):
    line = ledger.compare(results).query("table == '3' and environment == 'Pendulum' and algorithm == 'w/o LN'").iloc[0]
    curves = records.load(results / line.file)
    assert line.ours_mean == pytest.approx(float(curves.score.mean()), abs=1e-4)
    assert line.ours_low < line.ours_mean < line.ours_high
    assert line.seeds == 3 and line.protocol == "tuned" and line.learning_rate == curves.learning_rate.item()
    tuning = records.load(results / line.file.replace(".nc", "-tuning.nc"))
    assert line.core_seconds == pytest.approx(2 * (curves.attrs["wall_seconds"] + tuning.attrs["wall_seconds"]), rel=0.5)


@pytest.mark.parametrize(("shift", "overlap"), [(0.0, "yes"), (-60.0, "no"), (60.0, "no")])
def test_overlap_says_whether_the_intervals_meet(results, tmp_path, shift, overlap):
    name = paper.stem("table3", "Pendulum", "w/o LN", "")
    shutil.copy(results / f"{name}-tuning.nc", tmp_path)
    curves = records.load(results / f"{name}.nc")
    printed, _, _ = paper.number("3", "Pendulum", "w/o LN", "")
    curves["score"] = curves.score - curves.score.mean() + printed + shift
    records.save(curves, tmp_path / f"{name}.nc")
    (line,) = ledger.compare(tmp_path).query("seeds > 0").itertuples()
    found = scores.interval(scores.average_over_training(curves.score).squeeze())
    assert abs(found.high - found.low) < 60  # or the shift would not tell
    assert line.overlap == overlap


def test_the_command_line_prints_the_promised_columns(results, capsys):
    main(["ledger", "--csv", "--results", str(results)])
    printed = pandas.read_csv(io.StringIO(capsys.readouterr().out), dtype={"table": str})
    assert list(printed) == ledger.COLUMNS and len(printed) == 99
    main(["ledger", "--results", str(results)])
    assert "6 of 99 scores have a result" in capsys.readouterr().out


def test_a_file_of_another_experiment_in_its_place_is_refused(results, tmp_path):
    name = paper.stem("table3", "Pendulum", "w/o LN", "")
    shutil.copy(results / f"{name}-tuning.nc", tmp_path)
    run = train(HANQ, collect("Pendulum", range(2), size=50), learning_rate=[1e-2, 1e-3], gradient_steps=10, eval_every=5)
    records.save(run.curves.assign_attrs(protocol="grid"), tmp_path / f"{name}.nc")
    with pytest.raises(ValueError, match="w-o-LN"):
        ledger.compare(tmp_path)
