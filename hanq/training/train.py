"""`train`: check the arguments, run an engine in segments, evaluate, and label the curves."""

import json
import warnings
from dataclasses import asdict, replace
from os import PathLike

import numba
import numpy as np
import torch
import xarray
from numpy.typing import ArrayLike

from hanq.algorithm import Agents, Algorithm, Network, screen_network
from hanq.data import environments, simulators
from hanq.data.dataset import Dataset, Maker
from hanq.data.foundations import files, records
from hanq.data.foundations.arguments import array, check_seeds, shown, warn
from hanq.data.foundations.settings import set_aside
from hanq.data.screens import ScreenDataset
from hanq.engines import fused, torch_engine
from hanq.engines.evaluation import SAMPLE, evaluate
from hanq.engines.fused import MOST_ACTIONS
from hanq.engines.population import initial_state
from hanq.training import rewards, standardising
from hanq.training.run import GRID, Run
from hanq.training.segments import Checkpoint, Usual, checked_counts, progress_bar, segments

ENGINES = {engine.name: engine for engine in (torch_engine.TorchEngine, torch_engine.CompiledTorchEngine, fused.FusedEngine)}
CHECKPOINT_SECONDS, SCREENS_SECONDS = 20, 120  # the latter for networks with a convolution, of 3 MB an agent
FLOAT32 = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@set_aside()
def train(
    algorithm: Algorithm,
    dataset: Dataset | ScreenDataset,
    *,
    learning_rate: ArrayLike,
    hyper_lr: ArrayLike = 0.0,
    target_rate: ArrayLike = 1.0,
    discount: ArrayLike = 0.99,
    weight_decay: ArrayLike = 0.0,
    seeds: ArrayLike | None = None,
    gradient_steps: int = 200_000,
    batch_size: int = 128,
    reward_scale: float | str = 1.0,
    eval_every: int = Usual(2_000),
    eval_episodes: int = 10,
    eval_velocity: float | None = None,
    engine: str = "auto",
    device: str | torch.device | None = None,
    progress: bool = True,
    checkpoint: str | PathLike | None = None,
    environment: str | Maker | None = None,
    standardise: bool = False,
) -> Run:
    """Train one agent for every seed and every point of the grid, all side by side.

    - algorithm: an `Algorithm`, such as `hanq.HANQ`.
    - dataset: a `Dataset`, or, if observations are screens, a `ScreenDataset`, for which a convolution is placed below the
      hidden layer (`hanq.algorithm.screen_network`). Each agent learns from the data of its own seed.
    - learning_rate (alpha), hyper_lr (kappa), target_rate (beta), discount (gamma), weight_decay (l2, as in torch.optim.Adam):
      each a number or a sequence of numbers. The grid is the product of these sequences. By default there is no hypergradient
      (hyper_lr=0) and no target network (target_rate=1); the paper's HANQ has hyper_lr=0.1.
    - seeds: the seeds of the agents if they all share one dataset. By default, the seeds of the datasets.
    - gradient_steps: the length of training.
    - batch_size: the number of transitions in a minibatch.
    - reward_scale: a factor for the rewards during learning. With "auto", the factor of each dataset is such that its discounted
      returns, from every transition to the end of the episode, have a standard deviation of 100. The Q-values, parameters and
      Bellman errors of the `Run` refer to the original rewards; curves.attrs["reward_scales"] stores factors other than 1.
    - eval_every: gradient steps between evaluations, by default 2,000 or gradient_steps, whichever is less.
    - eval_episodes: greedy episodes in each evaluation. They end as in `hanq.evaluate`.
    - eval_velocity: for Pendulum only, the largest initial angular speed in evaluation, in radians per second. Gymnasium's is 1.
      The default, 8, covers every speed, as the data do. Other environments always start as in Gymnasium.
    - engine: "torch" (the reference), "torch-compiled" (the reference with torch.compile, which fails in torch 2.5 and 2.6),
      "fused" (Numba, CPU only), or "auto", which is "fused" on the CPU and "torch" elsewhere. curves.attrs["engine"] stores the
      choice.
    - device: the PyTorch device, by default the CPU.
    - progress: whether to show a progress bar if training takes more than a few seconds.
    - checkpoint: a file that is written during training. If it exists, training resumes from it and ends with identical curves.
    - environment: where policies are evaluated, as in `Dataset.from_arrays`. By default, the environment of the dataset.
    - standardise: whether to subtract the mean of each column of a dataset's observations and divide by its standard deviation
      during learning. The run and its policies still take raw observations, because the scaling is folded into the first layer.
      Without it there is a warning of columns that go beyond 1,000, and of those, other than flags and counts, whose standard
      deviation is below 0.05.

    On one kind of processor and with one version of Numba, the fused engine computes the same bits for an agent in every
    process, on any number of threads, with any other agents, and after any number of interruptions.

    Returns a `Run`. Training that diverges is a result too: its scores are those of the useless policy it ends with.
    Global settings of torch and NumPy (no_grad, autocast, seterr, ...) have no influence.
    Raises TypeError or ValueError naming the argument, its value and what is allowed.
    """
    if not isinstance(algorithm, Algorithm):
        raise TypeError(f"algorithm={shown(algorithm)} is not an Algorithm: use hanq.DQN, hanq.HANQ, ...")
    if not isinstance(dataset, Dataset | ScreenDataset):
        raise TypeError(f"dataset={shown(dataset)} is not a Dataset: use hanq.collect or hanq.Dataset.from_arrays")
    counts = checked_counts(gradient_steps=gradient_steps, batch_size=batch_size, eval_every=eval_every, eval_episodes=eval_episodes)
    dataset = evaluated_in(dataset, environment)
    counts["eval_velocity"] = environments.eval_velocity(simulators.name_of(dataset.environment), eval_velocity)
    own, unfold = standardising.standardised(dataset, standardise)
    values = dict(zip(GRID, (learning_rate, hyper_lr, target_rate, discount, weight_decay), strict=True))
    axes = {name: axis(name, value) for name, value in values.items()}
    axes["seed"] = _agent_seeds(dataset, seeds)
    agents = agents_of(axes, len(dataset.seeds))
    on_screens = isinstance(dataset, ScreenDataset)
    seen = dataset.screen if on_screens else dataset.obs_dim
    network = (screen_network if on_screens else Network)(algorithm, seen, dataset.action_count)
    device = torch_engine.find_device("cpu" if device is None else device)
    scales = rewards.reward_scales(reward_scale, dataset, axes["discount"])
    learned = rewards.scaled(own, scales)
    engine = _engine(engine, device, network)(network, agents, learned, counts["batch_size"], device)
    described = axes | counts | dict(algorithm=algorithm, dataset=dataset.digest, engine=engine.name)
    described |= dict(environment=simulators.name_of(dataset.environment) or None, action_count=dataset.action_count)
    described |= {} if dataset.action_labels is None else dict(action_labels=list(dataset.action_labels))
    units = (dict(standardise=1) if standardise else {}) | (dict(reward_scales=json.dumps(scales.tolist())) if (scales != 1).any() else {})

    def in_the_logs_units(params):
        return unfold(network, agents, rewards.in_the_rewards_unit(network, params, scales[agents.datasets]))

    def measure(state):
        state = state._replace(params=in_the_logs_units(state.params))
        return evaluate(network, agents, dataset, state, counts["eval_episodes"], counts["eval_velocity"])

    state = initial_state(network, agents)
    with files.locked("checkpoint", checkpoint) as checkpoint, progress_bar(counts["gradient_steps"], progress) as bar:
        saved = Checkpoint(checkpoint, described | units, SCREENS_SECONDS if on_screens else CHECKPOINT_SECONDS)
        state, history, wall_seconds = segments(engine, state, measure, counts, bar, saved)
    attrs = _provenance(algorithm, dataset, counts, engine, wall_seconds) | units
    attrs |= {"msbe_sample": f"{SAMPLE} transitions of each dataset, the same at every evaluation"} if on_screens else {}
    curves = labelled(axes, counts["eval_every"], history, simulators.known(dataset.environment), attrs)
    return Run(network, curves, labelled_parameters(axes, in_the_logs_units(state.params)))


def evaluated_in(dataset, environment):
    """The dataset with the environment that was asked for; ValueError where they do not fit. Warns where there is none."""
    dataset = dataset if environment is None else replace(dataset, environment=environment)
    if dataset.environment is None:
        warn("the dataset names no environment, so score and return_ will be NaN")
    else:
        simulator = simulators.find(dataset.environment)
        if isinstance(dataset, ScreenDataset) and dataset.screen != simulator.screen:
            raise ValueError(
                f"observations are screens of shape {dataset.screen}: {simulator.name} shows {simulator.screen}, channels first"
            )
        simulator.check(dataset.obs_dim, dataset.action_labels, dataset.action_count)
    return dataset


def axis(name, value):
    """One axis of the grid, as float64; ValueError names a value that is not allowed."""
    try:
        given = array(name, value)
        if given.dtype.kind == "b":
            raise ValueError(f"{name} has dtype bool")
    except ValueError as error:
        raise ValueError(f"{name}={shown(value)} is not allowed: use a number or a flat sequence of numbers ({error})") from error
    values = np.atleast_1d(given.astype(np.float64))
    low, high, allowed = 0, FLOAT32[1], "finite numbers of at least 0, in float32's range"
    if name in ("target_rate", "discount"):
        high, allowed = 1, "numbers from 0 to 1"
    if name == "learning_rate":
        low, allowed = FLOAT32[0], "finite numbers above 0, in float32's range"
    for one in values.ravel():
        if not (np.isfinite(one) and low <= one <= high):
            raise ValueError(f"{name}={one} is out of range: use {allowed}")
    if values.ndim != 1 or len(values) == 0 or len(np.unique(values)) < len(values):
        raise ValueError(f"{name}={shown(value)} is not allowed: use a number or a flat sequence of distinct ones")
    return values


def _agent_seeds(dataset, seeds):
    if seeds is None:
        return dataset.seeds
    if len(dataset.seeds) > 1:
        raise ValueError(
            f"seeds={shown(seeds)} needs one dataset shared by all, but there are {len(dataset.seeds)}: "
            "leave seeds out, or choose one with dataset.sel"
        )
    return check_seeds(seeds)


def agents_of(axes, datasets):
    """The whole grid, flattened: seeds run fastest."""
    mesh = np.meshgrid(*axes.values(), indexing="ij")
    columns = {name: column.ravel() for name, column in zip(axes, mesh, strict=True)}
    position = np.arange(len(axes["seed"])) if datasets > 1 else np.zeros(len(axes["seed"]), np.int64)
    of_agent = np.tile(position, len(columns["seed"]) // len(position))
    return Agents(columns.pop("seed").astype(np.int64), of_agent, **columns)


def _engine(name, device, network):
    """The engine of that name; "auto" is the fused one on the CPU, but for more actions than it takes."""
    if not isinstance(name, str) or name not in ("auto", *ENGINES):
        raise ValueError(f"engine={shown(name)} is unknown: use one of {('auto', *ENGINES)}")
    fused_applies = device.type == "cpu"
    if name == "fused" and not fused_applies:
        raise ValueError(f"engine='fused' needs the CPU, but device={device.type!r}: use 'torch'")
    if name == "fused" and network.actions > MOST_ACTIONS:
        raise ValueError(f"engine='fused' takes at most {MOST_ACTIONS} actions, but there are {network.actions}: use 'torch'")
    if name == "auto" and fused_applies and network.actions > MOST_ACTIONS:
        warnings.warn(f"there are more than {MOST_ACTIONS} actions: PyTorch trains, some thirty times slower", stacklevel=3)
        fused_applies = False
    if network.convolutions and network.algorithm.hidden_layers == 2:
        fused_applies = False
    if name == "auto":
        name = "fused" if fused_applies else "torch"
    return ENGINES[name]


def _provenance(algorithm, dataset, counts, engine, wall_seconds):
    return (
        counts
        | records.provenance()
        | {
            "algorithm": json.dumps(asdict(algorithm)),
            "environment": simulators.name_of(dataset.environment),
            "action_labels": json.dumps(dataset.action_labels),
            "dataset": json.dumps(dataset.provenance),
            "dataset_digest": dataset.digest,
            "dataset_seeds": json.dumps(dataset.seeds.tolist()),
            "engine": engine.name,
            "threads": numba.config.NUMBA_NUM_THREADS,
            "wall_seconds": round(wall_seconds, 3),
        }
    )


def labelled(axes, eval_every, history, environment, attrs):
    """The history of flat agents as curves on the grid's axes; without an environment score is NaN."""
    shape = [len(values) for values in axes.values()]
    steps = eval_every * np.arange(1, len(history["return_"]) + 1)
    with np.errstate(over="ignore"):  # a diverged msbe may be beyond float32: infinity is what it is then
        variables = {name: ((*axes, "gradient_step"), values.T.reshape(*shape, -1).astype(np.float32)) for name, values in history.items()}
    curves = xarray.Dataset(variables, {**axes, "gradient_step": steps}, attrs)
    score = environment.score(curves["return_"]) if environment else curves["return_"] * np.float32(np.nan)
    return curves.assign(score=score.astype(np.float32))


def labelled_parameters(axes, params):
    """The parameters of flat agents, (agents, parameters), on the grid's axes."""
    shape = [len(values) for values in axes.values()]
    return xarray.DataArray(params.reshape(*shape, -1), dims=(*axes, "parameter"), coords=axes, name="parameters")
