"""Training on binary screens: hanq.train, the run's policies and files, and what is refused by name."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from screens_problem import screens

import hanq
from hanq.data.minatar import find

SETTINGS = dict(learning_rate=1e-3, gradient_steps=20, eval_every=10, eval_episodes=2, progress=False)


@cache
def breakout():
    return hanq.collect("MinAtar/Breakout", range(2), size=400)


@cache
def trained(engine="auto"):
    return hanq.train(hanq.HANQ, breakout(), engine=engine, **SETTINGS)


def test_both_engines_give_the_same_curves():
    ours, theirs = trained(), trained("torch")
    assert (ours.curves.attrs["engine"], theirs.curves.attrs["engine"]) == ("fused", "torch")
    np.testing.assert_allclose(ours.curves.msbe, theirs.curves.msbe, rtol=1e-4)
    np.testing.assert_allclose(ours.curves.scale, theirs.curves.scale, rtol=1e-4)
    assert ours.curves.return_.shape == theirs.curves.return_.shape and np.isfinite(ours.curves.return_).all()
    assert "the same at every evaluation" in ours.curves.attrs["msbe_sample"]


def test_scores_run_from_chance_to_the_preliminary_runs_best():
    game = find("MinAtar/Breakout")
    curves = trained().curves
    np.testing.assert_allclose(curves.score, 100 * (curves.return_ - game.low_return) / (game.high_return - game.low_return), rtol=1e-4)


def test_a_run_comes_back_from_its_file_with_the_same_policy(tmp_path):
    run = trained()
    run.save(tmp_path / "run.nc")
    again = hanq.load_run(tmp_path / "run.nc")
    assert again.network == run.network
    seen = breakout().screens_at(np.arange(50))[0]
    mine, theirs = run.policy(seed=1), again.policy(seed=1)
    assert mine(seen).shape == (50, 3) and torch.equal(mine(seen), theirs(seen))
    assert mine.act(seen[0]) in (0, 1, 2)
    np.testing.assert_array_equal(
        hanq.evaluate(mine, "MinAtar/Breakout", episodes=2), hanq.evaluate(theirs, "MinAtar/Breakout", episodes=2)
    )


def test_a_killed_run_goes_on_to_the_same_curves(tmp_path):
    checkpoint = tmp_path / "run.checkpoint"
    hanq.train(hanq.HANQ, breakout(), checkpoint=checkpoint, **SETTINGS | {"gradient_steps": 10})
    resumed = hanq.train(hanq.HANQ, breakout(), checkpoint=checkpoint, **SETTINGS)
    np.testing.assert_array_equal(resumed.parameters, trained().parameters)
    np.testing.assert_array_equal(resumed.curves.return_, trained().curves.return_)


def test_what_does_not_fit_screens_is_refused_by_name():
    four, three = breakout(), screens()
    with pytest.raises(ValueError, match=r"screens of shape \(4, 10, 10\): MinAtar/Seaquest-v1 shows \(10, 10, 10\)"):
        hanq.train(hanq.DQN, four, environment="MinAtar/Seaquest", **SETTINGS)
    with pytest.raises(ValueError, match="standardise=True is not for screens"):
        hanq.train(hanq.DQN, four, standardise=True, **SETTINGS)
    with pytest.raises(ValueError, match="engine='fused' takes one convolution of 16 filters of 3x3 and one hidden layer"):
        hanq.train(replace(hanq.DQN, hidden_layers=2), four, engine="fused", **SETTINGS)
    with pytest.raises(TypeError, match="held_out=ScreenDataset.* is not a Dataset"):
        trained().estimate(four)
    with pytest.raises(ValueError, match="policy takes screens with 4 channels, but MinAtar/Seaquest-v1 shows screens with 10"):
        hanq.evaluate(trained().policy(seed=0), "MinAtar/Seaquest")
    with pytest.raises(ValueError, match="policy takes screens with 4 channels, but CartPole shows none"):
        hanq.evaluate(trained().policy(seed=0), "CartPole")
    with pytest.warns(UserWarning, match="the dataset names no environment"):
        run = hanq.train(hanq.HANQ, three, **SETTINGS)
    assert np.isnan(run.curves.score).all()


def test_two_hidden_layers_are_trained_by_torch():
    run = hanq.train(replace(hanq.DQN, hidden_layers=2), breakout(), **SETTINGS | {"gradient_steps": 2, "eval_every": 2})
    assert run.curves.attrs["engine"] == "torch" and np.isfinite(run.curves.return_).all()
