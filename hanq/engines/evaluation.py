"""Evaluates a population: returns of greedy episodes, squared Bellman error and the predictor's scale.

The code is compiled and runs one agent at a time on each thread, so that evaluation costs little compared with training.
Actions are greedy with respect to Q(s, a), never to the predictor's output.
"""

from threading import Event

import numba
import numpy as np

from hanq.data import environments
from hanq.data.foundations.compiling import entry_point
from hanq.data.foundations.generator import minibatch
from hanq.data.screens import unpack
from hanq.engines import simulation
from hanq.engines.forward import greedy, hidden, highest, layout, predictor_scale, q_values, weights_of, with_affine
from hanq.engines.sources import VERSION
from hanq.engines.threads import each
from hanq.reference import Batch

EPISODES, TRANSITIONS = 10, 10_000  # how many are evaluated before checking for Ctrl-C
SAMPLE = 1_024  # transitions between screens over which errors are averaged


def compiled(version):
    """Return (add_returns, add_errors, choose), whose cache on disk belongs to one version of the sources."""

    @entry_point()
    def add_returns(total, layout, weights, params, code, seed, gradient_step, first, last, horizon, velocity):
        """Add the returns of these greedy episodes to the total."""
        _ = version
        before_relu, scratch = np.empty(layout.features, np.float32), np.empty(layout.features, np.float32)
        observation, q = np.empty(layout.obs_dim, np.float32), np.empty(layout.actions, np.float32)
        state = np.empty(4)
        for episode in range(first, last):
            environments.reset(code, state, seed, gradient_step, episode, velocity)
            for _ in range(horizon):
                environments.observe(code, state, observation)
                hidden(layout, weights, observation, before_relu, scratch)
                q_values(layout, params, before_relu, scratch, q)
                reward, terminated = environments.step(code, state, greedy(q))
                total += reward
                if terminated:
                    break
        return total

    @entry_point()
    def add_errors(
        total_error,
        total_scale,
        layout,
        weights,
        params,
        discount,
        first,
        last,
        observations,
        actions,
        rewards,
        next_observations,
        terminated,
    ):
        """Add the squared Bellman errors and scales of these transitions to the totals."""
        _ = version
        before_relu, scratch = np.empty(layout.features, np.float32), np.empty(layout.features, np.float32)
        q = np.empty(layout.actions, np.float32)
        for i in range(first, last):
            hidden(layout, weights, next_observations[i], before_relu, scratch)
            q_values(layout, params, before_relu, scratch, q)
            target = rewards[i] + (0.0 if terminated[i] else discount * highest(q))
            hidden(layout, weights, observations[i], before_relu, scratch)
            total_scale += predictor_scale(layout, params, before_relu, scratch)
            q_values(layout, params, before_relu, scratch, q)
            total_error += (q[actions[i]] - target) ** 2
        return total_error, total_scale

    @entry_point()
    def choose(layout, weights, params, observation):
        """Return the greedy action for one observation, (obs_dim,)."""
        _ = version
        before_relu, scratch = np.empty(layout.features, np.float32), np.empty(layout.features, np.float32)
        q = np.empty(layout.actions, np.float32)
        hidden(layout, weights, observation, before_relu, scratch)
        q_values(layout, params, before_relu, scratch, q)
        return greedy(q)

    return add_returns, add_errors, choose


add_returns, add_errors, choose = compiled(VERSION)


def parts(count, size, stopped):
    """Yield (first, last) for each part of a count, until an Event is set."""
    for first in range(0, count, size):
        if stopped is not None and stopped.is_set():
            return
        yield first, min(first + size, count)


def mean_return(layout, params, code, seed, gradient_step, episodes, horizon, velocity=1.0, stopped=None):
    """Return the mean return of greedy episodes, whose starts are a function of the seed and the step."""
    total, weights = 0.0, weights_of(layout, params)
    for first, last in parts(episodes, EPISODES, stopped):
        total = add_returns(total, layout, weights, params, code, seed, gradient_step, first, last, horizon, velocity)
    return total / episodes


def bellman_error(layout, params, discount, *transitions, stopped=None):
    """Return the mean squared Bellman error without the predictor, and the mean scale, over one dataset.

    transitions: observations, actions, rewards, next_observations and terminated, each (size, ...).
    """
    totals, size, weights = (0.0, 0.0), len(transitions[0]), weights_of(layout, params)
    for first, last in parts(size, TRANSITIONS, stopped):
        totals = add_errors(*totals, layout, weights, params, discount, first, last, *transitions)
    return totals[0] / size, totals[1] / size


def transitions_of(dataset, of, seed):
    """Return one dataset's observations, actions, rewards, next observations and terminated, over which errors are averaged.

    Of screens these are a fixed sample: the minibatch of gradient step 0, on which nobody trains, unpacked.
    """
    columns = [getattr(dataset, name)[of] for name in Batch._fields]
    if getattr(dataset, "screen", None) is None:
        return columns
    index = minibatch([seed], [0], dataset.size, SAMPLE)[0, 0]
    columns = [column[index] for column in columns]
    for i in (0, 3):
        columns[i] = unpack(columns[i], dataset.screen).reshape(SAMPLE, -1).astype(np.float32)
    return columns


def evaluate(network, agents, dataset, state, episodes, velocity=1.0):
    """Return the mean return, msbe and scale of every agent, each (agents,) float64.

    episodes: how many to average over; their starts depend only on the agent's seed and the gradient step. velocity: see
    `environments.reset`. Without an environment, returns are NaN. Environments without compiled dynamics are played by
    `simulation`.
    """
    network, parameters = with_affine(network, state.params)
    where = layout(network)
    environment = simulation.built_in(dataset)
    stopped = Event()

    def one(agent):
        params = parameters[agent]
        transitions = transitions_of(dataset, agents.datasets[agent], agents.seeds[agent])
        error, scale = bellman_error(where, params, agents.discount[agent], *transitions, stopped=stopped)
        if environment is None:
            return np.nan, error, scale
        return_ = mean_return(
            where, params, environment.code, agents.seeds[agent], state.gradient_step, episodes, environment.horizon, velocity, stopped
        )
        return return_, error, scale

    try:
        results = np.array(each(one, len(state.params), numba.config.NUMBA_NUM_THREADS))
    except BaseException:  # for example Ctrl-C: no thread may continue in the background
        stopped.set()
        raise
    if dataset.environment is not None and environment is None:
        results[:, 0] = simulation.mean_returns(dataset, choose, where, parameters, agents.seeds, state.gradient_step, episodes, velocity)
    return {"return_": results[:, 0], "msbe": results[:, 1], "scale": results[:, 2]}
