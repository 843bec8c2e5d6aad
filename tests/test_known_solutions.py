"""Promise: on small deterministic problems with known Q*, what hanq.train learns is Q*."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import TORCH

import hanq

pytestmark = [
    pytest.mark.filterwarnings("ignore:the dataset names no environment"),
    pytest.mark.filterwarnings("ignore:in [0-9]+ of [0-9]+ rows the next observation"),  # with so few states, rows fit by chance
]
GAMMA = 0.8
DQN = replace(hanq.DQN, hidden_features=32)

# Problems as {(state, action): (reward, next state, terminated)}.
CHAIN = {  # action 1 walks right to a state that pays 1 a step for ever, action 0 goes back to the start
    (s, a): ((1.0 if s == 3 and a else 0.0), (min(s + 1, 3) if a else 0), False) for s in range(4) for a in (0, 1)
}
GOAL = {  # the same walk ends, once, with a reward of 1; every step costs 0.1
    (s, a): ((1.0 if s == 2 and a else -0.1), (s + 1 if a else 0), bool(s == 2 and a)) for s in range(3) for a in (0, 1)
}
TRAP = {  # a tempting reward that ends everything, against a small one for ever
    (0, 0): (2.0, 1, True),
    (0, 1): (1.0, 0, False),
    (1, 0): (5.0, 1, False),
    (1, 1): (5.0, 1, False),
}
PROBLEMS = {"chain": CHAIN, "goal": GOAL, "trap": TRAP}


def q_star(problem, gamma=GAMMA):
    """Value iteration, (states, 2)."""
    states = 1 + max(max(s, following) for (s, _), (_, following, _) in problem.items())
    q = np.zeros((states, 2))
    for _ in range(300):
        q = q.copy()
        for (s, a), (reward, following, terminated) in problem.items():
            q[s, a] = reward + (0 if terminated else gamma * q[following].max())
    return q


def dataset(problems):
    """One dataset a problem, every transition as often as the others; states are one-hot observations."""
    eye, rows = np.eye(4), []
    for problem in problems:
        s, a = np.array(list(problem)).T
        rewards, following, terminated = map(np.array, zip(*problem.values(), strict=True))
        again = np.arange(24) % len(problem)
        rows.append([x[again] for x in (eye[s], a, rewards, eye[following], terminated)])
    return hanq.Dataset.from_arrays(*(np.array(column) for column in zip(*rows, strict=True)))


def learned(algorithm, problems, steps=2000, **changes):
    settings = dict(learning_rate=3e-3, discount=GAMMA, batch_size=16, gradient_steps=steps, eval_every=steps) | TORCH
    return hanq.train(algorithm, dataset(problems), **settings | changes)


def assert_solved(run, problem, tolerance=0.05, gamma=GAMMA, **which):
    q = run.policy(**which)(np.eye(4))
    for s, a in problem:
        assert q[s, a].item() == pytest.approx(q_star(problem, gamma)[s, a], abs=tolerance), (s, a, which)


def test_value_iteration_agrees_with_what_one_finds_by_hand():
    right = [GAMMA**power / (1 - GAMMA) for power in (3, 2, 1, 0)]
    np.testing.assert_allclose(q_star(CHAIN), [[GAMMA * right[0], value] for value in right], rtol=1e-9)
    np.testing.assert_allclose(q_star(GOAL)[2, 1], 1, rtol=1e-9)
    np.testing.assert_allclose(q_star(TRAP)[0], [2, 5], rtol=1e-9)


def test_dqn_learns_q_star_with_and_without_a_target_network():
    run = learned(DQN, PROBLEMS.values(), target_rate=[1.0, 0.05])
    for seed, problem in enumerate(PROBLEMS.values()):
        for target_rate in (1.0, 0.05):
            assert_solved(run, problem, seed=seed, target_rate=target_rate)
    assert (run.curves.msbe < 1e-3).all()


def test_dqn_with_a_layer_norm_learns_q_star():
    run = learned(replace(DQN, main_norm="layer"), PROBLEMS.values(), learning_rate=1e-3)
    for seed, problem in enumerate(PROBLEMS.values()):
        assert_solved(run, problem, tolerance=0.1, seed=seed)


def test_an_end_taken_for_a_time_limit_would_be_learned_otherwise():
    """The same logged transitions without their terminations have another Q*, and it is found too."""
    endless = {key: (reward, following, False) for key, (reward, following, _) in TRAP.items()}
    assert abs(q_star(endless)[0, 0] - q_star(TRAP)[0, 0]) > 10
    assert_solved(learned(DQN, [endless], learning_rate=1e-2), endless, tolerance=0.5)


def test_each_discount_has_its_own_q_star():
    gammas = [0.0, 0.5, 0.8]
    run = learned(DQN, [GOAL], discount=gammas)
    for gamma in gammas:
        assert_solved(run, GOAL, gamma=gamma, discount=gamma)
