"""Every number that the book shows comes from a committed result file of a described run."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from hanq.algorithm import Algorithm
from hanq.atari import table5
from hanq.atari.training import PRECISIONS
from hanq.data import simulators
from hanq.data.foundations import records
from hanq.data.minatar import GAMES
from hanq.reproduction import minatar, offline_choice, paper, pipeline, protocol, reruns, schedule, variations
from hanq.reproduction.tuning import Tuning
from hanq.training import scores
from hanq.training.run import GRID

TOP = Path(__file__).parents[2]
FOLDER = TOP / "book" / "results"
SHORTER = FOLDER / "halved" / "scores.nc"  # what the first edition's search by halving chose
FILES = {f"{path.parent.name}-{path.stem}": path for path in sorted(FOLDER.glob("*/*.nc")) if path != SHORTER}
SEARCHED = {f"long-{path.parent.name}-{path.stem}": path for path in sorted(FOLDER.glob("long/*/*.nc"))}
JOBS = {job.name: job for name in protocol.EXPERIMENTS for job in protocol.jobs(name)}
DONE = {name: job for name, job in JOBS.items() if name in FILES}
TUNED = [name for name, job in DONE.items() if job.protocol.first]
SEAQUEST = {table5.result_name(label, precision): (row, precision) for label, row in table5.ROWS.items() for precision in PRECISIONS}
STUDIES = {f"{offline_choice.NAME}-agents", "beyond-variants", f"{schedule.NAME}-curves", f"{reruns.NAME}-scores"}  # no curves of `train`
PLAYED = [name for name in SEAQUEST if name in FILES]


@pytest.mark.parametrize("path", (FILES | SEARCHED).values(), ids=(FILES | SEARCHED).keys())
def test_a_result_file_is_intact_and_says_where_it_comes_from(path):
    found = records.load(path)  # checks the checksum
    for name in ("command", "commit", "versions", "machine", "date", "engine"):
        assert found.attrs[name], name
    assert re.fullmatch("[0-9a-f]{12}", found.attrs["commit"]), "made on a changed or unknown tree"
    assert found.attrs["wall_seconds"] > 0
    if not path.stem.endswith("-tuning") and path not in [FILES[name] for name in STUDIES]:
        assert found.attrs["dataset_digest"] and found.attrs["protocol"] in ("tuned", "grid")


@pytest.mark.parametrize("path", (FILES | SEARCHED).values(), ids=(FILES | SEARCHED).keys())
def test_no_attribute_holds_a_folder_of_the_machine_that_made_the_file(path):
    for name, value in records.load(path).attrs.items():
        assert not re.search(r"(?<![\w.)])(/|~|[A-Za-z]:\\)\w", str(value)), (name, value)


@pytest.mark.parametrize("name", DONE)
def test_reproduce_takes_a_committed_file_as_done(name):
    assert pipeline.is_done(DONE[name]._replace(path=FILES[name]))


def test_there_are_no_files_but_those_of_experiments():
    assert set(FILES) == {
        *DONE,
        *(f"{name}-tuning" for name in TUNED),
        *PLAYED,
        *STUDIES,
        *(f"{minatar.NAME}-scale-{minatar.short(game)}" for game in GAMES),
        *(f"{name}{kind}" for name in variations.RETIRED for kind in ("", "-tuning")),
    }
    assert {path.suffix for path in FOLDER.rglob("*") if path.is_file()} == {".nc"}


@pytest.mark.parametrize("name", [f"{figure}-{label}" for figure, rows in paper.FIGURES.items() for label in rows])
def test_a_figure_shows_every_grid_point(name):
    curves = paper.result(name, FOLDER)
    assert curves.attrs["protocol"] == "grid"
    for axis, values in DONE[name].row.settings.items():
        assert np.array_equal(curves[axis].values, np.atleast_1d(values)), axis


@pytest.mark.parametrize("name", DONE)
def test_a_result_is_at_full_size_and_of_the_algorithm_that_it_is_named_after(name):
    curves, job = paper.result(name, FOLDER), DONE[name]
    seeds, steps, every = job.protocol.report
    assert curves.seed.values.tolist() == list(seeds)
    assert curves.gradient_step.values.tolist() == list(range(every, steps + 1, every))
    assert curves.attrs["environment"] == job.environment
    expected = {"eval_velocity": 8.0 if job.environment == "Pendulum" else 1.0} | job.row.evaluation
    assert curves.attrs.get("eval_velocity", 1.0) == expected["eval_velocity"]  # 1.0 before it could be chosen
    assert Algorithm(**json.loads(curves.attrs["algorithm"])) in job.row.algorithms


def nothing_is_left_to_train(*_):
    raise AssertionError("the tuning is not complete")


def finished(path, job):
    """The search in a file, which must be at its end, and the (algorithm, settings) that it chose."""
    _, first, second, finalists, growing = job.protocol
    environment = simulators.known(job.environment)
    highest = environment.score(environment.best_return)
    search = Tuning(
        path, job.row.algorithms, job.row.settings, first, second, finalists, nothing_is_left_to_train, growing=growing, highest=highest
    )
    return search, *search.best()


@pytest.mark.parametrize("name", TUNED)
def test_a_result_with_a_search_reports_the_best_of_it_on_seeds_that_its_protocol_says(name):
    curves, job = paper.result(name, FOLDER), pipeline.as_searched(DONE[name]._replace(path=FILES[name]))
    tuning, algorithm, settings = finished(FILES[f"{name}-tuning"], job)
    assert Algorithm(**json.loads(curves.attrs["algorithm"])) == algorithm
    assert {axis: curves[axis].item() for axis in GRID} == settings
    for round in job.protocol[1:3]:
        tried = tuning.trials[tuning.trials.gradient_steps == round.gradient_steps]
        assert set(tried.seed) == set(round.seeds)
    own = name.startswith("selection-")  # the paper's rule, which no other result follows
    assert curves.attrs["protocol"] == ("grid" if own else "tuned")
    assert set(tuning.trials.seed) == set(paper.SEEDS) if own else set(tuning.trials.seed).isdisjoint(paper.SEEDS)


@pytest.mark.parametrize("name", PLAYED)
def test_a_row_of_seaquest_holds_the_algorithm_that_it_is_named_after_and_says_how_large_it_is(name):
    curves, (row, precision) = paper.result(name, FOLDER), SEAQUEST[name]
    assert curves.attrs["environment"] == "Seaquest" and curves.attrs["protocol"] == "grid"
    assert Algorithm(**json.loads(curves.attrs["algorithm"])) in row.algorithms
    for axis, values in row.settings.items():
        assert set(np.round(np.log10(curves[axis].values), 6)) <= set(np.round(np.log10(values), 6)), axis
    steps, every = curves.attrs["gradient_steps"], curves.attrs["eval_every"]
    assert curves.gradient_step.values.tolist() == list(range(every, steps + 1, every))
    for count in ("batch_size", "eval_episodes", "transitions", "threads"):
        assert curves.attrs[count] > 0, count
    assert (
        curves.attrs["device"]
        and curves.attrs["precision"] == precision
        and curves.sizes["seed"] == len(json.loads(curves.attrs["dataset"]))
    )
    for training in json.loads(curves.attrs["trainings"]):
        assert re.fullmatch("[0-9a-f]{12}", training["commit"]) and training["command"] and training["machine"]
    if name.removeprefix("seaquest-") in table5.SHOWN:
        assert np.isfinite(curves.policy).all() and set(json.loads(curves.attrs["policy"])) == {*GRID, "seed"}


@pytest.mark.parametrize("search", [path for path in SEARCHED.values() if path.stem.endswith("-tuning")], ids=lambda path: path.stem)
def test_a_search_at_full_length_is_complete_and_chose_what_is_reported(search):
    """Rows of the tables, searched anew; they take the place of the older files together with the chapters that show them."""
    job = JOBS[f"{search.parent.name}-{search.stem.removesuffix('-tuning')}"]
    assert job.protocol == protocol.LONG
    finished(search, job)
    report = search.with_name(f"{search.stem.removesuffix('-tuning')}.nc")
    if report.exists():  # else the command makes it from the search
        assert pipeline.as_searched(job._replace(path=report)).protocol == protocol.LONG
        assert pipeline.is_done(job._replace(path=report))


def test_every_report_in_long_has_its_search():
    reports = {name for name in SEARCHED if not name.endswith("-tuning")}
    assert {f"{name}-tuning" for name in reports} <= set(SEARCHED)


def test_what_the_halved_search_chose_is_kept_for_every_row():
    kept = records.load(SHORTER)
    tables = {job.name: job for table in paper.TABLES for job in protocol.jobs(table)}
    assert set(kept.name.values.tolist()) == set(tables) == set(json.loads(kept.attrs["commits"]))
    assert np.isfinite(kept.score).all() and kept.seed.values.tolist() == list(paper.SEEDS)
    for row, name in enumerate(kept.name.values.tolist()):
        job = tables[name]._replace(path=FILES[name])
        if pipeline.as_searched(job).protocol == protocol.HALVED:  # its file is still there
            assert np.array_equal(kept.score[row], paper.seed_scores(name, FOLDER))
            assert all(kept[axis][row] == paper.result(name, FOLDER)[axis].item() for axis in GRID)


def test_every_score_of_a_table_is_of_30_seeds_and_200_000_steps():
    assert protocol.LONG.report == (range(30), 200_000, 2_000)


def test_the_results_stay_within_25_megabytes():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.nc")) < 25e6


def test_the_table_in_the_readme_is_what_the_files_say():
    readme = (TOP / "README.md").read_text()
    for row in [("HANQ", "hyper_lr=0.1"), ("DQN", "best target_rate in 1e0..1e-4"), ("DQN", "target_rate=1")]:
        stem = paper.stem("table1", "Pendulum", *row)
        cells = [scores.text(*paper.number("1", "Pendulum", *row))]
        for name in (f"starts-{stem}", stem):
            ours = scores.interval(paper.seed_scores(name, FOLDER))
            cells.insert(0, scores.text(ours["mean"], ours.low, ours.high))
        assert f"| {' | '.join(cells)} |" in readme, row


def test_the_scores_of_one_seed_are_its_mean_over_training():
    name = paper.stem("table1", "Pendulum", "HANQ", "hyper_lr=0.1")
    found, curves = paper.seed_scores(name, FOLDER), paper.result(name, FOLDER)
    assert found.dims == ("seed",) and found.seed.values.tolist() == list(range(30))
    for seed in (0, 29):
        assert found.sel(seed=seed).item() == pytest.approx(curves.score.sel(seed=seed).values.mean(), rel=1e-6)


def test_the_papers_numbers_are_all_here():
    printed = paper.numbers()
    assert len(printed) == 99
    assert (printed.ci_low <= printed["mean"]).all() and (printed["mean"] <= printed.ci_high).all()
    assert paper.number("1", "Pendulum", "HANQ", "hyper_lr=0.1") == (100.1, 98.0, 102.2)
