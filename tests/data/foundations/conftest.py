"""A run and a dataset to save."""

import pytest
from helpers import DQN, TORCH, small_pendulum

import hanq


@pytest.fixture(scope="module")
def run():
    return hanq.train(DQN, small_pendulum(), learning_rate=[1e-2, 1e-3], gradient_steps=4, eval_every=2, eval_episodes=1, **TORCH)


@pytest.fixture(scope="module")
def kinds(run):
    """{kind: (what is saved, how it is loaded)}"""
    return {"dataset": (small_pendulum(), hanq.load_dataset), "run": (run, hanq.load_run)}
