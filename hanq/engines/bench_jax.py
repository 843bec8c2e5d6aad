"""The JAX peer of the benchmark: HANQ at hyper_lr 0 as jit, vmap over agents, scan over steps.

Imported only where JAX is installed. It takes the same initial weights as the engines, and the
benchmark's tests hold its loss to theirs where JAX is there to be asked.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

from hanq.algorithm import HANQ, Network
from hanq.engines.population import initial_parameters
from hanq.reference import BETA_1, BETA_2, EPSILON

BATCH, DISCOUNT, LEARNING_RATE = 128, 0.99, 1e-3


def heads(weights, observations):
    """Q-values (batch, actions) and predictor outputs (batch, 2)."""
    features = jax.nn.relu(observations @ weights["hidden_0.weight"].T + weights["hidden_0.bias"])
    centred = features - features.mean(-1, keepdims=True)
    main = centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    main = main * weights["main_norm.weight"] + weights["main_norm.bias"]
    unit = features / jnp.maximum(jnp.sqrt((features**2).sum(-1, keepdims=True) + 1e-24), 1e-12)
    q = main @ weights["head.weight"].T + weights["head.bias"]
    return q, unit @ weights["predictor.weight"].T + weights["predictor.bias"]


def loss(network, params, batch):
    """HANQ's semi-gradient loss of one agent."""
    observations, actions, rewards, next_observations, continues = batch
    weights = network.views(params)
    q, predictor = heads(weights, observations)
    taken = jnp.take_along_axis(q, actions[:, None], -1)[:, 0]
    next_q, _ = heads(weights, next_observations)
    target = jax.lax.stop_gradient(rewards + DISCOUNT * continues * next_q.max(-1))
    return ((jnp.exp(predictor[:, 0]) * taken + predictor[:, 1] - target) ** 2).mean()


def jax_microseconds(data, agents, steps, repetitions=5):
    """Microseconds per agent-step, compilation left out."""
    network = Network(HANQ, data.obs_dim, data.action_count)
    columns = [data.observations, data.actions, data.rewards, data.next_observations, 1.0 - data.terminated]
    transitions = [jnp.asarray(column[np.arange(agents) % len(data.seeds)]) for column in columns]

    def step(carry, key):
        params, first, second, count, *transitions = carry
        index = jax.random.randint(key, (BATCH,), 0, data.size)
        gradient = jax.grad(lambda p: loss(network, p, [column[index] for column in transitions]))(params)
        first = BETA_1 * first + (1 - BETA_1) * gradient
        second = BETA_2 * second + (1 - BETA_2) * gradient**2
        root = jnp.sqrt(second / (1 - BETA_2**count)) + EPSILON
        params = params - LEARNING_RATE * first / (1 - BETA_1**count) / root
        return (params, first, second, count + 1, *transitions), None

    def train_one(params, key, *transitions):
        start = (params, jnp.zeros_like(params), jnp.zeros_like(params), 1.0, *transitions)
        return jax.lax.scan(step, start, jax.random.split(key, steps))[0][0]

    train = jax.jit(jax.vmap(train_one))
    params = jnp.asarray(initial_parameters(network, np.arange(agents)))
    keys = jax.random.split(jax.random.PRNGKey(0), agents)
    train(params, keys, *transitions).block_until_ready()
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        train(params, keys, *transitions).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return 1e6 * min(seconds) / agents / steps
