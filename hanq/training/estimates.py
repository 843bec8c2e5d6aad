"""Estimates the value of a run's policies from held-out data, for choosing without a simulator: see `Run.estimate`."""

import json
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray

from hanq import algorithm, reference
from hanq.algorithm import DQN_LN, Network
from hanq.data.dataset import Dataset
from hanq.data.foundations.arguments import positive_integer, shown
from hanq.data.returns import ends
from hanq.engines import fused, torch_engine
from hanq.engines.population import initial_state
from hanq.training import averages, rewards
from hanq.training.segments import compiling, progress_bar
from hanq.training.standardising import standardised

ESTIMATES = ("fqe", "wis", "own_q", "bellman_error", "drift", "scale")  # each with an interval
EVALUATOR = DQN_LN  # the network of fitted Q evaluation, whatever the agents are
LEARNING_RATE, TARGET_RATE, BATCH = 1e-3, 0.05, 128  # settings of fitted Q evaluation
SEGMENT = 1_000  # gradient steps between updates of the progress bar
UNIFORM = "uniformly random actions"  # in the provenance of data from `hanq.collect`


class Agents(NamedTuple):
    """The agents to evaluate, with one element per agent in each field."""

    seeds: np.ndarray
    datasets: np.ndarray  # index of the agent's held-out dataset
    discounts: np.ndarray
    params: np.ndarray  # (agents, parameters)


def estimate(
    network: Network,
    parameters: xarray.DataArray,
    about: dict[str, Any],
    held_out: Dataset,
    uniform_behaviour: bool | None,
    gradient_steps: int,
    progress: bool,
) -> xarray.Dataset:
    """Do what `Run.estimate` describes. parameters: (*grid, seed, parameter). about: the attributes of the run's curves."""
    _check(network, parameters, json.loads(about.get("action_labels", "null")), held_out)
    gradient_steps = positive_integer("gradient_steps", gradient_steps)
    uniform = _is_uniform(held_out, uniform_behaviour)
    axes = {str(name): parameters[name].values for name in parameters.dims[:-1]}
    agents = _agents(axes, parameters.values.reshape(-1, network.size), held_out)
    last = ends(held_out)
    episodes = [averages.episodes_of(*one) for one in zip(last, held_out.terminated, strict=True)]
    found, next_actions, first_actions = [], [], []
    for _, i, discount, params in zip(*agents, strict=True):
        q, scale = _q(network, params, held_out.observations[i])
        next_q, _ = _q(network, params, held_out.next_observations[i])
        found.append(_signals(held_out, i, episodes[i], q, next_q, discount, uniform))
        found[-1]["scale"] = averages.over_transitions(scale, episodes[i])
        next_actions.append(greedy(next_q).astype(np.int32))
        first_actions.append(greedy(q)[episodes[i].starts])
    seen, _ = standardised(held_out, bool(about.get("standardise", False)))  # the evaluator learns from what the agents learned from
    evaluator, learned = fitted(seen, agents, np.stack(next_actions), gradient_steps, progress)
    for one, i, actions, params in zip(found, agents.datasets, first_actions, learned, strict=True):
        q, _ = _q(evaluator, params, seen.observations[i][episodes[i].starts])
        one["fqe"] = averages.mean(q[np.arange(len(q)), actions])
    return _labelled(found, axes, gradient_steps)


def fitted(held_out, agents, next_actions, gradient_steps, progress):
    """Run fitted Q evaluation of policies that take next_actions, (agents, size). Returns its network and its parameters.

    The parameters are those of the target network, which, as averages over the last steps, are less noisy. Rewards are scaled
    to a root mean square of 0.1 during learning, which is undone afterwards.
    """
    one = np.ones(len(next_actions))
    network = Network(EVALUATOR, held_out.obs_dim, held_out.action_count)
    learners = algorithm.Agents(agents.seeds, agents.datasets, LEARNING_RATE * one, 0 * one, TARGET_RATE * one, agents.discounts, 0 * one)
    size = np.sqrt(np.square(held_out.rewards, dtype=np.float64).mean(axis=1))
    scales = np.where(size > 0, 0.1 / np.where(size > 0, size, 1), 1.0)
    engine = torch_engine.TorchEngine if network.actions > fused.MOST_ACTIONS else fused.FusedEngine
    engine = engine(network, learners, rewards.scaled(held_out, scales), BATCH, next_actions=next_actions)
    state = initial_state(network, learners)
    with progress_bar(gradient_steps, progress) as bar:
        with compiling(bar):
            engine.advance(state, 0)
        while state.gradient_step < gradient_steps:
            steps = min(SEGMENT, gradient_steps - state.gradient_step)
            state = engine.advance(state, steps)
            bar.update(steps)
    params = torch_engine.to_numpy(state).target_params
    return network, rewards.in_the_rewards_unit(network, params, scales[agents.datasets])


def greedy(q: np.ndarray) -> np.ndarray:
    """Return the best action of each row (rows, actions), the first in a tie, and 0 if a Q-value is not finite, as in evaluation."""
    return np.where(np.isfinite(q).all(-1), q.argmax(-1), 0)


def _check(network, parameters, labels, held_out):
    """Raise ValueError or TypeError if these data cannot be used to evaluate this run."""
    if not isinstance(held_out, Dataset):
        raise TypeError(f"held_out={shown(held_out)} is not a Dataset: use hanq.collect or hanq.Dataset.from_arrays")
    if network.convolutions:
        raise ValueError("the run is one of images, which estimate does not take: use a run of hanq.train")
    missing = {"discount", "seed", "parameter"} - set(parameters.dims)
    if missing or parameters.sizes["parameter"] != network.size:
        raise ValueError(
            f"the run's parameters have the dimensions {dict(parameters.sizes)}: its algorithm needs the last {network.size} of "
            "each agent, on the axes of its grid and seed"
        )
    if held_out.obs_dim != network.obs_dim:
        raise ValueError(f"held_out has obs_dim {held_out.obs_dim}: the run's policies need {network.obs_dim}")
    if held_out.action_count != network.actions:
        raise ValueError(f"held_out has action_count {held_out.action_count}: the run's policies choose among {network.actions}")
    if (held_out.action_labels or None) != (labels and tuple(labels)):
        raise ValueError(
            f"held_out has action_labels={shown(held_out.action_labels)}: the run's policies have "
            f"{shown(labels and tuple(labels))}, in this order"
        )
    seeds = parameters.seed.values.astype(int).tolist()
    if len(held_out.seeds) > 1 and not set(seeds) <= set(held_out.seeds.tolist()):
        raise ValueError(
            f"held_out has the seeds {shown(held_out.seeds.tolist())}: use one dataset for all agents, or one for each of the "
            f"run's seeds {shown(seeds)}"
        )


def _agents(axes, params, held_out):
    """List the agents of a run, each with its held-out dataset."""
    columns = {name: column.ravel() for name, column in zip(axes, np.meshgrid(*axes.values(), indexing="ij"), strict=True)}
    seeds = columns["seed"].astype(np.int64)
    place = {seed: i for i, seed in enumerate(held_out.seeds.tolist())}
    datasets = np.array([place[seed] if len(place) > 1 else 0 for seed in seeds.tolist()])
    return Agents(seeds, datasets, columns["discount"], params)


def _is_uniform(held_out, value):
    """Tell whether the logged actions are uniformly random. Raises ValueError if the argument is not True, False or None."""
    if value is None:
        return held_out.provenance.get("collected") == UNIFORM
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"uniform_behaviour={shown(value)} is not allowed: use True, False or None")
    return bool(value)


def _q(network, params, observations):
    """Return the Q-values, (size, actions), and the predictor's scale, (size,), of one agent."""
    with torch.no_grad():
        weights = network.views(torch.as_tensor(params)[None])
        before_relu = reference.hidden(network, weights, torch.as_tensor(observations)[None])
        q = reference.q_values(network, weights, before_relu)[0].numpy()
        if network.algorithm.predictor == "none":
            return q, np.ones(len(q), np.float32)
        return q, reference.predictor(network, weights, before_relu)[0][0, :, 0].numpy()


def _signals(held_out, i, episodes, q, next_q, discount, uniform):
    """Return the estimates that need no training: those from the agent's own Q-values, and importance sampling."""
    actions, logged, best = held_out.actions[i], held_out.rewards[i], greedy(q)
    row = np.arange(len(q))
    target = logged + np.where(held_out.terminated[i], 0.0, discount * next_q.max(-1).astype(np.float64))
    error = target - q[row, actions]
    wis, steps = averages.UNKNOWN, 0
    if uniform:
        wis, steps = averages.importance_sampling(best == actions, logged, discount, episodes)
    return {
        "wis": wis,
        "wis_steps": steps,
        "own_q": averages.mean(q[row, best][episodes.starts]),
        "bellman_error": averages.over_transitions(error**2, episodes),
        "drift": averages.over_transitions(error, episodes),
    }


def _labelled(found, axes, gradient_steps):
    """Arrange one dict per agent as arrays on the axes of the grid: name, name_low and name_high, and wis_steps."""
    shape = [len(values) for values in axes.values()]
    variables = {"wis_steps": (tuple(axes), np.array([one["wis_steps"] for one in found]).reshape(shape))}
    for name in ESTIMATES:
        columns = np.array([one[name] for one in found])  # (agents, 3)
        for ending, column in zip(("", "_low", "_high"), columns.T, strict=True):
            variables[f"{name}{ending}"] = (tuple(axes), column.reshape(shape))
    return xarray.Dataset(variables, axes, {"fqe_gradient_steps": gradient_steps})
