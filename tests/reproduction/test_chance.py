"""Promise: what random actions score is measured, not assumed."""

import numpy as np
import pytest

from hanq.reproduction.chance import CHANCE, complete_returns, is_at_chance, measure
from hanq.training.scores import interval


@pytest.mark.parametrize("name", CHANCE)
def test_the_scores_of_random_actions_are_those_of_the_papers_datasets(name):
    found = interval(measure(name, range(30)))
    assert tuple(round(found[part].item(), 1) for part in ("mean", "low", "high")) == CHANCE[name]


def test_an_episode_that_the_end_of_the_data_cuts_off_does_not_count():
    """Three episodes: of two steps, of three, and of what is left."""
    observations = np.array([0, 1, 10, 11, 12, 20, 21], float)[:, None]
    next_observations = np.array([1, 2, 11, 12, 13, 21, 22], float)[:, None]
    rewards = np.array([1, 1, 10, 10, 10, 100, 100], float)
    assert complete_returns(observations, next_observations, rewards, horizon=3).tolist() == [2, 30]
    assert complete_returns(observations, next_observations, rewards, horizon=2).tolist() == [2, 30, 200]


def test_an_interval_that_begins_at_or_below_chance_shows_no_learning():
    mean, _, high = CHANCE["Pendulum"]
    assert is_at_chance("Pendulum", mean) and not is_at_chance("Pendulum", high)
