"""Promise: scores averaged over other evaluations are averages of the stored curves and of agents that have not learned."""

from pathlib import Path

import numpy as np
import pytest

from hanq.algorithm import HANQ
from hanq.data.collection import collect
from hanq.reproduction import averaging, ledger, paper
from hanq.training.train import train

FOLDER = Path(__file__).parents[2] / "book" / "results"
STEM = paper.stem("table1", "Pendulum", "HANQ", "hyper_lr=0.1")


def test_averaged_as_in_the_tables_a_result_has_the_scores_of_the_tables():
    curves = paper.result(STEM, FOLDER)
    np.testing.assert_allclose(averaging.averaged(curves, 2_000, False), paper.seed_scores(STEM, FOLDER), rtol=1e-6)
    line = next(line for line in ledger.compare(FOLDER).itertuples() if line.result == STEM)
    assert averaging.overlaps(line, FOLDER, 2_000, False) == (line.overlap == "yes")


def test_a_rarer_average_takes_every_nth_evaluation_and_an_earlier_one_the_untrained_agents_too():
    curves = paper.result(STEM, FOLDER)
    rarer = curves.score.squeeze(drop=True).isel(gradient_step=slice(4, None, 5)).transpose("seed", "gradient_step").values
    np.testing.assert_allclose(averaging.averaged(curves, 10_000, False), rarer.mean(1), rtol=1e-6)
    first = averaging.untrained("Pendulum", HANQ, 8.0)
    with_first = np.concatenate([first[:, None], rarer], axis=1)
    np.testing.assert_allclose(averaging.averaged(curves, 10_000, True), with_first.mean(1), rtol=1e-6)


def test_an_untrained_agent_scores_like_one_whose_learning_rate_is_next_to_nothing():
    run = train(HANQ, collect("Acrobot", range(2)), learning_rate=1e-30, gradient_steps=1, eval_episodes=200, progress=False)
    assert averaging.untrained("Acrobot", HANQ, 1.0)[:2].mean() == pytest.approx(run.curves.score.mean().item(), abs=15)
