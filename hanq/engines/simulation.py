"""Evaluates a population in any Gymnasium environment, in which one agent plays after the other.

Nearly all of the time is spent in the environment. Gymnasium's vector environments do not help: in one process they add
overhead, and one process per environment costs more than most steps.
"""

from functools import partial

import numpy as np

from hanq.data import environments, simulators
from hanq.data.playing import Stage, play, start_seeds, watched
from hanq.engines.forward import weights_of


def built_in(dataset):
    """Return the dataset's `Environment` if it is a built-in one and its actions are in order; otherwise None."""
    known = environments.ENVIRONMENTS.get(simulators.name_of(dataset.environment))
    if known is None:
        return None
    played = simulators.find(dataset.environment).played(dataset.action_labels, dataset.action_count)
    return known if played.tolist() == list(range(known.actions)) else None


def mean_returns(dataset, choose, where, parameters, seeds, gradient_step, episodes, velocity):
    """Return the mean return of every agent's greedy episodes, (agents,) float64.

    choose: compiled, (layout, weights, params, observation) -> action. where: the layout. velocity: see
    `environments.reset`. Agents with the same seed start from
    the same states. Raises RuntimeError naming the step at which the environment raises, hangs or returns a number that is not
    finite.
    """
    simulator = simulators.find(dataset.environment)
    played = simulator.played(dataset.action_labels, dataset.action_count)
    stage, returns = Stage(simulator), np.empty((len(parameters), episodes))

    def play_all():
        with stage.open():
            for agent, (params, seed) in enumerate(zip(parameters, seeds.tolist(), strict=True)):
                stage.begin(f" (agent {agent} of seed {seed}, gradient step {gradient_step})")
                act = partial(choose, where, weights_of(where, params), params)
                for episode, start in enumerate(start_seeds(seed, gradient_step, episodes)):
                    returns[agent, episode] = play(stage, act, played, start, simulator.horizon, simulator.starts(velocity))
        return returns.mean(1)

    return watched(stage, play_all)
