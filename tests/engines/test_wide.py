"""Promise: observations of any width and any number of actions train, and in the fused engine one compilation serves all wide ones."""

from dataclasses import replace

import numpy as np
import pytest
from fused_problem import assert_one_step_agrees, difference, engines, grid

import hanq
from hanq.algorithm import HANQ, PQN
from hanq.engines import fused
from hanq.engines.fused.structure import WIDE
from hanq.engines.torch_engine import to_numpy
from hanq.training.train import MOST_ACTIONS

ALGORITHMS = {"HANQ": HANQ, "PQN": PQN, "HANQ, two layers": replace(HANQ, hidden_layers=2)}
SETTINGS = dict(learning_rate=1e-3, gradient_steps=20, eval_every=10, batch_size=16, progress=False)


@pytest.mark.parametrize("columns", [WIDE + 1, 40, 1_000])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_wide_observations_agree_with_the_reference(name, columns):
    agents = grid()
    algorithm = replace(ALGORITHMS[name], hidden_features=24)
    ours, theirs, state = engines(algorithm, agents, 20, obs_dim=columns)
    for _ in range(3):
        after = to_numpy(theirs.advance(state, 1))
        assert_one_step_agrees(ours.advance(state, 1), after, agents)
        state = after
    _, _, start = engines(algorithm, agents, 20, obs_dim=columns)
    assert np.median(difference(ours.advance(start, 10), to_numpy(theirs.advance(start, 10)), start)) < 1e-3


def test_all_widths_share_one_compilation():
    compiled = len(fused.train_agent.signatures)
    for columns in (WIDE + 2, 100, 999):
        ours, _, start = engines(replace(HANQ, hidden_features=24), grid(), 20, obs_dim=columns)
        ours.advance(start, 1)
    assert len(fused.train_agent.signatures) <= compiled + 1


def log(actions, columns=3, size=64):
    random = np.random.default_rng(0)
    observations = random.normal(size=(size, columns))
    return hanq.Dataset.from_arrays(
        observations,
        np.arange(size) % actions,
        random.normal(size=size),
        observations[::-1].copy(),
        np.zeros(size, bool),
        action_count=actions,
    )


def test_more_actions_than_the_fused_engine_takes_are_trained_by_pytorch_which_says_so():
    with pytest.warns(UserWarning, match="names no environment"), pytest.warns(UserWarning, match=f"more than {MOST_ACTIONS} actions"):
        run = hanq.train(hanq.DQN, log(1_000), **SETTINGS)
    assert run.curves.attrs["engine"] == "torch" and np.isfinite(run.curves.msbe).all()
    with pytest.raises(ValueError, match=f"engine='fused' takes at most {MOST_ACTIONS} actions"), pytest.warns(UserWarning):
        hanq.train(hanq.DQN, log(1_000), engine="fused", **SETTINGS)


def test_as_many_actions_as_it_takes_agree_with_the_reference():
    agents = grid()
    ours, theirs, start = engines(replace(HANQ, hidden_features=24), agents, 20, actions=MOST_ACTIONS)
    assert_one_step_agrees(ours.advance(start, 1), to_numpy(theirs.advance(start, 1)), agents)
