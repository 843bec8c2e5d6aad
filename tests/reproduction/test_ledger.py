"""Promise: the ledger sets every score of the paper beside ours, and says where ours comes from."""

import io
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas
import pytest
import xarray

from hanq.__main__ import main
from hanq.algorithm import HANQ
from hanq.data.collection import collect
from hanq.data.foundations import records
from hanq.reproduction import ledger, paper, pipeline
from hanq.training import scores
from hanq.training.train import train


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Quick results of Table 3 on Pendulum under their full names."""
    folder = tmp_path_factory.mktemp("results")
    for path in pipeline.reproduce("table3", folder, environment="Pendulum", quick=True):
        for part in ("", "-tuning"):
            quick = path.with_name(f"{path.stem}{part}.nc")
            quick.rename(quick.with_name(quick.name.replace("-quick", "")))
    return folder


def copy(name, folder, other):
    path = paper.path_of(name, other)
    path.parent.mkdir(exist_ok=True)
    shutil.copy(paper.path_of(name, folder), path)


def test_every_score_of_the_paper_has_a_line_in_its_order(results):
    found, printed = ledger.compare(results), paper.numbers()
    assert found[["table", "environment", "algorithm", "setting"]].equals(printed[["table", "environment", "algorithm", "setting"]])
    assert np.array_equal(found[["paper_mean", "paper_low", "paper_high"]], printed[["mean", "ci_low", "ci_high"]])


def test_a_training_that_several_tables_share_fills_all_of_them(results):
    found = ledger.compare(results)
    done = found[found.seeds > 0]
    assert set(zip(done.table, done.algorithm, strict=True)) == {
        ("1", "HANQ"),
        ("2", "HANQ"),
        ("3", "HANQ"),
        ("3", "w/o l2N"),
        ("3", "w/o LN"),
        ("7", "HANQ"),
    }
    assert set(done.environment) == {"Pendulum"}
    assert done[done.algorithm == "HANQ"].ours_mean.nunique() == 1


def test_our_number_is_the_files_mean_over_steps_and_seeds(results):
    line = ledger.compare(results).query("table == '3' and environment == 'Pendulum' and algorithm == 'w/o LN'").iloc[0]
    curves = records.load(results / line.file)
    assert line.ours_mean == pytest.approx(float(curves.score.mean()), abs=1e-4)
    assert line.ours_low < line.ours_mean < line.ours_high
    assert (line.seeds, line.protocol, line.overlap) == (3, "tuned, first round 200 steps, 3 of 30 seeds, 1,000 of 200,000 steps", "")
    assert line.learning_rate == curves.learning_rate.item()
    tuning = records.load(results / line.file.replace(".nc", "-tuning.nc"))
    took = [one.attrs["wall_seconds"] * one.attrs["threads"] for one in (curves, tuning)]
    assert line.core_seconds == pytest.approx(sum(took))


def test_a_search_at_full_length_from_the_first_round_on_says_nothing_of_rounds():
    table1 = ledger.compare(Path(__file__).parents[2] / "book" / "results").query("table == '1'")
    assert len(table1) > 20 and set(table1.protocol) == {"tuned"}


@pytest.mark.parametrize(("shift", "overlap"), [(0.0, "yes"), (-60.0, "no"), (60.0, "no")])
def test_overlap_says_whether_the_intervals_meet(results, tmp_path, shift, overlap):
    name = paper.stem("table3", "Pendulum", "w/o LN", "")
    copy(f"{name}-tuning", results, tmp_path)
    curves = paper.result(name, results)
    printed, _, _ = paper.number("3", "Pendulum", "w/o LN", "")
    full = {"seed": np.arange(30) % 3, "gradient_step": np.arange(100) % 5}  # each quick one many times
    curves = curves.isel(full).assign_coords(seed=range(30), gradient_step=range(2_000, 200_001, 2_000))
    curves["score"] = curves.score - curves.score.mean() + printed + shift
    records.save(curves, paper.path_of(name, tmp_path))
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
    copy(f"{name}-tuning", results, tmp_path)
    run = train(HANQ, collect("Pendulum", range(2), size=50), learning_rate=[1e-2, 1e-3], gradient_steps=10, eval_every=5)
    records.save(run.curves.assign_attrs(protocol="grid"), paper.path_of(name, tmp_path))
    with pytest.raises(ValueError, match="w-o-LN"):
        ledger.compare(tmp_path)


@pytest.fixture(scope="module")
def seaquest():
    """A small result of Table 5's row HANQ, of two seeds and two learning rates."""
    axes = dict(learning_rate=[1e-3, 1e-4], hyper_lr=[0.0], target_rate=[1.0], discount=[0.99], weight_decay=[0.0], seed=[0, 1])
    shape = [len(values) for values in axes.values()]
    values = np.array([[10.0, 20.0], [80.0, 100.0]]).reshape(*shape, 1) + np.zeros(3, np.float32)
    attrs = dict(
        algorithm=json.dumps(asdict(HANQ)),
        environment="Seaquest",
        protocol="grid",
        wall_seconds=100.0,
        threads=2,
        gradient_steps=300,
        transitions=60,
    )
    curves = xarray.Dataset({"score": ((*axes, "gradient_step"), values)}, axes | {"gradient_step": [100, 200, 300]}, attrs)
    return curves


def line_of(curves, folder):
    records.save(curves, paper.path_of("seaquest-HANQ", folder))
    (line,) = ledger.compare(folder).query("seeds > 0").itertuples()
    assert (line.table, line.algorithm, line.file, line.core_seconds) == ("5", "HANQ", "seaquest/HANQ.nc", 200.0)
    return line


def test_seaquests_score_is_the_best_of_its_grid_and_says_how_much_smaller_it_is(seaquest, tmp_path):
    line = line_of(seaquest, tmp_path)
    assert (line.ours_mean, line.ours_low, line.ours_high, line.seeds) == (90.0, 80.0, 100.0, 2)
    assert line.learning_rate == 1e-4 and line.hyper_lr == 0
    expected = "grid, 2 of 30 seeds, 300 of 1,000,000 steps, 60 of 100,000 transitions, 2 of 12 grid points"
    assert line.protocol == expected
    assert line.overlap == ""
    assert "5: 1 of 4, 0 overlap, 1 not of the paper's size" in ledger.summary(ledger.compare(tmp_path))


@pytest.mark.parametrize(("shift", "overlap"), [(0.0, "yes"), (-60.0, "no")])
def test_at_the_papers_size_seaquests_overlap_is_said(seaquest, tmp_path, shift, overlap):
    grid = [*seaquest.learning_rate.values, *range(2, 12)]
    full = seaquest.reindex(learning_rate=grid, fill_value=-100.0)
    full["score"] = full.score + shift
    full = full.isel(seed=np.arange(30) % 2).assign_coords(seed=range(30), gradient_step=[10_000, 20_000, 1_000_000])
    line = line_of(full.assign_attrs(seaquest.attrs, transitions=100_000), tmp_path)
    assert (line.protocol, line.overlap) == ("grid", overlap)


def test_a_missing_folder_and_a_file_without_its_origin_are_refused(results, tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ledger.compare(tmp_path / "nowhere")
    name = paper.stem("table3", "Pendulum", "w/o LN", "")
    copy(name, results, tmp_path)
    for command in (["ledger", "--results", str(tmp_path)], ["ledger", "--results", str(tmp_path / "nowhere")]):
        with pytest.raises(SystemExit, match="2"):  # the first for want of its tuning
            main(command)
    assert f"{paper.path_of(name, tmp_path).stem}-tuning.nc" in capsys.readouterr().err
    curves = paper.result(name, results)
    del curves.attrs["protocol"]
    records.save(curves, paper.path_of(name, tmp_path))
    with pytest.raises(ValueError, match="does not say its protocol"):
        ledger.compare(tmp_path)


def test_a_single_seed_has_a_mean_and_no_interval(seaquest, tmp_path):
    line = line_of(seaquest.sel(seed=[1]), tmp_path)
    assert line.ours_mean == 100.0 and np.isnan([line.ours_low, line.ours_high]).all() and line.seeds == 1 and line.overlap == ""


def test_seaquests_curves_of_another_algorithm_are_refused(seaquest, tmp_path):
    records.save(seaquest, paper.path_of("seaquest-DQN", tmp_path))
    with pytest.raises(ValueError, match="seaquest/DQN"):
        ledger.compare(tmp_path)
