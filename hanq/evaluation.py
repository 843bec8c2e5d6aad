"""How good a population is now: greedy returns, squared Bellman error and predictor scale.

Compiled, one agent at a time per thread, so that evaluating costs little beside training.
Actions are greedy on Q(s, a), never on the predictor's output.
"""

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

from hanq import environments
from hanq.forward import greedy, hidden, highest, layout, predictor_scale, q_values, weights_of, with_affine
from hanq.sources import VERSION
from hanq.whole import whole_njit


def compiled(version):
    """(mean_return, bellman_error); their cache on disk belongs to one version of the sources."""

    @whole_njit()
    def mean_return(layout, params, code, seed, gradient_step, episodes, horizon, velocity=1.0):
        """Mean return of greedy episodes; their starts are a function of the seed and the step."""
        _ = version
        weights = weights_of(layout, params)
        before_relu, scratch = np.empty(layout.features, np.float32), np.empty(layout.features, np.float32)
        observation, q = np.empty(layout.obs_dim, np.float32), np.empty(layout.actions, np.float32)
        state = np.empty(4)
        total = 0.0
        for episode in range(episodes):
            environments.reset(code, state, seed, gradient_step, episode, velocity)
            for _ in range(horizon):
                environments.observe(code, state, observation)
                hidden(layout, weights, observation, before_relu, scratch)
                q_values(layout, params, before_relu, scratch, q)
                reward, terminated = environments.step(code, state, greedy(q))
                total += reward
                if terminated:
                    break
        return total / episodes

    @whole_njit()
    def bellman_error(layout, params, discount, observations, actions, rewards, next_observations, terminated):
        """Mean squared Bellman error without the predictor, and mean scale, over one dataset."""
        _ = version
        weights = weights_of(layout, params)
        before_relu, scratch = np.empty(layout.features, np.float32), np.empty(layout.features, np.float32)
        q = np.empty(layout.actions, np.float32)
        total_error, total_scale = 0.0, 0.0
        for i in range(len(actions)):
            hidden(layout, weights, next_observations[i], before_relu, scratch)
            q_values(layout, params, before_relu, scratch, q)
            target = rewards[i] + (0.0 if terminated[i] else discount * highest(q))
            hidden(layout, weights, observations[i], before_relu, scratch)
            total_scale += predictor_scale(layout, params, before_relu, scratch)
            q_values(layout, params, before_relu, scratch, q)
            total_error += (q[actions[i]] - target) ** 2
        return total_error / len(actions), total_scale / len(actions)

    return mean_return, bellman_error


mean_return, bellman_error = compiled(VERSION)


def evaluate(network, agents, dataset, state, episodes, velocity=1.0):
    """Mean return, msbe and scale of every agent, each (agents,) float64.

    episodes: how many to average over, from starts that depend on the agent's seed and the
    gradient step alone; velocity: as `environments.reset` has it. Without an environment
    returns are NaN.
    """
    network, parameters = with_affine(network, state.params)
    where = layout(network)
    environment = environments.find(dataset.environment) if dataset.environment else None

    def one(agent):
        params = parameters[agent]
        of = agents.datasets[agent]
        error, scale = bellman_error(
            where, params, agents.discount[agent], dataset.observations[of], dataset.actions[of],
            dataset.rewards[of], dataset.next_observations[of], dataset.terminated[of],
        )  # fmt: skip
        if environment is None:
            return np.nan, error, scale
        return_ = mean_return(where, params, environment.code, agents.seeds[agent], state.gradient_step,
                              episodes, environment.horizon, velocity)  # fmt: skip
        return return_, error, scale

    with ThreadPoolExecutor(numba.config.NUMBA_NUM_THREADS) as pool:
        results = np.array(list(pool.map(one, range(len(state.params)))))
    return {"return_": results[:, 0], "msbe": results[:, 1], "scale": results[:, 2]}
