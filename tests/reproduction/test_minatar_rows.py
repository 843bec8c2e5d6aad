"""`python -m hanq reproduce minatar`: its rows, its scale of scores, and a small version that saves and resumes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hanq
from hanq.__main__ import main
from hanq.data import minatar as games
from hanq.data.foundations.records import load
from hanq.reproduction import minatar, paper, protocol
from hanq.reproduction.tuning import Round
from hanq.training.run import GRID

RESULTS = Path(hanq.__file__).parents[1] / "book" / "results"
BREAKOUT = "MinAtar/Breakout-v1"


def test_every_game_has_every_row_of_table_5_in_small():
    jobs = [job for job in protocol.jobs("minatar") if job.protocol.first]
    assert {job.environment for job in jobs} == set(games.GAMES) and len(jobs) == len(games.GAMES) * len(minatar.ROWS) == 30
    assert {len(job.protocol.report.seeds) for job in jobs} == {10}
    for job in jobs:
        seeds = [set(one.seeds) for one in (job.protocol.report, job.protocol.first, minatar.PRELIMINARY)]
        assert not seeds[0] & seeds[1] and not (seeds[0] | seeds[1]) & seeds[2]
        assert job.protocol.report.gradient_steps == job.protocol.first.gradient_steps == 50_000
    labels = [job.name.split("-", 2)[2] for job in jobs if job.environment == BREAKOUT]
    assert labels == list(minatar.ROWS)


@pytest.mark.parametrize("job", [job for job in protocol.jobs("minatar") if not job.protocol.first], ids=lambda job: job.name)
def test_the_longer_runs_have_the_settings_that_the_search_chose_over_50_000_steps(job):
    chosen = paper.result(job.name.removesuffix("-longer"), RESULTS)
    assert job.environment == chosen.attrs["environment"] == "MinAtar/Seaquest-v1" and job.protocol.report.gradient_steps == 200_000
    assert job.protocol.report.seeds == minatar.REPORT.seeds
    assert {axis: job.row.settings.get(axis, protocol.USUAL.get(axis)) for axis in GRID} == pytest.approx(
        {axis: chosen[axis].item() for axis in GRID}
    )


def test_chance_is_the_mean_return_of_complete_games():
    data = hanq.collect(BREAKOUT, [0, 1], size=500)
    for seed, found in zip((0, 1), minatar.chance(data).values, strict=True):
        one, returns, total = data.sel(seed), [], 0.0
        for reward, over in zip(one.rewards[0], one.terminated[0], strict=True):
            total += reward
            if over:
                returns.append(total)
                total = 0.0
        assert found == pytest.approx(np.mean(returns))


def small(monkeypatch):
    """Make everything as small as it goes, on a scale of its own."""
    monkeypatch.setitem(games.GAMES, BREAKOUT, replace(games.GAMES[BREAKOUT], low_return=0.5, high_return=2.5))
    tiny = Round(range(100, 102), 6, 3)
    monkeypatch.setattr(protocol, "QUICK_TUNED", protocol.Protocol(Round(range(2), 6, 3), tiny, tiny, finalists=1))
    monkeypatch.setattr(minatar, "QUICK", Round(range(200, 202), 6, 3))
    monkeypatch.setattr(minatar, "QUICK_SIZE", 300)
    monkeypatch.setattr(minatar, "CHOSEN", {})
    monkeypatch.setattr(minatar, "ROWS", {"HANQ": replace(minatar.ROWS["HANQ"], settings=dict(learning_rate=[1e-3, 10**-3.5, 1e-4]))})


def test_a_small_version_is_made_kept_and_told_from_another(tmp_path, monkeypatch, capsys):
    small(monkeypatch)
    command = ["reproduce", "minatar", "--env", BREAKOUT, "--quick", "--out", str(tmp_path)]
    assert main(command) == 0
    path = tmp_path / "minatar" / "Breakout-HANQ-quick.nc"
    curves, search = load(path), load(path.with_name("Breakout-HANQ-quick-tuning.nc"))
    assert curves.attrs["protocol"] == "tuned" and set(search.seed.values) == {100, 101} and curves.seed.values.tolist() == [0, 1]
    dataset = json.loads(curves.attrs["dataset"])
    assert (dataset["size"], dataset["sticky_actions"], dataset["difficulty_ramping"]) == (300, 0.1, True)
    np.testing.assert_allclose(curves.score, 50 * (curves.return_ - 0.5), rtol=1e-5)
    before = path.read_bytes()
    assert main(command) == 0 and path.read_bytes() == before
    assert "all of its 1 results are in" in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.checkpoint")) and not list(tmp_path.rglob("*.lock"))
    monkeypatch.setattr(minatar, "QUICK_SIZE", 310)
    with pytest.raises(SystemExit):
        main(command)
    assert "data.size=300 where data.size=310 is asked for" in capsys.readouterr().err


def test_the_scale_is_measured_once_and_stated(tmp_path, monkeypatch, capsys):
    small(monkeypatch)
    command = ["reproduce", "minatar-scale", "--env", BREAKOUT, "--quick", "--out", str(tmp_path)]
    assert main(command) == 0
    path = tmp_path / "minatar" / "scale-Breakout-quick.nc"
    found, before = load(path), path.read_bytes()
    assert found.attrs["chance"] == pytest.approx(minatar.chance(hanq.collect(BREAKOUT, [200, 201], size=300)).mean().item())
    assert found.attrs["best"] == pytest.approx(found.return_.mean("seed").max().item())
    assert found.return_.dims[0] == "algorithm" and found.sizes["learning_rate"] == 2
    assert "chance" in capsys.readouterr().out
    assert main(command) == 0 and path.read_bytes() == before
    monkeypatch.setattr(minatar, "QUICK", Round(range(200, 202), 9, 3))
    with pytest.raises(SystemExit):
        main(command)
    assert "gradient_steps=6 where gradient_steps=9 is asked for" in capsys.readouterr().err


@pytest.mark.parametrize("name", games.GAMES)
def test_scores_are_on_the_scale_of_the_committed_file(name):
    game, stated = games.GAMES[name], load(RESULTS / "minatar" / f"scale-{minatar.short(name)}.nc").attrs
    assert (game.low_return, game.high_return) == (round(stated["chance"], 2), round(stated["best"], 2))
