"""`python -m hanq reproduce schedule`: agents whose learning rate was laid down beforehand."""

from pathlib import Path

import numpy as np
import pytest

import hanq
from hanq.__main__ import main
from hanq.data.foundations.records import load
from hanq.reproduction import paper, schedule
from hanq.reproduction.schedule import Size

SIZE = Size(range(2), range(100, 102), 100, 50)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schedule")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedule, "QUICK", SIZE)
        return schedule.reproduce(folder, quick=True)


def test_every_row_follows_one_schedule_which_starts_at_hanqs_learning_rate(made):
    found = load(made)
    assert found.row.values.tolist() == list(schedule.ROWS) and found.score.shape == (4, 2, 2) and np.isfinite(found.score).all()
    data = hanq.collect("Pendulum", SIZE.path_seeds)
    run = hanq.train(hanq.HANQ, data, learning_rate=schedule.START, hyper_lr=schedule.KAPPA, gradient_steps=50, eval_every=50)
    np.testing.assert_allclose(found.schedule, [schedule.START, np.median(run.curves.effective_learning_rate)], rtol=1e-5)


def test_a_constant_schedule_is_a_constant_learning_rate():
    engine = schedule.ENGINES["fused"]
    data = hanq.collect("Pendulum", SIZE.seeds)
    for row, (algorithm, target_rate) in schedule.ROWS.items():
        run = hanq.train(algorithm, data, learning_rate=1e-3, target_rate=target_rate, gradient_steps=100, eval_every=50, eval_velocity=8)
        np.testing.assert_allclose(
            schedule._scores(row, np.array([1e-3, 1e-3]), SIZE, engine), run.curves.score.squeeze().T, rtol=1e-4, atol=1e-4
        )


def test_a_finished_file_is_kept_and_another_size_is_refused(made, monkeypatch):
    monkeypatch.setattr(schedule, "QUICK", SIZE)
    before = made.read_bytes()
    assert schedule.reproduce(made.parents[1], quick=True) == made and made.read_bytes() == before
    monkeypatch.setattr(schedule, "QUICK", SIZE._replace(gradient_steps=150))
    with pytest.raises(ValueError, match="gradient_steps=100 where gradient_steps=150 is asked for"):
        schedule.reproduce(made.parents[1], quick=True)


def test_an_environment_that_has_no_schedule_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["reproduce", "schedule", "--env", "Acrobot", "--out", str(tmp_path)])
    assert "environment='Acrobot' is not in schedule: use 'Pendulum'" in capsys.readouterr().err


def test_the_settings_are_those_of_table_1():
    found = paper.result(paper.stem("table1", "Pendulum", "HANQ", "hyper_lr=0.1"), Path(hanq.__file__).parents[1] / "book" / "results")
    assert (found.learning_rate.item(), found.hyper_lr.item()) == (pytest.approx(schedule.START), schedule.KAPPA)
    assert not {*schedule.FULL.seeds} & {*schedule.FULL.path_seeds}


def test_any_engine_follows_a_schedule():
    constant = np.array([1e-3, 1e-3])
    fused, torch = (schedule._scores("HANQ", constant, SIZE, schedule.ENGINES[name]) for name in ("fused", "torch"))
    np.testing.assert_allclose(torch, fused, atol=1)
    assert len(schedule.median_path(SIZE, schedule.ENGINES["torch"])) == 2
