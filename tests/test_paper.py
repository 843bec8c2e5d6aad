"""Promise: an experiment is one command that can be stopped, repeated and understood."""

import pytest

from hanq import paper, records
from hanq.__main__ import main
from hanq.training import train


def test_a_quick_reproduction_writes_files_that_a_second_call_keeps(tmp_path):
    (path,) = paper.reproduce("fig7", tmp_path, quick=True).values()
    curves, written = records.load(path), path.stat().st_mtime_ns
    assert curves.seed.size == 3 and curves.attrs["protocol"] == "grid"
    assert list(tmp_path.iterdir()) == [path]  # no checkpoint stays behind
    paper.reproduce("fig7", tmp_path, quick=True)
    assert path.stat().st_mtime_ns == written


def test_a_tuned_experiment_reports_one_grid_point_on_seeds_that_took_no_part(tmp_path):
    paths = paper.reproduce("headline", tmp_path, quick=True, engine="fused")
    assert set(paths) == set(paper.EXPERIMENTS["headline"].rows)
    for path in paths.values():
        report, tuning = records.load(path), records.load(path.with_name(path.name.replace("-quick", "-tuning-quick")))
        assert set(report.seed.values).isdisjoint(tuning.seed.values)
        assert report.learning_rate.size == 1 and report.learning_rate.item() in tuning.learning_rate.values


def test_an_interrupted_reproduction_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    def interrupted(*arguments, gradient_steps, **settings):
        train(*arguments, gradient_steps=gradient_steps // 2, **settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(paper, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        paper.reproduce("fig7", tmp_path / "stopped", quick=True)
    assert list((tmp_path / "stopped").glob("*.checkpoint"))
    monkeypatch.setattr(paper, "train", train)
    (stopped,) = paper.reproduce("fig7", tmp_path / "stopped", quick=True).values()
    (straight,) = paper.reproduce("fig7", tmp_path / "straight", quick=True).values()
    assert records.load(stopped).equals(records.load(straight))


def test_an_unknown_experiment_is_named_with_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="experiment='fig99'.*headline"):
        paper.reproduce("fig99", tmp_path)


def test_an_unknown_printed_score_is_named():
    with pytest.raises(KeyError, match="Seaquest"):
        paper.number("1", "Seaquest", "DQN", "target_rate=1")


def test_the_command_line_lists_every_experiment(capsys):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert all(f"{name}:" in printed for name in paper.EXPERIMENTS)


def test_the_command_line_refuses_an_unknown_experiment_with_status_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["reproduce", "fig99"])
    assert stopped.value.code == 2
    assert "fig99" in capsys.readouterr().err
